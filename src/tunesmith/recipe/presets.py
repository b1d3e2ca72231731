"""Presets: named sets of values that stand below the recipe's own."""

from __future__ import annotations

from tunesmith.i18n import gettext_noop as _

__all__ = ["DEFAULT_PRESET", "PRESETS", "PRESET_WORDS"]

DEFAULT_PRESET = "course"

PRESETS: dict[str, dict[str, object]] = {
    # The defaults of transformers.TrainingArguments, which chapter 3 of the course trains with.
    "course": {
        "train": {
            "epochs": 3,
            "batch_size": 8,
            "learning_rate": 5e-5,
            "schedule": "linear",
            "warmup": None,
            "weight_decay": 0.0,
            "adam_beta1": 0.9,
            "adam_beta2": 0.999,
            "adam_epsilon": 1e-8,
            "max_grad_norm": 1.0,
            "seed": 42,
            "precision": "fp32",
        }
    },
}

PRESET_WORDS = {"course": _("transformers' own defaults, as chapter 3 of the Hugging Face course")}
