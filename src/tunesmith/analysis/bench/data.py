"""What transformers' Trainer is given, so that it trains the same: arguments and rows."""

from __future__ import annotations

from typing import Any

from tunesmith.training.plan import SCHEDULERS

__all__ = ["as_features", "in_their_words"]


def in_their_words(job: Any) -> dict[str, Any]:
    """The recipe as `TrainingArguments` says it.

    Raises:
        ValueError: the recipe asks for something that Trainer would do differently.
    """
    own, plan = job.recipe.train, job.plan
    if not job.task.needs_label:
        raise ValueError("Trainer draws other masks: its rows cannot be compared")
    if own.micro_batch_size and own.micro_batch_size < own.batch_size:
        raise ValueError("with train.micro_batch_size its rows cannot be followed")
    if own.freeze:
        raise ValueError("train.freeze is not known to Trainer")
    if own.sampling != "natural":
        raise ValueError("train.sampling is not known to Trainer: it draws each row once")
    for option in ("class_weights", "focal_gamma"):
        if job.recipe.options.get(option) is not None:
            raise ValueError(f"options.{option} is not known to Trainer: its loss is another")
    return {
        "per_device_train_batch_size": own.batch_size,
        "learning_rate": own.learning_rate,
        "lr_scheduler_type": SCHEDULERS[own.schedule],
        "warmup_steps": plan.warmup_steps,
        "weight_decay": own.weight_decay,
        "adam_beta1": own.adam_beta1,
        "adam_beta2": own.adam_beta2,
        "adam_epsilon": own.adam_epsilon,
        "max_grad_norm": own.max_grad_norm or 0.0,
        "gradient_checkpointing": own.gradient_checkpointing,
    }


def as_features(examples: Any) -> list[dict[str, Any]]:
    """Tokenised rows as lists of numbers, as `datasets` gives them to a collator."""
    import numpy as np

    labels = examples.labels
    found = []
    for place, example in enumerate(examples.at(np.arange(len(examples))).tolist()):
        feature = {
            name: examples.prepared.sequence(name, example).tolist()
            for name in examples.prepared.names
        }
        feature["attention_mask"] = [1] * len(feature["input_ids"])
        label = labels[place]
        feature["labels"] = label.astype(np.float32) if label.dtype.kind in "fb" else int(label)
        feature["row"] = place
        found.append(feature)
    return found
