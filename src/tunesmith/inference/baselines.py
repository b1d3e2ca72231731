"""The scores of simple answers to the rows that a model is scored on."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from tunesmith.data.rows import Row
from tunesmith.metrics.scores import Metric, Scores
from tunesmith.tasks import Predictions, Task

__all__ = ["score_baselines"]


def score_baselines(
    task: Task,
    metrics: Sequence[Metric],
    training_rows: Sequence[Row],
    rows: Sequence[Row],
    truth: NDArray[Any],
    *,
    constant: Any,
) -> dict[str, Scores]:
    """Score the baselines by name: the constant answer, and others learned from training rows.

    Args:
        task: fitted.
        metrics: the scores.
        training_rows: rows of the training data; none for the constant alone.
        rows: the scored rows.
        truth: their labels.
        constant: the saved constant answer; None if there is none.
    """
    predicted: dict[str, Predictions] = {}
    if training_rows and task.baseline_names:
        constant = constant or task.constant(training_rows)
        with warnings.catch_warnings():  # the last digit of convergence does not matter
            warnings.simplefilter("ignore")
            predicted |= task.baselines(training_rows, rows)[0]
    if constant is not None:
        predicted = {"constant": task.repeat(constant, len(truth)), **predicted}
    return {
        name: task.score(metrics, predictions, truth, None)
        for name, predictions in predicted.items()
    }
