"""Pretrained models and tokenizers: from a name to safe local files, from files to a model.

Weights come from safetensors and architecture from transformers' own classes; nothing in a model's
folder can bring code of its own. Only this module reads a model's config.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith import hub
from tunesmith.data.profile import script_shares
from tunesmith.data.sources import looks_like_a_file
from tunesmith.errors import ModelError, Place, Problem, RecipeError, nearest, quoted
from tunesmith.language import gettext as _
from tunesmith.quiet import quiet_transformers

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "EMBEDDED",
    "LoadedModel",
    "ModelFiles",
    "freeze",
    "load_model",
    "load_tokenizer",
    "locate",
    "longest_input",
    "overridden_dropout",
    "stand_in_padding",
    "suggest_model",
]

EMBEDDED = "embedded:mini"

_VOCABULARIES = (
    "tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model",
    "tokenizer.model", "spm.model",
)  # fmt: skip
_DROPOUT = re.compile(r"drop_?out|_pdrop$|layer_?drop")
_UNSAFE_KEYS = ("auto_map", "trust_remote_code", "custom_generate", "quantization_config")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Where a model's files lie.

    Attributes:
        name: as it was asked for.
        folder: holds config.json, safetensors and tokenizer files.
        revision: the commit, if it came from the Hub.
    """

    name: str
    folder: Path
    revision: str | None = None

    def config(self) -> dict[str, Any]:
        """The configuration, without anything that could bring code.

        Raises:
            ModelError: there is none (M109), or it asks for code of its own (M105).
        """
        path = self.folder / "config.json"
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ModelError(
                Problem(
                    "M109",
                    _("there is no config.json; this is not a model folder"),
                    Place(str(self.folder)),
                )
            ) from None
        except (OSError, ValueError) as error:
            raise ModelError(
                Problem(
                    "M109",
                    _("config.json cannot be read: {reason}").format(reason=error),
                    Place(str(path)),
                )
            ) from error
        if not isinstance(config, dict) or "model_type" not in config:
            raise ModelError(
                Problem("M109", _("config.json does not say its model_type"), Place(str(path)))
            )
        return config


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model and what was new in it.

    Attributes:
        model: in float32, on the CPU, in evaluation mode.
        new_weights: parameters that the checkpoint does not hold, drawn from the seed: the head.
        unused_weights: weights of the checkpoint that this model has no place for: an old head.
    """

    model: nn.Module
    new_weights: tuple[str, ...]
    unused_weights: tuple[str, ...]


def locate(name: str, *, revision: str | None = None) -> ModelFiles:
    """Find a model: `embedded:mini`, a local folder, or the Hub.

    Raises:
        ModelError: there is no such model, or it has no safetensors (M101).
        ResourceError: the Hub is out of reach or wants a token.
    """
    if name.startswith("embedded:"):
        from tunesmith.embedded_model import embedded_folder

        return ModelFiles(name, embedded_folder(name))
    path = Path(name).expanduser()
    if path.is_dir():
        folder = path / "model" if (path / "model" / "config.json").is_file() else path
        files = ModelFiles(name, folder)
    elif looks_like_a_file(name):
        raise ModelError(_no_such_folder(path))
    else:
        folder = hub.download_model(name, revision=revision)
        files = ModelFiles(name, folder, folder.name)
    files.config()
    if not any(files.folder.glob("*.safetensors")):
        pickled = sorted(p.name for p in files.folder.glob("*.bin"))
        only = _("only {names}").format(names=quoted(pickled))
        raise ModelError(
            Problem(
                "M101",
                _("it holds no weights in safetensors"),
                Place(name),
                evidence=(only,) if pickled else (),
                fix=_(
                    "Pickled weights can run code and are never loaded. Choose a revision with "
                    "safetensors; on the Hub many models have one in a pull request (refs/pr/1)."
                ),
            )
        )
    return files


def _no_such_folder(path: Path) -> Problem:
    siblings = [p.name for p in path.parent.iterdir() if p.is_dir()] if path.parent.is_dir() else []
    close = nearest(path.name, siblings)
    return Problem(
        "M107",
        _("there is no such model folder"),
        Place(str(path)),
        fix=_('Did you mean "{name}"?').format(name=path.parent / close[0]) if close else None,
    )


def load_tokenizer(files: ModelFiles) -> Any:
    """The fast tokenizer of a model, without any truncation or padding of its own.

    Raises:
        ModelError: there is none, or only a slow one (M113).
    """
    from transformers import AutoTokenizer

    if not any((files.folder / name).is_file() for name in _VOCABULARIES):
        # transformers would make a tokenizer that knows no word, without a word
        raise ModelError(
            Problem(
                "M113",
                _("it has no tokenizer ({names})").format(names=", ".join(_VOCABULARIES)),
                Place(files.name),
            )
        )
    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(files.folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(
            Problem(
                "M113",
                _("its tokenizer cannot be loaded: {reason}").format(
                    reason=str(error).splitlines()[0]
                ),
                Place(files.name),
            )
        ) from error
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            Problem("M113", _("it has no fast tokenizer (tokenizer.json)"), Place(files.name))
        )
    # files of sentence-transformers models cut to 128 tokens and pad, unasked
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    if tokenizer.pad_token_id is None:  # decoders have none; attention masks it anyway
        tokenizer.pad_token = tokenizer.eos_token or _padding_of(files, tokenizer)
    return tokenizer


def _padding_of(files: ModelFiles, tokenizer: Any) -> str | None:
    """The padding token that a model names where its tokenizer names none."""
    number = files.config().get("pad_token_id")
    if not isinstance(number, int) or not 0 <= number < len(tokenizer):
        return None
    token: str = tokenizer.convert_ids_to_tokens(number)
    return token


def longest_input(files: ModelFiles, tokenizer: Any) -> int:
    """The most tokens that the model takes."""
    config = files.config()
    limits = [int(tokenizer.model_max_length)]
    positions = config.get("max_position_embeddings") or config.get("n_positions")
    if isinstance(positions, int) and positions > 0:
        # RoBERTa and its kin begin to count behind the padding id
        offset = int(config.get("pad_token_id") or 0) + 1 if _counts_from_pad(config) else 0
        limits.append(positions - offset)
    return min(limit for limit in limits if limit > 0)


def _counts_from_pad(config: Mapping[str, Any]) -> bool:
    kin = ("roberta", "camembert", "xmod", "data2vec-text", "mpnet", "longformer", "esm")
    return any(word in str(config["model_type"]) for word in kin)


def load_model(
    files: ModelFiles,
    auto_class: str,
    *,
    seed: int,
    dropout: float | None = None,
    **settings: object,
) -> LoadedModel:
    """Load weights into a model with the head of a task; new weights are drawn from `seed`.

    Args:
        files: from `locate`.
        auto_class: transformers' class, such as "AutoModelForSequenceClassification".
        seed: seeds torch before the head is made, as a script does that seeds first.
        dropout: overrides every dropout rate of the configuration.
        **settings: further values of the configuration, such as `num_labels`.

    Raises:
        ModelError: the architecture is unknown (M102), wants code of its own (M105), has no such
            head (M114), or the weights are not its own (M115).
    """
    import torch
    import transformers
    from safetensors import SafetensorError

    config = _make_config(files, dropout, settings)
    head = getattr(transformers, auto_class)
    if type(config) not in head._model_mapping:
        raise ModelError(_no_such_head(files, auto_class, config))
    torch.manual_seed(seed)
    try:
        with quiet_transformers():
            model, info = head.from_pretrained(
                files.folder,
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            Problem(
                "M115",
                _("its weights cannot be loaded: {reason}").format(
                    reason=str(error).splitlines()[0]
                ),
                Place(files.name),
            )
        ) from error
    new = sorted({*info["missing_keys"], *(str(key[0]) for key in info["mismatched_keys"])})
    _refuse_foreign_weights(files, model, new)
    model.eval()
    return LoadedModel(model, tuple(new), tuple(sorted(info["unexpected_keys"])))


def _make_config(files: ModelFiles, dropout: float | None, settings: Mapping[str, object]) -> Any:
    from transformers import CONFIG_MAPPING

    raw = files.config()
    kind = raw.pop("model_type")
    if kind not in CONFIG_MAPPING:
        if "auto_map" in raw:
            raise ModelError(
                Problem(
                    "M105",
                    _("it wants to run code of its own (auto_map in config.json)"),
                    Place(files.name),
                    fix=_("Remote code is never run. Choose a model of a known architecture."),
                )
            )
        close = nearest(str(kind), CONFIG_MAPPING)
        raise ModelError(
            Problem(
                "M102",
                _('the architecture "{kind}" is not known to transformers').format(kind=kind),
                Place(files.name),
                fix=_('did you mean "{name}"?').format(name=close[0]) if close else None,
            )
        )
    clean = {
        key: value
        for key, value in raw.items()
        if key not in _UNSAFE_KEYS and not (key.startswith("_") and key != "_name_or_path")
    }
    if dropout is not None:
        clean |= overridden_dropout({**clean, "model_type": kind}, dropout)
    clean |= settings
    config = CONFIG_MAPPING[kind].from_dict(clean)
    if config.pad_token_id is None:  # decoders have none, and their heads look for it
        config.pad_token_id = config.eos_token_id
    return config


def stand_in_padding(config: Mapping[str, Any]) -> int | None:
    """The token that stands in for padding where a configuration, or its class, names none."""
    if isinstance(config.get("pad_token_id"), int):
        return None
    from transformers import CONFIG_MAPPING

    known = CONFIG_MAPPING[config["model_type"]].from_dict(dict(config))
    return known.eos_token_id if known.pad_token_id is None else None


def overridden_dropout(config: Mapping[str, Any], rate: float) -> dict[str, float]:
    """Every dropout rate of a configuration, also those it leaves to its class, set to one rate."""
    from transformers import CONFIG_MAPPING

    defaults = CONFIG_MAPPING[config["model_type"]]().to_dict()
    names = {
        key
        for values in (config, defaults)
        for key, value in values.items()
        if _DROPOUT.search(key) and _is_rate(value)
    }
    if "classifier_dropout" in defaults:
        names.add("classifier_dropout")
    return dict.fromkeys(sorted(names), rate)


def _is_rate(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _no_such_head(files: ModelFiles, auto_class: str, config: Any) -> Problem:
    task = re.sub(r"(?<!^)(?=[A-Z])", " ", auto_class.removeprefix("AutoModelFor")).lower()
    return Problem(
        "M114",
        _("a {kind} model has no head for {task}").format(kind=config.model_type, task=task),
        Place(files.name),
        fix=_("Choose an encoder such as bert-base-uncased, or another task."),
    )


def _refuse_foreign_weights(files: ModelFiles, model: Any, new: Sequence[str]) -> None:
    """A head may be new; a body that is mostly new means that the files do not belong together."""
    prefix = f"{model.base_model_prefix}."
    body = [name for name, _parameter in model.named_parameters() if name.startswith(prefix)]
    missing = [name for name in new if name.startswith(prefix)]
    if len(missing) * 4 > len(body):
        raise ModelError(
            Problem(
                "M115",
                _("{missing} of {total} weights of its body are missing").format(
                    missing=len(missing), total=len(body)
                ),
                Place(files.name),
                evidence=(quoted(missing, at_most=3),),
                fix=_("The weights and config.json do not belong together."),
            )
        )


def freeze(model: Any, patterns: Sequence[str]) -> int:
    """Leave some weights as they are: "embeddings", "base", or patterns on parameter names.

    Returns:
        How many parameters (numbers, not tensors) are frozen.

    Raises:
        RecipeError: a pattern that matches nothing, or nothing is left to train (R111).
    """
    named = dict(model.named_parameters())
    frozen = 0
    for pattern in patterns:
        matched = [name for name in named if _matches(name, pattern, model.base_model_prefix)]
        if not matched:
            close = nearest(pattern, named, how_many=3)
            raise RecipeError(
                Problem(
                    "R111",
                    _('train.freeze: no weight is called "{pattern}"').format(pattern=pattern),
                    fix=_("Weights are called, for example: {names}.").format(
                        names=quoted(close or list(named)[:3])
                    ),
                )
            )
        for name in matched:
            named[name].requires_grad_(requires_grad=False)
    frozen = sum(p.numel() for p in named.values() if not p.requires_grad)
    if all(not parameter.requires_grad for parameter in named.values()):
        raise RecipeError(Problem("R111", _("train.freeze leaves no weight to train")))
    return frozen


def _matches(name: str, pattern: str, base: str) -> bool:
    if pattern == "base":
        return name.startswith(f"{base}.")
    if pattern == "embeddings":
        return "embeddings" in name or ".wte." in name or ".embed_tokens." in name
    return fnmatchcase(name, pattern)


def suggest_model(texts: Sequence[str]) -> tuple[str, str]:
    """A model for texts like these, and why.

    Offline, what is in the cache counts; with nothing there, the embedded one, which is said aloud.
    """
    from huggingface_hub import constants

    shares = script_shares(texts)
    chinese, other = shares["chinese"], shares["other"]
    if chinese > 0.5:
        name, why = (
            "bert-base-chinese",
            _("{share:.0%} of the letters are Chinese").format(share=chinese),
        )
    elif chinese + other > 0.05:
        name, why = (
            "bert-base-multilingual-cased",
            _("{share:.0%} of the letters are not plain Latin").format(share=chinese + other),
        )
    else:
        name, why = "bert-base-uncased", _("the letters are plain Latin")
    if constants.HF_HUB_OFFLINE and not hub.is_cached(name):
        return EMBEDDED, _(
            "{name} is not in the cache and HF_HUB_OFFLINE is set; this one only tries things out"
        ).format(name=name)
    return name, why
