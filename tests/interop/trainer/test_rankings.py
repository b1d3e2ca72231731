from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.interop.trainer.scripts import arguments, compare, model_of, rows_of


def script(library: Any, folder: Path) -> Any:
    """A cross-encoder: one output, binary cross entropy with a label for each pair."""
    rows = [{**row, "labels": [float(row["labels"])]} for row in rows_of()]
    return library.Trainer(
        model_of(num_labels=1, problem_type="multi_label_classification"),
        arguments(library, folder, eval_strategy="steps", eval_steps=2),
        train_dataset=rows, eval_dataset=rows[:8],
        compute_metrics=lambda answers: {
            "right": float(((answers.predictions > 0) == answers.label_ids).mean())
        },
    )  # fmt: skip


def test_pairs_are_learned_as_with_transformers(tmp_path: Path) -> None:
    compare(script, tmp_path)
