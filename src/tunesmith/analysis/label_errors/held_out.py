"""Answers for labeled rows by a model that has not learned their labels.

For validation and test rows these are the predictions of the run. The training rows and their wrong
labels the model has memorized, so others answer for them: linear models of TF-IDF, and for pairs
also of how similar both texts are, whichever is better. Each learns from four fifths of the rows
and answers for the last fifth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.analysis.label_errors.pair_features import pair_features
from tunesmith.data.rows import Row, Source
from tunesmith.data.scan import verified_chunks
from tunesmith.data.splits import random_splits
from tunesmith.errors import Place
from tunesmith.inputs import Split
from tunesmith.inputs.corrections_table import mark_of
from tunesmith.metrics.baselines import simple_answers
from tunesmith.metrics.output_kinds import OutputKind, RawKind, RowAnswers
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.predictions import read_predictions
from tunesmith.tasks import Task

__all__ = ["HeldOut", "by_folds", "by_the_model"]

Judge = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.floating[Any]]]
"""From the rows to learn from and those to answer, by position, to raw values."""

_FOLDS = 5

_STRENGTH = 0.1
"""On MRPC 0.03, 0.1 and 1 do equally well."""


@dataclass(frozen=True)
class HeldOut:
    """The labeled rows of a split, and the answers for them.

    Attributes:
        split: "train", "validation" or "test".
        task: fitted.
        rows: the rows, with texts and labels.
        answers: to these rows, with their labels.
        source: where the rows are from; None if the data is not at hand.
    """

    split: str
    task: Task
    rows: Sequence[Row]
    answers: RowAnswers
    source: Source | None

    @property
    def kind(self) -> OutputKind:
        """What an answer is."""
        return self.task.output

    def losses(self) -> NDArray[np.float64]:
        """How wrong each answer is, shape (n,)."""
        return self.kind.row_losses(self.answers)

    def places(self, chosen: Sequence[int]) -> list[Place]:
        """Return where some rows are, by their position in `rows`."""
        numbers = [self.rows[i].index for i in chosen]
        known = self.source.places(numbers) if self.source is not None else {}
        return [known.get(number, Place(self.split, row=number)) for number in numbers]


def by_the_model(run: RunFolder, task: Task, split: str, source: Source | None) -> HeldOut | None:
    """The run's predictions for a split; None if there are none, or the rows have no labels.

    Raises:
        IntegrityError: the file of predictions cannot be read (C132).
    """
    records = read_predictions(run, split, task.roles.columns)
    rows = [Row(record.row, record.values) for record in records]
    if not rows or not all(task.is_labeled(row) for row in rows):
        return None
    answers = task.output.recorded([record.answer for record in records], task.targets(rows))
    return HeldOut(split, task, rows, answers, source)


def by_folds(task: Task, split: Split) -> HeldOut | None:
    """The answers for the training rows, each by a model that has not seen it.

    Rows with the same text or group are answered by one model, which has seen none of them. Of
    several kinds of model, and their mean, the one with the lowest loss is taken. None for tasks to
    which no simple model gives answers.
    """
    kind = task.output.raw_kind
    numbers = None if split.places is None else set(split.places.tolist())
    rows = [
        row
        for chunk in verified_chunks(split.source, task.roles.columns, split.digest)
        for row in chunk
        if numbers is None or row.index in numbers
    ]
    texts, truth = [task.texts_of(row) for row in rows], task.targets(rows)
    strata = np.zeros(len(rows), dtype=np.int64) if kind is None else kind.strata(truth)
    hashes = _hashes(texts)
    groups = _groups(rows, task.group_column, hashes)
    parts = random_splits(hashes, strata, [1 / _FOLDS] * (_FOLDS - 1), seed=0, groups=groups)
    if kind is None:
        judged = task.judge(rows, parts)
        return None if judged is None else HeldOut("train", task, rows, judged, split.source)
    raw = [_out_of_fold(kind, judge, parts) for judge in _judges(kind, texts, truth)]
    if len(raw) > 1:
        raw.append(np.mean(raw, axis=0))
    answers = [kind.answers(values, truth) for values in raw]
    best = min(answers, key=lambda each: float(kind.row_losses(each).sum()))
    return HeldOut("train", task, rows, best, split.source)


def _judges(kind: RawKind, texts: Sequence[Sequence[str]], truth: NDArray[Any]) -> Iterator[Judge]:
    """By TF-IDF; for pairs also by how similar both texts are."""
    yield lambda seen, others: simple_answers(
        kind, [texts[i] for i in seen], truth[seen], [texts[i] for i in others]
    )["tfidf"]
    if texts and len(texts[0]) == 2:
        features = pair_features(texts)
        yield lambda seen, others: kind.linear(
            features[seen], truth[seen], features[others], strength=_STRENGTH
        )


def _out_of_fold(
    kind: RawKind, judge: Judge, parts: Sequence[NDArray[np.int64]]
) -> NDArray[np.float64]:
    """For each row the raw values of a judge that learned from the other parts, shape (n, C)."""
    count = sum(len(part) for part in parts)
    raw = np.zeros((count, len(kind.names)))
    for part in parts:
        if 0 < len(part) < count:
            raw[part] = judge(np.setdiff1d(np.arange(count), part), part)
    return raw


def _groups(
    rows: Sequence[Row], column: str | None, hashes: NDArray[np.int64]
) -> NDArray[np.int64] | None:
    """Return a hash of the group of each row, of the row itself without one; None without groups.

    Args:
        rows: of the split.
        column: of the groups.
        hashes: of the texts of the rows.
    """
    if column is None:
        return None
    values = [row.values.get(column) for row in rows]
    is_own = np.array([value is None or value == "" for value in values])
    return np.where(is_own, hashes, _hashes([[str(value)] for value in values]))


def _hashes(texts: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    """Equal for rows whose texts differ at most in case and spaces."""
    plain = ([" ".join(text.casefold().split()) for text in row] for row in texts)
    return np.array([int(mark_of(row)[1:], 16) for row in plain], np.uint64).astype(np.int64)
