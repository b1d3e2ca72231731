"""What simple means score on the rows of a run: always the same answer, and counting words."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.batching import Examples
from tunesmith.data.roles import Roles
from tunesmith.data.rows import Row, Source
from tunesmith.run.job import Job, rows_by_number

__all__ = ["BaselineScores", "baseline_scores", "drawn_rows"]

_MOST_ROWS, _MOST_CHARACTERS = 20_000, 4_000_000
"""Of a split, for counting words: more teaches it little and takes long."""


@dataclass(frozen=True, slots=True)
class BaselineScores:
    """What simple means score.

    Attributes:
        scores: by split, then by the names of `tunesmith.baselines.BASELINES`.
        constant: the logits of always the same answer; None where nothing is that.
        learned: training rows that words were counted in.
        rows: all training rows.
    """

    scores: Mapping[str, Mapping[str, Mapping[str, float | None]]] = field(default_factory=dict)
    constant: Sequence[float] | None = None
    learned: int = 0
    rows: int = 0


def baseline_scores(job: Job, splits: Iterable[str]) -> BaselineScores:
    """Learn from the training rows and score some splits.

    Of very large splits a drawn part is learned from and scored; what is always the same is scored
    on all rows.
    """
    if not job.task.needs_label:
        return BaselineScores()
    _places, rows = _some_rows(job, "train")
    scores: dict[str, Mapping[str, Mapping[str, float | None]]] = {}
    constant = None
    for split in splits:
        places, others = _some_rows(job, split)
        with warnings.catch_warnings():  # whether it has converged to the last digit is no matter
            warnings.simplefilter("ignore")
            answers = job.task.baselines(rows, others)
        if not answers:
            break
        constant = answers["constant"]["logits"][0]
        scores[split] = {
            "constant": _score(job, split, None, np.tile(constant, (len(job.examples[split]), 1))),
            "tfidf": _score(job, split, places, answers["tfidf"]["logits"]),
        }
    return BaselineScores(
        scores,
        None if constant is None else [float(value) for value in constant],
        len(rows),
        len(job.examples["train"]),
    )


def _some_rows(job: Job, split: str) -> tuple[NDArray[np.int64], list[Row]]:
    """The rows of a split, or a drawn part of many, and their places among its examples."""
    return drawn_rows(job.splits[split].source, job.task.roles, job.examples[split].rows)


def drawn_rows(
    source: Source, roles: Roles, numbers: NDArray[np.int64]
) -> tuple[NDArray[np.int64], list[Row]]:
    """Some rows of a source, or a drawn part of many.

    Args:
        source: holds them.
        roles: the used columns.
        numbers: of the rows, shape (n,).

    Returns:
        Places among `numbers`, and the rows there with the used columns.
    """
    order = np.arange(len(numbers))
    if len(order) > _MOST_ROWS:
        order = np.random.default_rng(0).choice(len(order), _MOST_ROWS, replace=False)
    found = rows_by_number(source, roles, numbers[order].tolist())
    rows = [found[number] for number in numbers[order].tolist()]
    columns = roles.text_columns
    sizes = accumulate(sum(len(str(row.values[name])) for name in columns) for row in rows)
    kept = max(1, sum(size <= _MOST_CHARACTERS for size in sizes))
    return order[:kept], rows[:kept]


def _score(
    job: Job, split: str, places: NDArray[np.int64] | None, logits: NDArray[Any]
) -> Mapping[str, float | None]:
    examples = job.examples[split]
    if places is not None:
        examples = Examples(examples.prepared, examples.at(places))
    return job.task.score(job.metrics, {"logits": logits}, examples, None).values
