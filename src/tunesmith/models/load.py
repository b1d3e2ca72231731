"""From files to a model: weights from safetensors, new ones from a seed, some of them frozen."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from tunesmith.errors import ModelError, Place, Problem, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.models.config import impossible_config, make_config
from tunesmith.models.files import ModelFiles
from tunesmith.models.guard import TooLarge, bounded, first_line
from tunesmith.models.missing_weights import check_body, check_layers
from tunesmith.models.untrusted import UnreadableFile
from tunesmith.models.weight_files import FLOATS, StoredTensor, read_headers, read_tensors
from tunesmith.storage.library_logging import quiet_transformers
from tunesmith.text import nearest, quoted

if TYPE_CHECKING:
    from torch import nn

__all__ = ["LoadedModel", "freeze", "load_model"]

_MODULES_PER_TENSOR = 50
_SPARE_MODULES = 2_000
_SPARE_ELEMENTS = 100_000_000
"""What a head and shared weights may add to what the files hold."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model and what was new in it.

    Attributes:
        model: in float32, on the CPU, in evaluation mode.
        new_weights: parameters that the checkpoint does not hold, drawn from the seed: the head,
            and what `allow_missing` names.
        unused_weights: weights of the checkpoint that this model has no place for: an old head.
        warnings: what else the files lack or hold.
    """

    model: nn.Module
    new_weights: tuple[str, ...]
    unused_weights: tuple[str, ...]
    warnings: tuple[Problem, ...] = ()


def load_model(
    files: ModelFiles,
    auto_class: str,
    *,
    seed: int,
    dropout: float | None = None,
    allow_missing: Sequence[str] = (),
    **settings: object,
) -> LoadedModel:
    """Load weights into a model with the head of a task; new weights are drawn from `seed`.

    Args:
        files: from `locate`.
        auto_class: transformers' class, such as "AutoModelForSequenceClassification".
        seed: seeds torch before the head is made, as a script does that seeds first.
        dropout: overrides every dropout rate of the configuration.
        allow_missing: patterns of parameters outside of the head that the files may lack.
        **settings: further values of the configuration, such as `num_labels`.

    Raises:
        ModelError: the architecture is unknown or its values are impossible (M102), it wants code
            of its own (M105), has no such head (M114), the weights cannot be
            read (M115), lack more than a head (M124), or are far smaller than the model (M128).
    """
    import torch
    import transformers

    config = make_config(files, dropout, settings)
    head = getattr(transformers, auto_class)
    if type(config) not in head._model_mapping:
        raise ModelError(_no_such_head(files, auto_class, config))
    try:
        stored = read_headers(files.weights())
        model_class = _class_of(files, head, config, stored)
        state = read_tensors(stored)
    except UnreadableFile as error:
        raise ModelError(_unreadable_weights(files, str(error))) from error
    torch.manual_seed(seed)
    model, info = _filled(files, model_class, config, state)
    _refuse_quantized(files, model, stored, info["unexpected_keys"])
    shapes = {str(name): (old, own) for name, old, own in info["mismatched_keys"]}
    new = sorted({*info["missing_keys"], *shapes})
    unused = sorted(info["unexpected_keys"])
    warnings = [
        *check_body(files.name, model, new, shapes=shapes, allowed=allow_missing),
        *check_layers(files.name, model, unused),
    ]
    return LoadedModel(model, tuple(new), tuple(unused), tuple(warnings))


def _filled(
    files: ModelFiles, model_class: Any, config: Any, state: dict[str, Any]
) -> tuple[Any, Any]:
    """The model with its weights under transformers' renaming, and what was missing or left."""
    import torch

    try:
        with quiet_transformers():
            # no name and no folder: transformers opens no file of its own accord
            model, info = model_class.from_pretrained(
                None,
                config=config,
                state_dict=state,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
    except MemoryError:
        raise
    except Exception as error:  # of any kind: values of config.json, shapes, types
        raise ModelError(_unreadable_weights(files, first_line(error))) from error
    model.config.name_or_path = files.name
    return model.eval(), info


def _class_of(files: ModelFiles, head: Any, config: Any, stored: Mapping[str, StoredTensor]) -> Any:
    """The class of the model, which is built without memory: no further than its weights reach."""
    import torch

    held = sum(tensor.num_elements for tensor in stored.values())
    bounds = bounded(
        modules=_MODULES_PER_TENSOR * len(stored) + _SPARE_MODULES,
        elements=4 * held + _SPARE_ELEMENTS,
    )
    try:
        with quiet_transformers(), torch.random.fork_rng(devices=[]), torch.device("meta"), bounds:
            return type(head.from_config(config, trust_remote_code=False))
    except TooLarge as error:
        raise ModelError(
            Problem(
                "M128",
                _("config.json describes a model far larger than its weights: {reason}").format(
                    reason=error
                ),
                Place(str(files.folder / "config.json")),
                fix=_("The weights and config.json do not belong together."),
            )
        ) from error
    except Exception as error:  # of any kind: whatever a value of config.json leads to
        raise ModelError(impossible_config(files, error)) from error


def _refuse_quantized(
    files: ModelFiles, model: Any, stored: Mapping[str, StoredTensor], unused: Sequence[str]
) -> None:
    """Whole numbers where the model has floating-point ones are those of a quantized model."""
    prefix = f"{model.base_model_prefix}."
    state = model.state_dict()
    for name, tensor in stored.items():
        if tensor.dtype in FLOATS or name in unused:
            continue
        for own in (name, prefix + name, name.removeprefix(prefix)):
            if own in state and state[own].is_floating_point():
                reason = _("{name} has the type {dtype}: the model is quantized").format(
                    name=name, dtype=tensor.dtype
                )
                raise ModelError(_unreadable_weights(files, reason))


def _unreadable_weights(files: ModelFiles, reason: str) -> Problem:
    return Problem(
        "M115",
        _("its weights cannot be loaded: {reason}").format(reason=reason),
        Place(files.name),
        fix=_("Fetch the model again, or choose another one."),
    )


def _no_such_head(files: ModelFiles, auto_class: str, config: Any) -> Problem:
    task = re.sub(r"(?<!^)(?=[A-Z])", " ", auto_class.removeprefix("AutoModelFor")).lower()
    return Problem(
        "M114",
        _("a {kind} model has no head for {task}").format(kind=config.model_type, task=task),
        Place(files.name),
        fix=_("Choose an encoder such as bert-base-uncased, or another task."),
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
