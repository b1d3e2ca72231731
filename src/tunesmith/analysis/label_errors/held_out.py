"""Answers for labelled rows by a model that has not learnt their labels.

For validation and test rows these are the run's own predictions. The training rows the model knows
by heart, wrong labels included, so others answer for them: linear models of counted words, and for
pairs also of how alike both texts are, whichever is the better. Each learns from four fifths of the
rows and answers for the last fifth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.analysis.label_errors.pair_features import likeness
from tunesmith.data.rows import Row, Source
from tunesmith.data.splits import draw_shares
from tunesmith.data.verified import verified_chunks
from tunesmith.errors import Place
from tunesmith.inputs import Split
from tunesmith.inputs.corrections_table import mark_of
from tunesmith.metrics.baselines import linear_answers
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.predictions import read_predictions
from tunesmith.tasks.labeled_text import LabeledTextTask

__all__ = ["HeldOut", "by_folds", "by_the_model"]

Judge = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.floating[Any]]]
"""From the rows it may learn from and those it is asked about, by position, to logits."""

_FOLDS = 5

_STRENGTH = 0.1
"""Of 0.03, 0.1 and 1 none was the better on MRPC; few numbers need no more."""

_LEAST = 1e-12
"""A probability of nought would be an endless loss."""


@dataclass(frozen=True)
class HeldOut:
    """The labelled rows of a split, and the answers for them.

    Attributes:
        split: "train", "validation" or "test".
        task: fitted.
        rows: the rows, with texts and labels.
        targets: their labels as numbers: (n,) classes or numbers, (n, C) zeros and ones.
        outputs: probabilities, shape (n, C), or predicted numbers, shape (n,).
        source: where the rows stand; None if the data is not at hand.
    """

    split: str
    task: LabeledTextTask
    rows: Sequence[Row]
    targets: NDArray[Any]
    outputs: NDArray[np.float64]
    source: Source | None

    def shares_of_gold(self) -> NDArray[np.float64] | None:
        """The probability of each given label, shape (n,), or of each yes and no, shape (n, C).

        Numbers have none.
        """
        if self.task.kind == "classes":
            return np.asarray(self.outputs[np.arange(len(self.targets)), self.targets])
        if self.task.kind == "labels":
            return np.where(self.targets == 1, self.outputs, 1 - self.outputs)
        return None

    def losses(self) -> NDArray[np.float64]:
        """For each row the cross entropy, summed over labels; or the squared error."""
        shares = self.shares_of_gold()
        if shares is None:
            return np.asarray(np.square(self.outputs - self.targets))
        losses = -np.log(np.maximum(shares, _LEAST))
        return np.asarray(losses.reshape(len(losses), -1).sum(axis=1))

    def places(self, chosen: Sequence[int]) -> list[Place]:
        """Where some rows stand, by their position in `rows`."""
        numbers = [self.rows[i].index for i in chosen]
        known = self.source.places(numbers) if self.source is not None else {}
        return [known.get(number, Place(self.split, row=number)) for number in numbers]


def by_the_model(
    run: RunFolder, task: LabeledTextTask, split: str, source: Source | None
) -> HeldOut | None:
    """The run's predictions for a split; None if there are none, or the rows have no labels.

    Raises:
        IntegrityError: the file of predictions cannot be read (C132).
    """
    records = read_predictions(run, split, task.roles.columns)
    rows = [Row(record.row, record.values) for record in records]
    if not rows or not all(task.is_labeled(row) for row in rows):
        return None
    if task.kind == "numbers":
        outputs = np.array([record.score for record in records])
    else:
        names = task.output_names()
        outputs = np.array([[record.scores[name] for name in names] for record in records])
    return HeldOut(split, task, rows, task.targets(rows), outputs, source)


def by_folds(task: LabeledTextTask, split: Split) -> HeldOut:
    """Answers for the training rows, each by a model that has not seen it.

    Rows with the same text are answered by the same model, which has seen none of them. Of several
    kinds of model, and their mean, the one counts whose answers have the least loss.
    """
    wanted = None if split.places is None else set(split.places.tolist())
    rows = [
        row
        for chunk in verified_chunks(split.source, task.roles.columns, split.digest)
        for row in chunk
        if wanted is None or row.index in wanted
    ]
    targets = task.targets(rows)
    parts = draw_shares(
        _text_hashes(task, rows), _strata(task, targets), [1 / _FOLDS] * (_FOLDS - 1), seed=0
    )
    found = [_out_of_fold(task, judge, parts) for judge in _judges(task, rows, targets)]
    if len(found) > 1:
        found.append(np.mean(found, axis=0))
    answered = [
        HeldOut("train", task, rows, targets, _shares(task, logits), split.source)
        for logits in found
    ]
    return min(answered, key=lambda one: float(one.losses().sum()))


def _judges(task: LabeledTextTask, rows: Sequence[Row], targets: NDArray[Any]) -> Iterator[Judge]:
    """By words; for pairs also by how alike both texts are."""
    yield lambda seen, asked: task.baselines([rows[i] for i in seen], [rows[i] for i in asked])[
        "tfidf"
    ]["logits"]
    if task.roles.text_pair is None or not rows:
        return
    known, num_outputs = likeness([task.texts_of(row) for row in rows]), len(task.output_names())
    yield lambda seen, asked: linear_answers(
        task.kind,
        known[seen],
        targets[seen],
        known[asked],
        num_outputs=num_outputs,
        strength=_STRENGTH,
    )


def _out_of_fold(
    task: LabeledTextTask, judge: Judge, parts: Sequence[NDArray[np.int64]]
) -> NDArray[np.float64]:
    """For each row the logits of a judge that learnt from the other parts, shape (n, C)."""
    count = sum(len(part) for part in parts)
    logits = np.zeros((count, len(task.output_names())))
    for part in parts:
        if 0 < len(part) < count:
            logits[part] = judge(np.setdiff1d(np.arange(count), part), part)
    return logits


def _text_hashes(task: LabeledTextTask, rows: Sequence[Row]) -> NDArray[np.int64]:
    """Equal for rows whose texts differ at most in case and spaces."""
    plain = ([" ".join(text.casefold().split()) for text in task.texts_of(row)] for row in rows)
    return np.array([int(mark_of(texts)[1:], 16) for texts in plain], np.uint64).astype(np.int64)


def _strata(task: LabeledTextTask, targets: NDArray[Any]) -> NDArray[np.int64]:
    """What each fold holds in proportion: the class, the set of labels, or a tenth of the range."""
    if task.kind == "numbers":
        return np.searchsorted(np.quantile(targets, np.linspace(0, 1, 11)[1:-1]), targets)
    found: NDArray[np.int64] = np.unique(targets, axis=0, return_inverse=True)[1]
    return found.reshape(-1).astype(np.int64)


def _shares(task: LabeledTextTask, logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logits as probabilities; numbers as they are."""
    if task.kind == "numbers":
        return logits[:, 0]
    if task.kind == "labels":
        return 1 / (1 + np.exp(-logits))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares
