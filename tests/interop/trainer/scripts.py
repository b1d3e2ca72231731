"""Small scripts for a Trainer, to be run with transformers' class and with ours and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch.utils.data import IterableDataset
from transformers import BertConfig, BertForSequenceClassification, set_seed
from transformers.trainer_utils import TrainOutput

import tunesmith

__all__ = ["Stream", "arguments", "compare", "compare_logs", "model_of", "rows_of", "trained_by"]

_TIMES = ("runtime", "per_second", "preparation_time")

Script = Callable[[Any, Path], Any]
"""Makes a Trainer of a library, in a folder."""


def model_of(*, dropout: float = 0.0, **settings: Any) -> Any:
    """A BERT of two layers, 16 wide, the same each time."""
    set_seed(1)
    config = BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=16, hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout, **settings,
    )  # fmt: skip
    return BertForSequenceClassification(config)


def rows_of(count: int = 26, *, mask: bool = True) -> list[dict[str, Any]]:
    """Rows of 12 tokens, some of them padding (0), with two classes."""
    random = np.random.default_rng(0)
    rows = []
    for _row in range(count):
        ids = [2, *random.integers(5, 40, int(random.integers(3, 9))).tolist(), 3]
        ids += [0] * (12 - len(ids))
        row: dict[str, Any] = {"input_ids": ids, "labels": sum(ids) % 2}
        rows.append(row | {"attention_mask": [int(i != 0) for i in ids]} if mask else row)
    return rows


class Stream(IterableDataset[dict[str, Any]]):
    """The same rows, one after the other, without a length."""

    def __init__(self, count: int = 26) -> None:
        self._count = count

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(rows_of(self._count))


def arguments(library: Any, folder: Path, kind: str = "TrainingArguments", **more: Any) -> Any:
    """A few steps on a CPU, each of them logged."""
    usual = {
        "report_to": "none", "use_cpu": True, "disable_tqdm": True, "learning_rate": 1e-2,
        "logging_steps": 1, "save_strategy": "no", "max_steps": 4,
    }  # fmt: skip
    return getattr(library, kind)(str(folder / library.__name__), **{**usual, **more})


def trained_by(library: Any, script: Script, folder: Path) -> tuple[Any, TrainOutput]:
    """The Trainer of a script once it has trained, and what that returned."""
    trainer = script(library, folder)
    return trainer, trainer.train()


def compare_logs(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    """The same entries, but for times; numbers to 2e-4."""
    assert len(ours) == len(theirs) > 0
    for one, two in zip(ours, theirs, strict=True):
        names = {name for name in (*one, *two) if not name.endswith(_TIMES)}
        assert {name: one.get(name) for name in names} == pytest.approx(
            {name: two.get(name) for name in names}, rel=2e-4, abs=1e-6, nan_ok=True
        )


def compare(script: Script, folder: Path, *, exact: bool = False) -> tuple[Any, Any]:
    """Run a script with both: the same losses, rates, norms, scores, decisions and weights.

    Args:
        script: makes the Trainer.
        folder: for its output.
        exact: whether weights must be equal to the bit, as where transformers' own loop trains.

    Returns:
        Our Trainer and transformers'.
    """
    theirs, expected = trained_by(transformers, script, folder)
    ours, output = trained_by(tunesmith, script, folder)
    compare_logs(ours.state.log_history, theirs.state.log_history)
    assert output.global_step == expected.global_step == ours.state.global_step > 0
    assert output.training_loss == pytest.approx(expected.training_loss, rel=2e-4)
    for (name, one), two in zip(
        ours.model.named_parameters(), theirs.model.parameters(), strict=True
    ):
        torch.testing.assert_close(
            one, two, rtol=0 if exact else 2e-4, atol=0 if exact else 5e-5, msg=name
        )
    return ours, theirs
