"""Answers for labelled rows by a model that has not learnt their labels.

For validation and test rows these are the run's own predictions. The training rows the model knows
by heart, wrong labels included, so others answer for them: models of counted words, each of which
learns from four fifths of the rows and answers for the last fifth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.doubts import mark_of
from tunesmith.data.rows import Row, Source
from tunesmith.data.splits import draw_shares
from tunesmith.errors import Place
from tunesmith.inputs import Split
from tunesmith.run.folder import RunFolder
from tunesmith.run.predictions import read_predictions
from tunesmith.tasks.sequence import SequenceTask

__all__ = ["Answered", "by_folds", "by_the_model"]

_FOLDS = 5


@dataclass(frozen=True)
class Answered:
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
    task: SequenceTask
    rows: Sequence[Row]
    targets: NDArray[Any]
    outputs: NDArray[np.float64]
    source: Source | None

    def places(self, chosen: Sequence[int]) -> list[Place]:
        """Where some rows stand, by their position in `rows`."""
        numbers = [self.rows[i].index for i in chosen]
        known = self.source.places(numbers) if self.source is not None else {}
        return [known.get(number, Place(self.split, row=number)) for number in numbers]


def by_the_model(
    run: RunFolder, task: SequenceTask, split: str, source: Source | None
) -> Answered | None:
    """The run's predictions for a split; None if there are none, or the rows have no labels.

    Raises:
        IntegrityError: the file of predictions cannot be read (C132).
    """
    records = read_predictions(run, split, task.roles.columns)
    rows = [Row(record.row, record.values) for record in records]
    if not rows or not all(task.is_labelled(row) for row in rows):
        return None
    if task.kind == "numbers":
        outputs = np.array([record.score for record in records])
    else:
        names = task.output_names()
        outputs = np.array([[record.scores[name] for name in names] for record in records])
    return Answered(split, task, rows, task.targets(rows), outputs, source)


def by_folds(task: SequenceTask, split: Split) -> Answered:
    """Answers for the training rows, each by a model of words that has not seen it.

    Rows with the same text are answered by the same model, which has seen none of them.
    """
    wanted = None if split.places is None else set(split.places.tolist())
    rows = [
        row
        for chunk in split.source.chunks(task.roles.columns)
        for row in chunk
        if wanted is None or row.index in wanted
    ]
    targets = task.targets(rows)
    parts = draw_shares(
        _text_hashes(task, rows), _strata(task, targets), [1 / _FOLDS] * (_FOLDS - 1), seed=0
    )
    outputs = np.zeros((len(rows), len(task.output_names())))
    for part in parts:
        if len(part) == 0 or len(part) == len(rows):
            continue
        seen = np.setdiff1d(np.arange(len(rows)), part)
        answers = task.baselines([rows[i] for i in seen], [rows[i] for i in part])
        outputs[part] = answers["tfidf"]["logits"]
    return Answered("train", task, rows, targets, _shares(task, outputs), split.source)


def _text_hashes(task: SequenceTask, rows: Sequence[Row]) -> NDArray[np.int64]:
    """Equal for rows whose texts differ at most in case and spaces."""
    plain = ([" ".join(text.casefold().split()) for text in task.texts_of(row)] for row in rows)
    return np.array([int(mark_of(texts)[1:], 16) for texts in plain], np.uint64).astype(np.int64)


def _strata(task: SequenceTask, targets: NDArray[Any]) -> NDArray[np.int64]:
    """What each fold holds in proportion: the class, the set of labels, or a tenth of the range."""
    if task.kind == "numbers":
        return np.searchsorted(np.quantile(targets, np.linspace(0, 1, 11)[1:-1]), targets)
    found: NDArray[np.int64] = np.unique(targets, axis=0, return_inverse=True)[1]
    return found.reshape(-1).astype(np.int64)


def _shares(task: SequenceTask, logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logits as probabilities; numbers as they are."""
    if task.kind == "numbers":
        return logits[:, 0]
    if task.kind == "labels":
        return 1 / (1 + np.exp(-logits))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares
