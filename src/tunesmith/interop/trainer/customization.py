"""What a script has customized of a Trainer, and whose loop follows from it.

Our loop makes steps of a plan: AdamW, a schedule that is a function of the step, rows in an order
that is one, too. A script that changes how a step is made, by a method of its own, another
optimizer, a stream of rows or an argument of that kind, is trained by transformers' own loop, so
that everything it overrides is called as there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
import transformers

from tunesmith.i18n import gettext as _
from tunesmith.interop.trainer.callbacks import INSIDE_A_STEP, hears
from tunesmith.interop.trainer.datasets import is_stream
from tunesmith.interop.trainer.support import left_to_transformers, notice

__all__ = [
    "EVALUATES",
    "KEPT",
    "adapt_older_signatures",
    "is_hooked",
    "is_plain_adamw",
    "overridden",
    "why_theirs",
    "why_theirs_evaluates",
]

KEPT = frozenset({
    # what our loop calls, too
    "train", "log", "evaluate", "_evaluate", "save_model", "_save", "_save_checkpoint",
    "_determine_best_metric", "_load_best_model", "_load_from_checkpoint", "create_scheduler",
    "_init_training_state", "_load_callback_state", "call_model_init",
    # what has no part in a training step
    "evaluation_loop", "prediction_step", "get_eval_dataloader", "get_test_dataloader",
    "_get_eval_sampler", "predict", "create_model_card", "push_to_hub", "init_hf_repo",
    "hyperparameter_search", "add_callback", "pop_callback", "remove_callback", "log_metrics",
    "save_metrics", "save_state", "metrics_format", "get_learning_rates",
    "get_num_trainable_parameters", "get_optimizer_group", "is_local_process_zero",
    "is_world_process_zero", "end",
})  # fmt: skip
"""Methods that a subclass may override and still be trained by our loop."""

EVALUATES = frozenset({
    "evaluation_loop", "prediction_step", "compute_loss", "compute_loss_context_manager",
    "autocast_smart_context_manager", "_prepare_inputs", "_prepare_input", "_get_eval_sampler",
    "_get_num_items_in_batch", "num_examples",
})  # fmt: skip
"""Methods that transformers calls in an evaluation; ours has means of its own instead."""


def overridden(trainer: Any) -> list[str]:
    """The methods of transformers' Trainer that a script replaced, sorted.

    `transformers.Seq2SeqTrainer` counts as such a script.

    Args:
        trainer: an instance, whose class or which itself may replace some.
    """
    names = [
        name
        for name, value in vars(transformers.Trainer).items()
        if callable(getattr(value, "__func__", value)) and not name.startswith("__")
    ]
    return sorted(name for name in names if name in vars(trainer) or _is_own(type(trainer), name))


def _is_own(kind: type, name: str) -> bool:
    """Whether a class has a method that is neither of this package nor of transformers' Trainer."""
    method = getattr(kind, name)
    ours = method.__module__.startswith(f"{__package__}.")
    return not ours and method is not getattr(transformers.Trainer, name)


def why_theirs(trainer: Any) -> str | None:
    """Why transformers' own loop must train, as text; None if ours does."""
    return (
        _overrides(trainer, overridden(trainer), KEPT)
        or (_("the loss is computed by compute_loss_func") if trainer.compute_loss_func else None)
        or _of_the_optimizer(trainer)
        or _of_the_arguments(trainer.args)
        or _of_the_callbacks(trainer.callback_handler.callbacks)
        or _of_the_rows(trainer.train_dataset)
        or _of_the_model(trainer)
    )


def _overrides(trainer: Any, names: Iterable[str], allowed: frozenset[str]) -> str | None:
    """That a script's own methods make the steps; a patched instance counts by its class."""
    if not (methods := [name for name in names if name not in allowed]):
        return None
    return _("{name} overrides {methods}").format(
        name=type(trainer).__name__, methods=", ".join(methods)
    )


def _of_the_optimizer(trainer: Any) -> str | None:
    if trainer.has_own_optimizer or trainer.optimizer_cls_and_kwargs is not None:
        return _("the optimizer is your own")
    if trainer.has_own_scheduler:
        return _("the learning rate scheduler is your own")
    if not is_plain_adamw(trainer.args):
        return _("the optimizer is another than AdamW")
    return None


def is_plain_adamw(args: Any) -> bool:
    """Whether the arguments ask for AdamW as torch has it."""
    name = str(getattr(args.optim, "value", args.optim))
    return name in ("adamw_torch", "adamw_torch_fused") and not args.optim_args


def _of_the_arguments(args: Any) -> str | None:
    names = left_to_transformers(args)
    return _("only that supports {names}").format(names=", ".join(names)) if names else None


def _of_the_callbacks(callbacks: Iterable[Any]) -> str | None:
    return (
        _("a callback listens to events inside a step")
        if hears(callbacks, *INSIDE_A_STEP)
        else None
    )


def _of_the_rows(data: Any) -> str | None:
    return _("the rows are a stream") if data is not None and is_stream(data) else None


def _of_the_model(trainer: Any) -> str | None:
    if trainer.is_model_parallel or getattr(trainer.model, "is_quantized", False):
        return _("the model is quantized, or on several devices")
    return None


def why_theirs_evaluates(trainer: Any) -> str | None:
    """Why transformers' own loop must evaluate, as text; None if ours does."""
    args = trainer.args
    names = set(overridden(trainer)) & EVALUATES
    if names or trainer.compute_loss_func is not None:
        return _overrides(trainer, sorted(names), frozenset()) or _(
            "the loss is computed by compute_loss_func"
        )
    named = {
        "batch_eval_metrics": args.batch_eval_metrics,
        "eval_do_concat_batches": not args.eval_do_concat_batches,
        "bf16_full_eval": args.bf16_full_eval,
        "fp16_full_eval": args.fp16_full_eval,
    }
    if unsupported := [name for name, value in named.items() if value]:
        return _("only that supports {names}").format(names=", ".join(unsupported))
    if hasattr(trainer.optimizer, "eval"):
        return _("the optimizer is your own")
    return _of_the_arguments(args) or _of_the_model(trainer)


_HOOKS = (
    "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks",
)  # fmt: skip
_any_global_hook: Callable[[], bool] = torch.nn.modules.module._has_any_global_hook
_GRADIENT_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


def is_hooked(model: torch.nn.Module) -> bool:
    """Whether a module or a weight has hooks, which an engine by other means would pass by.

    These are what `register_forward_hook` and its kin, `Tensor.register_hook` and
    `register_post_accumulate_grad_hook` leave behind. Those that transformers puts on its models,
    to record hidden states or to recompute activations, change nothing that is trained.
    """
    held = [getattr(module, kind) for module in model.modules() for kind in _HOOKS]
    held += [getattr(weight, kind) for weight in model.parameters() for kind in _GRADIENT_HOOKS]
    return any(map(_is_of_a_script, held)) or _any_global_hook()


def _is_of_a_script(hooks: Mapping[int, Callable[..., Any]] | None) -> bool:
    return any(
        not getattr(hook, "__module__", "").startswith("transformers.")
        for hook in (hooks or {}).values()
    )


def adapt_older_signatures(trainer: Any) -> None:
    """Let methods written for an older transformers be called without the arguments it added.

    `training_step(model, inputs)` is one of them, `compute_loss(model, inputs)` another.
    """
    adapted = []
    for name in overridden(trainer):
        method = getattr(trainer, name)
        theirs = inspect.signature(getattr(transformers.Trainer, name))
        surplus = _surplus(inspect.signature(method), theirs)
        if surplus:
            setattr(trainer, name, partial(_call_without, surplus, method, list(theirs.parameters)))
            adapted.append(f"{name} ({', '.join(surplus)})")
    if adapted:
        notice(
            _("methods of an older signature are called without what transformers added: {names}")
            .format(names="; ".join(adapted))
        )  # fmt: skip


def _surplus(taken: inspect.Signature, passed: inspect.Signature) -> list[str]:
    """The arguments that transformers passes and a method does not take."""
    kinds = {parameter.kind for parameter in taken.parameters.values()}
    if kinds & {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}:
        return []
    room = len(taken.parameters)
    names = [name for name in passed.parameters if name != "self"]
    return [name for name in names[room:] if name not in taken.parameters]


def _call_without(
    surplus: list[str], method: Callable[..., Any], order: list[str], /, *args: Any, **named: Any
) -> Any:
    """Call a method without the arguments that it does not take, whichever way they come."""
    names = [name for name in order if name != "self"]
    taken = [value for name, value in zip(names, args, strict=False) if name not in surplus]
    return method(*taken, **{name: value for name, value in named.items() if name not in surplus})
