"""What simple means score on the rows of a run: always the same answer, and TF-IDF."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.batches import Examples
from tunesmith.data.columns import Roles
from tunesmith.data.rows import Row
from tunesmith.inputs import Split
from tunesmith.metrics.scores import BaselineAnswers, Scores
from tunesmith.runs.prepare import PreparedRun
from tunesmith.runs.rows import rows_by_number

__all__ = ["BaselineScores", "baseline_scores", "drawn_rows", "needed_rows"]

_MOST_ROWS, _MOST_CHARACTERS = 20_000, 4_000_000
"""Of a split, for TF-IDF: more teaches it little and takes long."""


@dataclass(frozen=True, slots=True)
class BaselineScores:
    """What simple means score.

    Attributes:
        scores: by split, then by the names of `tunesmith.metrics.baselines.BASELINES`.
        answers: what these were computed from, likewise.
        constant: the logits of always the same answer; None where nothing is that.
        learned: training rows that words were counted in.
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

    Of very large splits a drawn part is learned from and scored; what is always the same is scored
    on all rows.

    Args:
        job: whose rows.
        splits: labelled ones.
        rows: `needed_rows` of these splits and of "train" by number; None to read them.

    Raises:
        IntegrityError: the data is not what was surveyed (D160).
    """
    if not job.task.needs_label:
        return BaselineScores()
    splits = list(splits)
    if rows is None:
        rows = job.rows(needed_rows(job, splits))
    _places, training = _drawn_of(job, "train", rows["train"])
    scores: dict[str, Mapping[str, Mapping[str, float | None]]] = {}
    kept: dict[str, Mapping[str, BaselineAnswers]] = {}
    constant = None
    for split in splits:
        places, others = _drawn_of(job, split, rows[split])
        with warnings.catch_warnings():  # whether it has converged to the last digit is no matter
            warnings.simplefilter("ignore")
            answers = job.task.baselines(training, others)
        if not answers:
            break
        constant = answers["constant"]["logits"][0]
        same = np.tile(constant, (len(job.examples[split]), 1))
        found = {
            "constant": _score(job, split, None, same),
            "tfidf": _score(job, split, places, answers["tfidf"]["logits"]),
        }
        scores[split] = {name: each.values for name, each in found.items()}
        where = {"constant": None, "tfidf": places}
        kept[split] = {
            name: BaselineAnswers(where[name], each.answers)
            for name, each in found.items()
            if each.answers is not None
        }
    return BaselineScores(
        scores,
        kept,
        None if constant is None else [float(value) for value in constant],
        len(training),
        len(job.examples["train"]),
    )


def needed_rows(job: PreparedRun, splits: Iterable[str]) -> dict[str, list[int]]:
    """The numbers of the rows that baselines of some splits read, by split; "train" is one."""
    if not job.task.needs_label:
        return {}
    needed = {}
    for name in ("train", *splits):
        numbers = job.examples[name].rows
        needed[name] = numbers[_drawn(len(numbers))].tolist()
    return needed


def drawn_rows(split: Split, roles: Roles) -> list[Row]:
    """The rows of a split, or a drawn part of many, as baselines learn from them.

    Raises:
        IntegrityError: the data is not what was surveyed (D160).
    """
    numbers = np.arange(split.num_rows) if split.places is None else split.places
    numbers = numbers[_drawn(len(numbers))]
    rows = rows_by_number({split.name: split}, roles, {split.name: numbers.tolist()})[split.name]
    found = [rows[number] for number in numbers.tolist()]
    return found[: _num_kept(found, roles)]


def _drawn_of(job: PreparedRun, split: str, rows: Mapping[int, Row]) -> tuple[NDArray[np.int64], list[Row]]:
    """Places among the examples of a split, and the rows there."""
    numbers = job.examples[split].rows
    order = _drawn(len(numbers))
    found = [rows[number] for number in numbers[order].tolist()]
    kept = _num_kept(found, job.task.roles)
    return order[:kept], found[:kept]


def _drawn(count: int) -> NDArray[np.int64]:
    """All of so many places in order, or some of them at random."""
    order = np.arange(count)
    if count > _MOST_ROWS:
        order = np.random.default_rng(0).choice(count, _MOST_ROWS, replace=False)
    return order


def _num_kept(rows: Sequence[Row], roles: Roles) -> int:
    """How many of the first rows have no more than `_MOST_CHARACTERS` together; at least one."""
    columns = roles.text_columns
    sizes = accumulate(sum(len(str(row.values[name])) for name in columns) for row in rows)
    return max(1, sum(size <= _MOST_CHARACTERS for size in sizes))


def _score(job: PreparedRun, split: str, places: NDArray[np.int64] | None, logits: NDArray[Any]) -> Scores:
    examples = job.examples[split]
    if places is not None:
        examples = Examples(examples.prepared, examples.at(places))
    return job.task.score(job.metrics, {"logits": logits}, examples, None)
