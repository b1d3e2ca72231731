"""What becomes of each argument of transformers' `TrainingArguments`: one table, nothing unsaid.

An argument does here what it does in transformers, or it is noted, which leaves the result as it
is, or it is refused with what to use. Some that change how steps are made are done by transformers'
own loop. A value that is the default says nothing and is not looked at; an argument this table does
not know is refused, so that none is ever ignored in silence.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Literal

from tunesmith.errors import ArgumentError, Place, Problem
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_

__all__ = [
    "TREATMENTS",
    "Treatment",
    "examine",
    "left_to_transformers",
    "notice",
    "refusal",
    "treatment_of",
]

_LOG = logging.getLogger("tunesmith.interop.trainer")


@dataclass(frozen=True, slots=True)
class Treatment:
    """What becomes of an argument that is not at its default.

    Attributes:
        kind: done as transformers does it, done by transformers' own loop, noted and left out, or
            refused.
        words: why it may be left out, or what to use instead; marked for translation.
    """

    kind: Literal["done", "transformers", "noted", "refused"]
    words: str = ""


def _noted(words: str) -> Treatment:
    return Treatment("noted", words)


def _refused(words: str) -> Treatment:
    return Treatment("refused", words)


_DONE = Treatment("done")
_WORKERS = _noted(N_("batches are made in the training process, there are no loader workers"))
_LAUNCH = _noted(N_("set by accelerate launch or torchrun"))
_SPEED = _noted(N_("it changes speed alone, and the engine has means of its own"))
_DIVIDED = _noted(N_("the loss is always divided by the targets of all processes"))
_WIDE = _refused(N_("training is shared among processes as a whole; use transformers' Trainer"))
_THEIRS = _refused(N_("not offered here; use transformers' Trainer"))


_LOOP = Treatment("transformers")


def _schedule(value: str) -> Treatment:
    """Schedules that wait for scores or losses are no function of the step."""
    name = str(getattr(value, "value", value))
    return _LOOP if name in ("reduce_lr_on_plateau", "greedy") else _DONE


GENERATION = (
    "predict_with_generate", "generation_max_length", "generation_num_beams", "generation_config",
)  # fmt: skip
"""Arguments of `Seq2SeqTrainingArguments` that a `Seq2SeqTrainer` takes."""

TREATMENTS: Mapping[str, Treatment | Callable[[Any], Treatment]] = {
    **dict.fromkeys(
        (
            "output_dir", "per_device_train_batch_size", "num_train_epochs", "max_steps",
            "learning_rate", "lr_scheduler_kwargs", "warmup_steps", "optim", "optim_args",
            "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon", "optim_target_modules",
            "gradient_accumulation_steps", "max_grad_norm", "label_smoothing_factor", "bf16",
            "fp16", "tf32", "activation_checkpointing", "activation_checkpointing_kwargs",
            "gradient_checkpointing", "gradient_checkpointing_kwargs", "use_cache",
            "logging_strategy", "logging_steps", "logging_first_step",
            "include_num_input_tokens_seen", "log_level", "log_level_replica", "disable_tqdm",
            "report_to", "run_name", "project", "trackio_space_id", "trackio_bucket_id",
            "trackio_static_space_id", "eval_strategy", "eval_steps", "eval_delay",
            "per_device_eval_batch_size", "prediction_loss_only", "eval_on_start",
            "include_for_metrics", "save_strategy", "save_steps", "save_total_limit",
            "push_to_hub", "hub_token", "hub_private_repo", "hub_model_id", "hub_revision",
            "load_best_model_at_end", "metric_for_best_model", "greater_is_better",
            "restore_callback_states_from_checkpoint", "full_determinism", "seed", "data_seed",
            "use_cpu", "remove_unused_columns", "label_names", "ddp_find_unused_parameters",
            "do_train", "do_eval", "do_predict", "resume_from_checkpoint", "length_column_name",
            "batch_eval_metrics", "eval_do_concat_batches", "bf16_full_eval", "fp16_full_eval",
            "skip_memory_metrics", "use_liger_kernel", "liger_kernel_config", "warmup_ratio",
            "logging_dir",
        ),
        _DONE,
    ),
    "lr_scheduler_type": _schedule,
    **dict.fromkeys(
        (
            "train_sampling_strategy", "dataloader_drop_last", "accelerator_config", "debug",
            "neftune_noise_alpha",
        ),
        _LOOP,
    ),
    # the result stays as it is without them
    **dict.fromkeys(
        (
            "dataloader_num_workers", "dataloader_pin_memory", "dataloader_persistent_workers",
            "dataloader_prefetch_factor", "dataloader_multiprocessing_context",
            "dataloader_in_order",
        ),
        _WORKERS,
    ),
    **dict.fromkeys(
        (
            "local_rank", "ddp_backend", "ddp_timeout", "ddp_bucket_cap_mb",
            "ddp_broadcast_buffers", "ddp_static_graph", "save_on_each_node", "log_on_each_node",
        ),
        _LAUNCH,
    ),
    **dict.fromkeys(
        (
            "torch_compile", "torch_compile_backend", "torch_compile_mode",
            "torch_empty_cache_steps",
        ),
        _SPEED,
    ),
    "average_tokens_across_devices": _DIVIDED,
    "auto_find_batch_size": _noted(
        N_("a step that does not fit into memory is made again in smaller parts")
    ),
    "eval_accumulation_steps": _noted(N_("answers go to main memory after every batch")),
    "eval_use_gather_object": _noted(N_("every process scores all rows")),
    "logging_nan_inf_filter": _noted(
        N_("an update whose gradient is not finite is left out, with a warning")
    ),
    "save_only_model": _noted(N_("checkpoints always hold what resuming needs")),
    "ignore_data_skip": _noted(N_("resuming has nothing to skip")),
    "hub_strategy": _noted(N_("the model is uploaded once, at the end of train()")),
    "hub_always_push": _noted(N_("the model is uploaded once, at the end of train()")),
    "sortish_sampler": _noted(N_("transformers has no such sampler either")),
    # training would be another than requested
    "enable_jit_checkpoint": _THEIRS,
    "fsdp": _WIDE,
    "fsdp_config": _WIDE,
    "deepspeed": _WIDE,
    "parallelism_config": _WIDE,
    **dict.fromkeys(
        GENERATION,
        _refused(N_("texts are generated by a Seq2SeqTrainer: use that class")),
    ),
}  # fmt: skip
"""Every argument of transformers 5.10 to 5.23; a function where it depends on the value."""


def treatment_of(name: str, value: object) -> Treatment:
    """What becomes of an argument with a value that is not its default."""
    treatment = TREATMENTS.get(name)
    if treatment is None:
        return _refused(N_("unknown here; leave it at its default"))
    return treatment if isinstance(treatment, Treatment) else treatment(value)


def examine(args: Any, *, generates: bool = False) -> None:
    """Log each argument that is noted, a line each.

    Args:
        args: `TrainingArguments` of transformers or of ours.
        generates: whether the Trainer generates texts, so that arguments of that count.

    Raises:
        ArgumentError: some are refused (R131); all of them at once.
    """
    problems = []
    for name, value in _changed(args).items():
        treatment = treatment_of(name, value)
        if treatment.kind == "noted":
            words = _("{name} is left out: {why}").format(name=name, why=_(treatment.words))
            notice("TrainingArguments: " + words)
        elif treatment.kind == "refused" and not (generates and name in GENERATION):
            shown = f"{name}={getattr(value, 'value', value)!r}"
            problems.append(refusal(shown, treatment.words))
    if problems:
        raise ArgumentError(problems)


def left_to_transformers(args: Any) -> list[str]:
    """The arguments that transformers' own loop does, and ours does not."""
    changed = _changed(args)
    return [name for name in changed if treatment_of(name, changed[name]).kind == "transformers"]


def _changed(args: Any) -> dict[str, object]:
    """The arguments that are not at their defaults, with derived values.

    Fields that a custom subclass adds are left alone.
    """
    # what transformers derives from use_cpu is no choice of the person
    theirs = next(c for c in type(args).__mro__ if c.__module__.startswith("transformers."))
    plain = _defaults(theirs, bool(args.use_cpu))
    return {
        field.name: getattr(args, field.name)
        for field in fields(theirs)
        if getattr(args, field.name) != getattr(plain, field.name)
    }


@lru_cache
def _defaults(kind: type, use_cpu: bool) -> Any:
    """Arguments as derived from nothing; made once, since that resets Accelerate's state."""
    return kind("out", use_cpu=use_cpu)


def refusal(argument: str, words: str, place: str = "TrainingArguments") -> Problem:
    """That an argument asks for what is not supported.

    Args:
        argument: its name and value.
        words: what to use instead, marked for translation.
        place: of what it is an argument.
    """
    return Problem(
        "R131",
        _("{argument} is not supported").format(argument=argument),
        Place(place),
        fix=_(words),
    )


def notice(words: str) -> None:
    """Log one line by Python's `logging`, from the first process only.

    Where a script has not set up `logging`, it goes to stderr.
    """
    from tunesmith.training.device import is_main_process

    if is_main_process():
        _LOG.warning(words)
