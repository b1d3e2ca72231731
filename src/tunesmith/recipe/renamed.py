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
"""Keys of earlier recipes, each with its name now; a key keeps its section."""

RENAMED_FLAGS = {"--no-header": "--columns", "--normalise-labels": "--normalize-labels"}
"""Flags of earlier command lines, each with its name now."""


def new_name(key: str) -> str:
    """The name of a dotted key now: train.select_by for train.best."""
    return ".".join(new_path(tuple(key.split("."))))


def new_path(path: KeyPath) -> KeyPath:
    """The path of a key, or of what is in its value, under the key's name now."""
    for length in (1, 2):
        if renamed := RENAMED_KEYS.get(path[:length]):
            return (*renamed, *path[length:])
    return path


def renamed_message(old: str, new: str) -> str:
    """What to say about a key or flag under its old name."""
    return _("{old} is now called {new}").format(old=old, new=new)


def both_message(old: str, new: str) -> str:
    """What is wrong with a key or flag that is there under both names."""
    return _("{old} and {new} are the same, and both are set").format(old=old, new=new)


def with_new_names(values: Mapping[str, Any], section: KeyPath) -> dict[str, Any]:
    """The keys of one section under their names now; each old name is warned of.

    Raises:
        ValueError: a key is there under both names.
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
    """What stands here for a name from elsewhere.

    Attributes:
        key: the recipe key, or None if there is none.
        note: what to know, marked for translation.
        became: the name transformers itself gave it later, if it was removed there.
    """

    key: str | None = None
    note: str = ""
    became: str = ""

    def in_words(self, name: str) -> str:
        """One remark for beside a caret."""
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

RENAMED: dict[str, Renamed] = {
    # what the course and most scripts set
    "output_dir": Renamed(note=_FLAG_OUT),
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
    "optim": Renamed(note=N_("AdamW is the optimizer here")),
    "optim_args": Renamed(note=N_("see train.adam_beta1, adam_beta2, adam_epsilon")),
    "optim_target_modules": Renamed(note=_NOT_HERE),
    "bf16": Renamed("train.precision", N_("write bf16")),
    "fp16": Renamed("train.precision", N_("bf16 needs no loss scaling; write bf16")),
    "bf16_full_eval": Renamed("train.precision"),
    "fp16_full_eval": Renamed("train.precision"),
    "tf32": Renamed(note=_AUTOMATIC),
    "eval_strategy": Renamed("train.evaluate_every", N_("for example 1 epoch")),
    "eval_steps": Renamed("train.evaluate_every", N_("for example 200 steps")),
    "eval_delay": Renamed(note=_NOT_HERE),
    "eval_on_start": Renamed(note=_NOT_HERE),
    "save_strategy": Renamed("train.save_every", N_("for example 10 minutes")),
    "save_steps": Renamed("train.save_every", N_("for example 500 steps")),
    "save_total_limit": Renamed("train.keep_checkpoints"),
    "save_only_model": Renamed(note=N_("checkpoints always hold what resuming needs")),
    "logging_steps": Renamed("train.log_every"),
    "logging_strategy": Renamed("train.log_every"),
    "logging_first_step": Renamed("train.log_every"),
    "logging_nan_inf_filter": Renamed(note=N_("a number that is not finite is never hidden")),
    "load_best_model_at_end": Renamed("train.select_by", N_("naming a score keeps the best model")),
    "metric_for_best_model": Renamed("train.select_by"),
    "greater_is_better": Renamed("train.select_by", N_("each score knows its direction")),
    "report_to": Renamed("trackers"),
    "run_name": Renamed(note=_FLAG_OUT),
    "project": Renamed(note=_FLAG_OUT),
    "full_determinism": Renamed("train.deterministic"),
    "data_seed": Renamed("train.seed", N_("one seed orders rows and draws dropout")),
    "use_cpu": Renamed("train.device", N_("write cpu")),
    "gradient_checkpointing_kwargs": Renamed("train.gradient_checkpointing"),
    "activation_checkpointing": Renamed("train.gradient_checkpointing"),
    "activation_checkpointing_kwargs": Renamed("train.gradient_checkpointing"),
    "label_smoothing_factor": Renamed(note=_NOT_HERE),
    "neftune_noise_alpha": Renamed(note=_NOT_HERE),
    "train_sampling_strategy": Renamed(note=N_("rows are drawn at random")),
    "length_column_name": Renamed(note=_AUTOMATIC),
    "remove_unused_columns": Renamed(note=_AUTOMATIC),
    "label_names": Renamed("data.label"),
    "resume_from_checkpoint": Renamed(note=N_("the same command again resumes")),
    "ignore_data_skip": Renamed(note=N_("resuming has nothing to skip")),
    "restore_callback_states_from_checkpoint": Renamed(note=_AUTOMATIC),
    "auto_find_batch_size": Renamed("train.micro_batch_size"),
    "prediction_loss_only": Renamed("metrics", N_("write [loss]")),
    "include_for_metrics": Renamed(note=_NOT_HERE),
    "batch_eval_metrics": Renamed(note=_AUTOMATIC),
    "eval_accumulation_steps": Renamed(note=_AUTOMATIC),
    "eval_do_concat_batches": Renamed(note=_AUTOMATIC),
    "eval_use_gather_object": Renamed(note=_AUTOMATIC),
    "average_tokens_across_devices": Renamed(note=_AUTOMATIC),
    "include_num_input_tokens_seen": Renamed(note=_AUTOMATIC),
    "do_train": Renamed(note=N_("tunesmith train trains")),
    "do_eval": Renamed("train.evaluate_every"),
    "do_predict": Renamed("data.test", N_("a named test split is predicted at the end")),
    # uploads
    **dict.fromkeys(
        (
            "push_to_hub",
            "hub_model_id",
            "hub_strategy",
            "hub_private_repo",
            "hub_always_push",
            "hub_revision",
        ),
        Renamed(note=_HUB),
    ),
    "hub_token": Renamed(note=N_("set the variable HF_TOKEN or log in with `hf auth login`")),
    # how the process runs
    **dict.fromkeys(
        (
            "dataloader_num_workers",
            "dataloader_pin_memory",
            "dataloader_persistent_workers",
            "dataloader_prefetch_factor",
            "dataloader_multiprocessing_context",
            "dataloader_in_order",
            "dataloader_drop_last",
        ),
        Renamed(note=_NO_WORKERS),
    ),
    **dict.fromkeys(
        (
            "local_rank",
            "ddp_backend",
            "ddp_timeout",
            "ddp_bucket_cap_mb",
            "ddp_broadcast_buffers",
            "ddp_find_unused_parameters",
            "ddp_static_graph",
            "fsdp",
            "fsdp_config",
            "deepspeed",
            "accelerator_config",
            "parallelism_config",
            "save_on_each_node",
            "log_on_each_node",
        ),
        Renamed(note=_LAUNCH),
    ),
    **dict.fromkeys(
        (
            "torch_compile",
            "torch_compile_backend",
            "torch_compile_mode",
            "use_liger_kernel",
            "liger_kernel_config",
            "use_cache",
            "torch_empty_cache_steps",
            "enable_jit_checkpoint",
            "trackio_space_id",
            "trackio_bucket_id",
            "trackio_static_space_id",
            "debug",
            "skip_memory_metrics",
        ),
        Renamed(note=_NOT_HERE),
    ),
    "log_level": Renamed(note=N_("see -q")),
    "log_level_replica": Renamed(note=N_("only the first process speaks")),
    "disable_tqdm": Renamed(note=N_("see -q; without a terminal there are no bars")),
    # removed from transformers since 4.57
    "evaluation_strategy": Renamed(
        "train.evaluate_every", N_("for example 1 epoch"), became="eval_strategy"
    ),
    "warmup_ratio": Renamed("train.warmup", N_("for example 10%"), became="warmup_steps"),
    "group_by_length": Renamed(
        note=N_("rows are drawn at random"), became="train_sampling_strategy"
    ),
    "overwrite_output_dir": Renamed(note=N_("the same command resumes; --restart begins anew")),
    "logging_dir": Renamed("trackers", became="TENSORBOARD_LOGGING_DIR"),
    "no_cuda": Renamed("train.device", N_("write cpu"), became="use_cpu"),
    "use_mps_device": Renamed("train.device", N_("write mps")),
    "save_safetensors": Renamed(note=_SAFETENSORS),
    "half_precision_backend": Renamed(note=_AUTOMATIC),
    "fp16_backend": Renamed(note=_AUTOMATIC),
    "fp16_opt_level": Renamed(note=_AUTOMATIC),
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
        note=N_("set the variable HF_TOKEN or log in with `hf auth login`"),
        became="hub_token",
    ),
    "fsdp_min_num_params": Renamed(note=_LAUNCH, became="fsdp_config"),
    "fsdp_transformer_layer_cls_to_wrap": Renamed(note=_LAUNCH, became="fsdp_config"),
    "torchdynamo": Renamed(note=_NOT_HERE, became="torch_compile_backend"),
    "jit_mode_eval": Renamed(note=_NOT_HERE, became="torch_compile"),
    "tpu_num_cores": Renamed(note=_LAUNCH),
    "tpu_metrics_debug": Renamed(note=_NOT_HERE, became="debug"),
    "ray_scope": Renamed(note=_NOT_HERE),
    "past_index": Renamed(note=_NOT_HERE),
    "mp_parameters": Renamed(note=_NOT_HERE),
    "use_legacy_prediction_loop": Renamed(note=_AUTOMATIC),
    "_n_gpu": Renamed(note=_LAUNCH),
    # short forms of other tools
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
}
