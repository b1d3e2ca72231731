"""Metrics and state of a Trainer on the screen and in files, as example scripts ask for them.

Each takes the Trainer first and is a method there; what is written is what transformers writes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import trainer_pt_utils

__all__ = ["log_metrics", "save_metrics", "save_state"]


def log_metrics(trainer: Any, split: str, metrics: dict[str, float]) -> None:
    """Print metrics, one a line, in the first process.

    Args:
        trainer: whose they are.
        split: "train", "eval" or "test", for the headline.
        metrics: as `train`, `evaluate` or `predict` gave them.
    """
    trainer_pt_utils.log_metrics(trainer, split, metrics)


def save_metrics(
    trainer: Any, split: str, metrics: dict[str, float], combined: bool = True
) -> None:
    """Write metrics to `{split}_results.json` in the output folder, in the first process.

    Args:
        trainer: whose they are.
        split: "train", "eval", "test" or "all".
        metrics: as `train`, `evaluate` or `predict` gave them.
        combined: whether to add them to `all_results.json`, too.
    """
    _make_folder(trainer)
    trainer_pt_utils.save_metrics(trainer, split, metrics, combined)


def save_state(trainer: Any) -> None:
    """Write the state to `trainer_state.json` in the output folder, in the first process."""
    _make_folder(trainer)
    trainer_pt_utils.save_state(trainer)


def _make_folder(trainer: Any) -> None:
    """The output folder, which may not be there if nothing was saved yet."""
    if trainer.is_world_process_zero():
        Path(trainer.args.output_dir).mkdir(parents=True, exist_ok=True)
