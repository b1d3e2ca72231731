"""From files to a model: load its weights, initialize new ones, freeze some, and try it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from tunesmith.errors import ModelError, Place, Problem, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.models.config import impossible_config, make_config
from tunesmith.models.files import ModelFiles
from tunesmith.models.missing_weights import check_body, check_layers
from tunesmith.models.untrusted import UnreadableFile, coded, first_line
from tunesmith.models.weight_files import FLOATS, StoredTensor, read_headers, read_tensors
from tunesmith.storage.library_logging import quiet_transformers
from tunesmith.text import nearest, quoted

if TYPE_CHECKING:
    from torch import nn

__all__ = ["LoadedModel", "freeze", "load_model", "try_model"]

_MODULES_PER_TENSOR = 50
_SPARE_MODULES = 2_000
_SPARE_ELEMENTS = 100_000_000
"""What a head and shared weights may add to the content of the files."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model, and what its files lack or have in addition.

    Attributes:
        model: in float32, on the CPU, in evaluation mode.
        new_weights: parameters that are not in the checkpoint, initialized from the seed: the
            head, and what `allow_missing` names.
        unused_weights: weights of the checkpoint that the model does not have: an old head.
        warnings: about other weights.
    """

    model: nn.Module
    new_weights: tuple[str, ...]
    unused_weights: tuple[str, ...]
    warnings: tuple[Problem, ...] = ()


class TooLarge(Exception):
    """A model that is far larger than its weights."""


@contextmanager
def bounded(*, modules: int, elements: int) -> Iterator[None]:
    """Stop building a model that exceeds bounds; for use on the meta device.

    Args:
        modules: the most modules.
        elements: the most numbers in its parameters and buffers, shared ones counted each time.

    Raises:
        TooLarge: inside the block, as soon as a bound is exceeded.
    """
    from torch.nn.modules import module as hooks

    counts = {"modules": 0, "elements": 0}

    def count_module(_parent: Any, _name: str, _child: Any) -> None:
        counts["modules"] += 1
        if counts["modules"] > modules:
            raise TooLarge(_("more than {count} modules").format(count=modules))

    def count_tensor(_module: Any, _name: str, tensor: Any) -> None:
        counts["elements"] += 0 if tensor is None else tensor.numel()
        if counts["elements"] > elements:
            raise TooLarge(_("more than {count} numbers").format(count=elements))

    handles = [
        hooks.register_module_module_registration_hook(count_module),
        hooks.register_module_parameter_registration_hook(count_tensor),
        hooks.register_module_buffer_registration_hook(count_tensor),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def load_model(
    files: ModelFiles,
    auto_class: str,
    *,
    seed: int,
    dropout: float | None = None,
    allow_missing: Sequence[str] = (),
    **settings: object,
) -> LoadedModel:
    """Load weights into a model with the head of a task; initialize new ones from `seed`.

    Args:
        files: from `locate`.
        auto_class: transformers' class, such as "AutoModelForSequenceClassification".
        seed: of torch before the head is made, as in a script that seeds first.
        dropout: overrides every dropout rate of the configuration.
        allow_missing: patterns of parameters outside the head that the files may lack.
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
    """Return the model with its weights as transformers renames them, and its loading info."""
    import torch

    try:
        with quiet_transformers():
            # without a name or a folder transformers opens no file itself
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
    except Exception as error:  # of any type: values of config.json, shapes, types
        raise ModelError(_unreadable_weights(files, first_line(error))) from error
    model.config.name_or_path = files.name
    return model.eval(), info


def _class_of(files: ModelFiles, head: Any, config: Any, stored: Mapping[str, StoredTensor]) -> Any:
    """Return the class of the model, which is built on the meta device, bounded by its weights."""
    import torch

    num_stored = sum(tensor.num_elements for tensor in stored.values())
    bounds = bounded(
        modules=_MODULES_PER_TENSOR * len(stored) + _SPARE_MODULES,
        elements=4 * num_stored + _SPARE_ELEMENTS,
    )
    try:
        with quiet_transformers(), torch.random.fork_rng(devices=[]), torch.device("meta"), bounds:
            return type(head.from_config(config, trust_remote_code=False))
    except TooLarge as error:
        raise ModelError.of(
            "M128",
            _("config.json describes a model far larger than its weights: {reason}").format(
                reason=error
            ),
            Place(str(files.folder / "config.json")),
            fix=_("The weights and config.json do not belong together."),
        ) from error
    except Exception as error:  # of any type: caused by values of config.json
        raise ModelError(impossible_config(files, error)) from error


def _refuse_quantized(
    files: ModelFiles, model: Any, stored: Mapping[str, StoredTensor], unused: Sequence[str]
) -> None:
    """Refuse integers where the model has floating-point weights: it is quantized."""
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
    """Freeze weights: "embeddings", "base", or patterns of parameter names.

    Returns:
        The number of frozen parameters (numbers, not tensors).

    Raises:
        RecipeError: a pattern matches nothing, or nothing is left to train (R111).
    """
    named = dict(model.named_parameters())
    frozen = 0
    for pattern in patterns:
        matched = [name for name in named if _matches(name, pattern, model.base_model_prefix)]
        if not matched:
            close = nearest(pattern, named, how_many=3)
            raise RecipeError.of(
                "R111",
                _('train.freeze: no weight is called "{pattern}"').format(pattern=pattern),
                fix=_("Weights are called, for example: {names}.").format(
                    names=quoted(close or list(named)[:3])
                ),
            )
        for name in matched:
            named[name].requires_grad_(requires_grad=False)
    frozen = sum(p.numel() for p in named.values() if not p.requires_grad)
    if all(not parameter.requires_grad for parameter in named.values()):
        raise RecipeError.of(
            "R111",
            _("train.freeze leaves no weight to train"),
            fix=_("Freeze less, such as only `base`, so that the head is trained."),
        )
    return frozen


def _matches(name: str, pattern: str, base: str) -> bool:
    if pattern == "base":
        return name.startswith(f"{base}.")
    if pattern == "embeddings":
        return "embeddings" in name or ".wte." in name or ".embed_tokens." in name
    return fnmatchcase(name, pattern)


def try_model(name: str, model: Any, tokenizer: Any) -> None:
    """Run a model on one short text; model, random numbers and gradients are unchanged.

    It finds values of config.json that only matter in a forward pass, tokens without an embedding
    and weights that are NaN before a run or a prediction fails on them.

    Args:
        name: of the model.
        model: on the CPU.
        tokenizer: its tokenizer.

    Raises:
        ModelError: the tokenizer has more tokens than the model (M147), the model fails (M125), or
            its output is not finite (M126).
    """
    import torch

    size = model.get_input_embeddings().num_embeddings
    highest = max(tokenizer.get_vocab().values(), default=0)
    if highest >= size:
        raise ModelError.of(
            "M147",
            _("its tokenizer has tokens up to number {highest}, its weights {size}").format(
                highest=highest, size=size
            ),
            Place(name),
            fix=_(
                "Fetch tokenizer and model again; tokens that were added need "
                "model.resize_token_embeddings(len(tokenizer)) before the model is saved."
            ),
        )
    was_training = model.training
    with (
        coded(lambda reason: _fails(name, reason)),
        torch.random.fork_rng(devices=[]),
        torch.no_grad(),
    ):
        inputs = tokenizer("a", return_tensors="pt")
        if "MultipleChoice" in type(model).__name__:  # which takes several texts per row
            inputs = {name: values.unsqueeze(1) for name, values in inputs.items()}
        outputs = model.eval()(**inputs).to_tuple()
        is_finite = all(
            bool(torch.isfinite(one).all()) for one in outputs if isinstance(one, torch.Tensor)
        )
    model.train(was_training)
    if not is_finite:
        raise ModelError.of(
            "M126",
            _("its outputs are NaN or infinity"),
            Place(name),
            fix=_("Its weights or its config.json are damaged: fetch the model again."),
        )


def _fails(name: str, reason: str) -> Problem:
    return Problem(
        "M125",
        _("it fails on its first text: {reason}").format(reason=reason),
        Place(name),
        fix=_("Its config.json, weights and tokenizer do not belong together: fetch them again."),
    )
