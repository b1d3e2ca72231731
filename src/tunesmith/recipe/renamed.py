"""Renamed keys: those of earlier recipes, and names from transformers with the key to use here.

Keys of earlier recipes, and flags, are still read under their old name, with a notice. Names from
transformers (every argument of version 5, those removed since 4.57, and a few short forms of other
tools) are unknown keys; the table feeds the error messages.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.recipe.nested import KeyPath

__all__ = [
    "RENAMED",
    "RENAMED_FLAGS",
    "RENAMED_KEYS",
    "Renamed",
    "both_message",
    "new_name",
    "new_path",
    "renamed_message",
    "with_new_names",
]

RENAMED_KEYS: dict[KeyPath, KeyPath] = {
    ("track",): ("trackers",),
    ("data", "normalise_labels"): ("data", "normalize_labels"),
    ("train", "best"): ("train", "select_by"),
    ("train", "fast_without"): ("train", "disable"),
    ("options", "mask_share"): ("options", "mlm_probability"),
    ("options", "whole_words"): ("options", "whole_word_mask"),
    ("options", "always"): ("options", "always_mask"),
}
"""Keys of earlier recipes, each with its new name; a key keeps its section."""

RENAMED_FLAGS = {"--no-header": "--columns", "--normalise-labels": "--normalize-labels"}
"""Flags of earlier command lines, each with its new name."""


def new_name(key: str) -> str:
    """Return the new name of a dotted key: train.select_by for train.best."""
    return ".".join(new_path(tuple(key.split("."))))


def new_path(path: KeyPath) -> KeyPath:
    """Return a path under the new name of its key."""
    for length in (1, 2):
        if renamed := RENAMED_KEYS.get(path[:length]):
            return (*renamed, *path[length:])
    return path


def renamed_message(old: str, new: str) -> str:
    """Return the notice for a key or flag under its old name."""
    return _("{old} is now called {new}").format(old=old, new=new)


def both_message(old: str, new: str) -> str:
    """Return the error for a key or flag that is set under both names."""
    return _("{old} and {new} are the same, and both are set").format(old=old, new=new)


def with_new_names(values: Mapping[str, Any], section: KeyPath) -> dict[str, Any]:
    """Return the values of one section by their new names, with a FutureWarning for each old one.

    Raises:
        ValueError: a key is set under both names.
    """
    names = {
        old[-1]: new[-1]
        for old, new in RENAMED_KEYS.items()
        if old[:-1] == section and old[-1] in values
    }
    for old, new in names.items():
        dotted = ".".join((*section, old)), ".".join((*section, new))
        if new in values:
            raise ValueError(both_message(*dotted))
        warnings.warn(f"R124: {renamed_message(*dotted)}", FutureWarning, stacklevel=4)
    return {names.get(key, key): value for key, value in values.items()}


@dataclass(frozen=True, slots=True)
class Renamed:
    """The counterpart of an argument of transformers.

    Attributes:
        key: the recipe key, if there is one.
        note: advice, marked for translation.
        became: its new name in transformers, if it was renamed there.
    """

    key: str | None = None
    note: str = ""
    became: str = ""

    def remark(self, name: str) -> str:
        """Return a remark for an error message."""
        parts = []
        if self.became:
            parts.append(_("became {name} in transformers").format(name=self.became))
        if self.key:
            parts.append(_("here {key}").format(key=self.key))
        if self.note:
            parts.append(_(self.note))
        return "; ".join(parts) or _("{name} has no counterpart here").format(name=name)


_AUTOMATIC = N_("automatic here, remove it")
_NOT_HERE = N_("not offered here, remove it")
_FLAG_OUT = N_("the folder is named by --out")
_NO_WORKERS = N_("batches are sliced from prepared data, there are no loader workers")
_SAFETENSORS = N_("always safetensors")
_HUB = N_("training does not upload; the finished model folder can be pushed")
_LAUNCH = N_("set by accelerate launch or torchrun")


def _each(names: str, note: str) -> dict[str, Renamed]:
    return dict.fromkeys(names.split(), Renamed(note=note))


RENAMED: dict[str, Renamed] = {
    # arguments of transformers 5, and short forms of other tools
    "num_train_epochs": Renamed("train.epochs"),
    "per_device_train_batch_size": Renamed(
        "train.batch_size", N_("rows per optimizer step, over all devices")
    ),
    "per_device_eval_batch_size": Renamed("train.eval_batch_size"),
    "gradient_accumulation_steps": Renamed(
        "train.micro_batch_size", N_("batch_size stays; rows of one forward pass")
    ),
    "lr_scheduler_type": Renamed("train.schedule"),
    "lr_scheduler_kwargs": Renamed("train.schedule", N_("schedules have no further options")),
    "warmup_steps": Renamed("train.warmup", N_("for example 100 steps or 10%")),
    "bf16": Renamed("train.precision", N_("write bf16")),
    "fp16": Renamed("train.precision", N_("bf16 needs no loss scaling; write bf16")),
    "bf16_full_eval": Renamed("train.precision"),
    "fp16_full_eval": Renamed("train.precision"),
    "eval_strategy": Renamed("train.evaluate_every", N_("for example 1 epoch")),
    "eval_steps": Renamed("train.evaluate_every", N_("for example 200 steps")),
    "save_strategy": Renamed("train.save_every", N_("for example 10 minutes")),
    "save_steps": Renamed("train.save_every", N_("for example 500 steps")),
    "save_total_limit": Renamed("train.keep_checkpoints"),
    "logging_steps": Renamed("train.log_every"),
    "logging_strategy": Renamed("train.log_every"),
    "logging_first_step": Renamed("train.log_every"),
    "load_best_model_at_end": Renamed("train.select_by", N_("naming a score keeps the best model")),
    "metric_for_best_model": Renamed("train.select_by"),
    "greater_is_better": Renamed("train.select_by", N_("each score knows its direction")),
    "report_to": Renamed("trackers"),
    "full_determinism": Renamed("train.deterministic"),
    "data_seed": Renamed("train.seed", N_("one seed orders rows and draws dropout")),
    "use_cpu": Renamed("train.device", N_("write cpu")),
    "gradient_checkpointing_kwargs": Renamed("train.gradient_checkpointing"),
    "activation_checkpointing": Renamed("train.gradient_checkpointing"),
    "activation_checkpointing_kwargs": Renamed("train.gradient_checkpointing"),
    "label_names": Renamed("data.label"),
    "auto_find_batch_size": Renamed("train.micro_batch_size"),
    "prediction_loss_only": Renamed("metrics", N_("write [loss]")),
    "do_eval": Renamed("train.evaluate_every"),
    "do_predict": Renamed("data.test", N_("a named test split is predicted at the end")),
    "use_mps_device": Renamed("train.device", N_("write mps")),
    "lr": Renamed("train.learning_rate"),
    "num_epochs": Renamed("train.epochs"),
    "base_model": Renamed("model"),
    "model_name_or_path": Renamed("model"),
    "max_seq_length": Renamed("train.max_length"),
    "early_stopping_patience": Renamed("train.early_stopping", N_("for example 3 evaluations")),
    "train_file": Renamed("data.train"),
    "validation_file": Renamed("data.validation"),
    "dataset_name": Renamed("data.train"),
    "text_column": Renamed("data.text"),
    "label_column": Renamed("data.label"),
    "optim": Renamed(note=N_("AdamW is the optimizer here")),
    "optim_args": Renamed(note=N_("see train.adam_beta1, adam_beta2, adam_epsilon")),
    "save_only_model": Renamed(note=N_("checkpoints always hold what resuming needs")),
    "logging_nan_inf_filter": Renamed(note=N_("a number that is not finite is never hidden")),
    "train_sampling_strategy": Renamed(note=N_("rows are drawn at random")),
    "resume_from_checkpoint": Renamed(note=N_("the same command again resumes")),
    "ignore_data_skip": Renamed(note=N_("resuming has nothing to skip")),
    "do_train": Renamed(note=N_("tunesmith train trains")),
    "hub_token": Renamed(note=N_("set the variable HF_TOKEN or log in with `hf auth login`")),
    "log_level": Renamed(note=N_("see -q")),
    "log_level_replica": Renamed(note=N_("only the first process speaks")),
    "disable_tqdm": Renamed(note=N_("see -q; without a terminal there are no bars")),
    "overwrite_output_dir": Renamed(note=N_("the same command resumes; --restart starts over")),
    "save_safetensors": Renamed(note=_SAFETENSORS),
    **_each("output_dir run_name project", _FLAG_OUT),
    **_each(
        "optim_target_modules eval_delay eval_on_start label_smoothing_factor neftune_noise_alpha "
        "include_for_metrics torch_compile torch_compile_backend torch_compile_mode "
        "use_liger_kernel liger_kernel_config use_cache torch_empty_cache_steps "
        "enable_jit_checkpoint trackio_space_id trackio_bucket_id trackio_static_space_id debug "
        "skip_memory_metrics ray_scope past_index mp_parameters",
        _NOT_HERE,
    ),
    **_each(
        "tf32 length_column_name remove_unused_columns restore_callback_states_from_checkpoint "
        "batch_eval_metrics eval_accumulation_steps eval_do_concat_batches eval_use_gather_object "
        "average_tokens_across_devices include_num_input_tokens_seen half_precision_backend "
        "fp16_backend fp16_opt_level use_legacy_prediction_loop",
        _AUTOMATIC,
    ),
    **_each(
        "push_to_hub hub_model_id hub_strategy hub_private_repo hub_always_push hub_revision", _HUB
    ),
    **_each(
        "dataloader_num_workers dataloader_pin_memory dataloader_persistent_workers "
        "dataloader_prefetch_factor dataloader_multiprocessing_context dataloader_in_order "
        "dataloader_drop_last",
        _NO_WORKERS,
    ),
    **_each(
        "local_rank ddp_backend ddp_timeout ddp_bucket_cap_mb ddp_broadcast_buffers "
        "ddp_find_unused_parameters ddp_static_graph fsdp fsdp_config deepspeed "
        "accelerator_config parallelism_config save_on_each_node log_on_each_node tpu_num_cores "
        "_n_gpu",
        _LAUNCH,
    ),
    # removed from transformers since 4.57
    "evaluation_strategy": Renamed(
        "train.evaluate_every", N_("for example 1 epoch"), became="eval_strategy"
    ),
    "warmup_ratio": Renamed("train.warmup", N_("for example 10%"), became="warmup_steps"),
    "group_by_length": Renamed(
        note=N_("rows are drawn at random"), became="train_sampling_strategy"
    ),
    "logging_dir": Renamed("trackers", became="TENSORBOARD_LOGGING_DIR"),
    "no_cuda": Renamed("train.device", N_("write cpu"), became="use_cpu"),
    "per_gpu_train_batch_size": Renamed("train.batch_size", became="per_device_train_batch_size"),
    "per_gpu_eval_batch_size": Renamed(
        "train.eval_batch_size", became="per_device_eval_batch_size"
    ),
    "adafactor": Renamed(note=N_("AdamW is the optimizer here"), became="optim"),
    "include_inputs_for_metrics": Renamed(note=_NOT_HERE, became="include_for_metrics"),
    "include_tokens_per_second": Renamed(note=_AUTOMATIC, became="include_num_input_tokens_seen"),
    "push_to_hub_model_id": Renamed(note=_HUB, became="hub_model_id"),
    "push_to_hub_organization": Renamed(note=_HUB, became="hub_model_id"),
    "push_to_hub_token": Renamed(
        note=N_("set the variable HF_TOKEN or log in with `hf auth login`"), became="hub_token"
    ),
    "fsdp_min_num_params": Renamed(note=_LAUNCH, became="fsdp_config"),
    "fsdp_transformer_layer_cls_to_wrap": Renamed(note=_LAUNCH, became="fsdp_config"),
    "torchdynamo": Renamed(note=_NOT_HERE, became="torch_compile_backend"),
    "jit_mode_eval": Renamed(note=_NOT_HERE, became="torch_compile"),
    "tpu_metrics_debug": Renamed(note=_NOT_HERE, became="debug"),
}
