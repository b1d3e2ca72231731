"""The scores of the baselines on the rows of a run."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.columns import Roles
from tunesmith.data.rows import Row
from tunesmith.inputs import Split
from tunesmith.metrics.scores import BaselineAnswers, Scores
from tunesmith.runs.prepare import PreparedRun
from tunesmith.runs.rows import rows_by_number
from tunesmith.tasks import Predictions

__all__ = ["BaselineScores", "baseline_scores", "drawn_rows", "needed_rows"]

_MOST_ROWS, _MOST_CHARACTERS = 20_000, 4_000_000
"""Of a split, for TF-IDF: more improves it little and takes long."""


@dataclass(frozen=True, slots=True)
class BaselineScores:
    """What the baselines score.

    Attributes:
        scores: by split, then by the names of `tunesmith.metrics.baselines.BASELINES`.
        answers: what these were computed from, likewise.
        constant: the answer of the constant baseline, as logits; None if the task has none.
        learned: training rows that they learned from.
        rows: all training rows.
    """

    scores: Mapping[str, Mapping[str, Mapping[str, float | None]]] = field(default_factory=dict)
    answers: Mapping[str, Mapping[str, BaselineAnswers]] = field(default_factory=dict)
    constant: Sequence[float] | None = None
    learned: int = 0
    rows: int = 0


def baseline_scores(
    job: PreparedRun, splits: Iterable[str], rows: Mapping[str, Mapping[int, Row]] | None = None
) -> BaselineScores:
    """Learn from the training rows and score some splits.

    Of very large splits a random part is learned from and scored; the constant answer is scored on
    all rows.

    Args:
        job: whose rows.
        splits: labeled ones.
        rows: `needed_rows` of these splits and of "train" by number; None to read them.

    Raises:
        IntegrityError: the data is not what was surveyed (D160).
    """
    if not job.task.baseline_names:
        return BaselineScores()
    splits = list(splits)
    if rows is None:
        rows = job.rows(needed_rows(job, splits))
    task = job.task
    _places, training = _drawn_of(job, "train", rows["train"])
    constant = task.constant(training)
    scores: dict[str, dict[str, Scores]] = {split: {} for split in splits}
    answers: dict[str, dict[str, BaselineAnswers]] = {split: {} for split in splits}
    drawn = {split: _drawn_of(job, split, rows[split]) for split in splits}
    with warnings.catch_warnings():  # whether it has converged to the last digit is no matter
        warnings.simplefilter("ignore")
        others = [chosen for _places, chosen in drawn.values()]
        simple = task.baselines(training, *others) if others else []
    for split, learned in zip(splits, simple, strict=True):
        truth = job.truth(split)
        predicted: list[tuple[str, NDArray[np.int64] | None, Predictions]] = []
        if constant is not None:
            predicted.append(("constant", None, task.repeat(constant, len(truth))))
        at = None if _is_whole(job, split) else drawn[split][0]
        predicted += [(name, at, predictions) for name, predictions in learned.items()]
        for name, at, predictions in predicted:
            some = truth if at is None else truth[at]
            scores[split][name] = scored = task.score(job.metrics, predictions, some, None)
            if scored.answers is not None:
                answers[split][name] = BaselineAnswers(at, scored.answers)
    return BaselineScores(
        {split: {name: each.values for name, each in by.items()} for split, by in scores.items()},
        answers,
        constant,
        len(training),
        job.examples["train"].num_rows,
    )


def needed_rows(job: PreparedRun, splits: Iterable[str]) -> dict[str, list[int]]:
    """Return the numbers of the rows that baselines read: of some splits, and of "train"."""
    if not job.task.baseline_names:
        return {}
    needed = {}
    for name in ("train", *splits):
        numbers = job.examples[name].row_numbers
        order = slice(None) if _is_whole(job, name) else _drawn(len(numbers))
        needed[name] = numbers[order].tolist()
    return needed


def _is_whole(job: PreparedRun, split: str) -> bool:
    """Whether all rows of a split are answered: groups of rows are never scored in part."""
    return job.task.scores_groups and split != "train"


def drawn_rows(split: Split, roles: Roles) -> list[Row]:
    """Return the rows of a split, or a random part of many, as baselines learn from them.

    Raises:
        IntegrityError: the data is not what was surveyed (D160).
    """
    numbers = np.arange(split.num_rows) if split.places is None else split.places
    numbers = numbers[_drawn(len(numbers))]
    rows = rows_by_number({split.name: split}, roles, {split.name: numbers.tolist()})[split.name]
    chosen = [rows[number] for number in numbers.tolist()]
    return chosen[: _num_within(chosen, roles)]


def _drawn_of(
    job: PreparedRun, split: str, rows: Mapping[int, Row]
) -> tuple[NDArray[np.int64], list[Row]]:
    """Return positions among the rows of a split that gave examples, and the rows there."""
    numbers = job.examples[split].row_numbers
    order = np.arange(len(numbers)) if _is_whole(job, split) else _drawn(len(numbers))
    chosen = [rows[number] for number in numbers[order].tolist()]
    count = len(chosen) if _is_whole(job, split) else _num_within(chosen, job.task.roles)
    return order[:count], chosen[:count]


def _drawn(count: int) -> NDArray[np.int64]:
    """Return all of so many positions in order, or some of them at random."""
    order = np.arange(count)
    if count > _MOST_ROWS:
        order = np.random.default_rng(0).choice(count, _MOST_ROWS, replace=False)
    return order


def _num_within(rows: Sequence[Row], roles: Roles) -> int:
    """Return how many of the first rows have `_MOST_CHARACTERS` at most; at least one."""
    columns = roles.text_columns
    sizes = accumulate(sum(len(str(row.values[name])) for name in columns) for row in rows)
    return max(1, sum(size <= _MOST_CHARACTERS for size in sizes))
