"""From files to a model: weights from safetensors, new ones from a seed, some of them frozen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from tunesmith.errors import ModelError, Place, Problem, RecipeError, nearest, quoted
from tunesmith.language import gettext as _
from tunesmith.model.configuration import make_config
from tunesmith.model.files import ModelFiles
from tunesmith.quiet import quiet_transformers

if TYPE_CHECKING:
    from torch import nn

__all__ = ["LoadedModel", "freeze", "load_model"]


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

    config = make_config(files, dropout, settings)
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
