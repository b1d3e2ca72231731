"""The tokenizer of a model, and its longest input."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.errors import ModelError, Place, Problem, ResourceError
from tunesmith.i18n import gettext as _
from tunesmith.models.files import TOKENIZER_FILES, ModelFiles
from tunesmith.models.untrusted import UnreadableFile, coded, open_regular, read_json
from tunesmith.storage.disk import disk_problem, is_full
from tunesmith.storage.library_logging import quiet_transformers
from tunesmith.storage.temporary import temporary_folder
from tunesmith.text import quoted

__all__ = ["load_tokenizer", "longest_input", "read_backend"]

_VOCABULARIES = (
    "tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model",
    "tokenizer.model", "spm.model",
)  # fmt: skip

_NO_LIMIT = 2**31 - 1
"""The limit where neither tokenizer nor model has one; it fits 32 bits."""

_MAX_BYTES = 100_000_000
"""Size of a file; the largest vocabularies have a third of it."""

_STEPS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
_MAX_STEP = 2_000_000
"""Characters of JSON of one step; tables of SentencePiece have a quarter of it."""

_CLASS = re.compile(r"\w*Tokenizer(Fast)?|PreTrainedTokenizerFast|\w+Backend")
_UNSAFE = re.compile(r"auto_map|trust_remote_code|.*_files?|name_or_path|gguf.*|mistral_format")


def load_tokenizer(files: ModelFiles) -> Any:
    """Load the fast tokenizer of a model, without truncation or padding.

    Transformers only sees checked copies of the files of a tokenizer.

    Raises:
        ModelError: there is none, only a slow one, or its files are damaged (M113).
        ResourceError: the folder for temporary files is full (C107).
    """
    from transformers import AutoTokenizer

    if not any((files.folder / name).is_file() for name in _VOCABULARIES):
        # transformers would silently make one with an empty vocabulary
        raise ModelError.of(
            "M113",
            _("it has no tokenizer ({names})").format(names=", ".join(_VOCABULARIES)),
            Place(files.name),
            fix=_("Fetch the model again, or choose another one."),
        )
    with (
        temporary_folder("tokenizer") as copy,
        coded(lambda reason: _unusable(files, reason.replace(str(copy), str(files.folder)))),
        quiet_transformers(),
    ):
        _copy_checked(files, copy)
        tokenizer = AutoTokenizer.from_pretrained(
            str(copy), config=_plain_config(files), trust_remote_code=False
        )
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError.of(
            "M113",
            _("it has no fast tokenizer (tokenizer.json)"),
            Place(files.name),
            fix=_("Choose another model, or another revision of it."),
        )
    with coded(lambda reason: _unusable(files, reason)):
        _settle(files, tokenizer)
    return tokenizer


def read_backend(files: ModelFiles) -> tuple[Any, dict[str, Any]]:
    """Load tokenizer.json without transformers, and read tokenizer_config.json.

    Raises:
        ModelError: one of them is damaged, or there is no tokenizer.json (M113).
    """
    from tokenizers import Tokenizer

    with coded(lambda reason: _unusable(files, reason)):
        path = files.folder / "tokenizer.json"
        _check_steps(path)
        backend = Tokenizer.from_file(str(path))
        backend.no_truncation()
        backend.no_padding()
        try:
            config = read_json(files.folder / "tokenizer_config.json", max_bytes=_MAX_BYTES)
        except FileNotFoundError:
            config = {}
        config["model_max_length"] = _longest(config.get("model_max_length", _NO_LIMIT))
    return backend, config


def _unusable(files: ModelFiles, reason: str) -> Problem:
    return Problem(
        "M113",
        _("its tokenizer cannot be loaded: {reason}").format(reason=reason),
        Place(files.name),
        fix=_("Fetch the model again, or choose another one."),
    )


def _copy_checked(files: ModelFiles, target: Path) -> None:
    """Copy the tokenizer's files without fields that name code or further files."""
    for name in TOKENIZER_FILES:
        path = files.folder / name
        try:
            if name == "tokenizer.json":
                _check_steps(path)
            elif name.endswith("config.json"):
                config = read_json(path, max_bytes=_MAX_BYTES)
                config = {key: v for key, v in config.items() if not _UNSAFE.fullmatch(key)}
                _check_class(config.get("tokenizer_class"))
                (target / name).write_text(json.dumps(config), encoding="utf-8", newline="\n")
                continue
            elif name.endswith(".json"):
                read_json(path, max_bytes=_MAX_BYTES)
            with open_regular(path) as source, (target / name).open("wb") as copy:
                shutil.copyfileobj(source, copy)
                if copy.tell() > _MAX_BYTES:
                    raise UnreadableFile(
                        _("it is larger than {limit} MB").format(limit=_MAX_BYTES // 1_000_000)
                    )
        except FileNotFoundError:
            continue
        except UnreadableFile as error:
            raise UnreadableFile(f"{name}: {error}") from error
        except OSError as error:
            if is_full(error) and (problem := disk_problem(error, target)):
                raise ResourceError(problem) from error
            raise


def _check_steps(path: Path) -> None:
    """Read tokenizer.json within bounds on the file and on each step."""
    for key, value in read_json(path, max_bytes=_MAX_BYTES).items():
        if key in _STEPS and len(json.dumps(value)) > _MAX_STEP:
            raise UnreadableFile(
                _("{field} is larger than {limit} MB").format(
                    field=key, limit=_MAX_STEP // 1_000_000
                )
            )


def _check_class(name: object) -> None:
    if name is not None and not (isinstance(name, str) and _CLASS.fullmatch(name)):
        raise UnreadableFile(_("{name} is not a tokenizer's class").format(name=quoted([name])))


def _plain_config(files: ModelFiles) -> Any:
    """Return the default configuration of the architecture, which is all a tokenizer needs."""
    from transformers import CONFIG_MAPPING, PreTrainedConfig

    raw = _config_of(files)
    known = raw.get("model_type") in CONFIG_MAPPING
    config = CONFIG_MAPPING[raw["model_type"]]() if known else PreTrainedConfig()
    config.name_or_path = str(files.folder)
    if (name := raw.get("tokenizer_class")) is not None:
        _check_class(name)
        config.tokenizer_class = name
    return config


def _config_of(files: ModelFiles) -> Mapping[str, Any]:
    """Return the model's configuration; empty for a tokenizer alone."""
    return files.config() if (files.folder / "config.json").exists() else {}


def _settle(files: ModelFiles, tokenizer: Any) -> None:
    """Remove truncation and padding, set a padding token, and try the tokenizer once."""
    tokenizer.name_or_path = files.name
    if getattr(tokenizer, "vocab_file", None):  # it is copied when the tokenizer is saved
        tokenizer.vocab_file = str(files.folder / Path(tokenizer.vocab_file).name)
    # files of sentence-transformers truncate to 128 tokens and pad
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.model_max_length = _longest(tokenizer.model_max_length)
    if tokenizer.pad_token_id is None:  # decoders have none; attention masks it anyway
        tokenizer.pad_token = tokenizer.eos_token or _padding_of(files, tokenizer)
    ids = tokenizer("a")["input_ids"]
    num_special = len(tokenizer("")["input_ids"])
    limit = longest_input(files, tokenizer)
    if not ids or limit <= num_special:
        raise UnreadableFile(
            _("{count} special tokens do not fit into {limit} tokens").format(
                count=num_special, limit=limit
            )
            if ids
            else _("it makes no token of a letter")
        )


def _longest(value: object) -> int:
    """Return a tokenizer's longest input as a number of 32 bits."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise UnreadableFile(_("{field} is {value}").format(field="model_max_length", value=value))
    return int(min(value, _NO_LIMIT))


def _padding_of(files: ModelFiles, tokenizer: Any) -> str | None:
    """Return the padding token of the model where its tokenizer has none."""
    number = _config_of(files).get("pad_token_id")
    if not isinstance(number, int) or not 0 <= number < len(tokenizer):
        return None
    token: str = tokenizer.convert_ids_to_tokens(number)
    return token


def longest_input(files: ModelFiles, tokenizer: Any) -> int:
    """Return the most tokens that the model takes."""
    config = _config_of(files)
    limits = [min(int(tokenizer.model_max_length), _NO_LIMIT)]
    positions = config.get("max_position_embeddings") or config.get("n_positions")
    if isinstance(positions, int) and positions > 0:
        # RoBERTa and its relatives count positions from the padding id
        padding = config.get("pad_token_id")
        offset = padding + 1 if isinstance(padding, int) and _counts_from_pad(config) else 0
        limits.append(positions - offset)
    return min(limit for limit in limits if limit > 0)


def _counts_from_pad(config: Mapping[str, Any]) -> bool:
    families = ("roberta", "camembert", "xmod", "data2vec-text", "mpnet", "longformer", "esm")
    return any(word in str(config["model_type"]) for word in families)
