"""Rows beside their answers: the worst, the most confused, and those probably mislabelled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.analysis.label_errors.confident_learning import (
    Suspects,
    suspect_classes,
    suspect_labels,
    suspect_numbers,
)
from tunesmith.analysis.label_errors.held_out import HeldOut
from tunesmith.analysis.label_errors.slices import Slice, by_length, by_script, score_slices
from tunesmith.data.rows import Concatenated
from tunesmith.errors import Place
from tunesmith.i18n import gettext as _

__all__ = ["Confusion", "RowError", "confused", "slices", "suspect", "worst"]


@dataclass(frozen=True, slots=True)
class RowError:
    """One labelled row, and what is answered for it.

    Attributes:
        split: "train", "validation" or "test".
        row: its number in the source, from 0.
        place: the same for people: file and line, if it has one.
        texts: its text, or the two of a pair.
        gold: its label as given.
        predicted: the answer.
        loss: cross entropy, summed over labels; or the squared error.
        share: the probability of `gold`; None for numbers.
        suggested: what the label should be, if it is probably wrong; else None.
        margin: how suspect the label is then: the lower, the more; else None.
    """

    split: str
    row: int
    place: Place
    texts: tuple[str, ...]
    gold: str
    predicted: str
    loss: float
    share: float | None
    suggested: str | None = None
    margin: float | None = None

    @property
    def text(self) -> str:
        """The text; of a pair both, with a bar between them."""
        return " | ".join(self.texts)

    def as_json(self) -> dict[str, object]:
        """As plain values."""
        return {**asdict(self), "place": str(self.place)}


@dataclass(frozen=True, slots=True)
class Confusion:
    """One label taken for another.

    Attributes:
        gold: the label as given.
        predicted: what it is taken for.
        count: in how many rows.
        worst: the row of these with the highest loss.
    """

    gold: str
    predicted: str
    count: int
    worst: RowError

    def as_json(self) -> dict[str, object]:
        """As plain values."""
        return {**asdict(self), "worst": self.worst.as_json()}


def worst(answered: HeldOut, top: int | None = None) -> list[RowError]:
    """The rows with the highest loss."""
    order = np.argsort(-answered.losses(), kind="stable")
    return list(_judged(answered, order[:top].tolist()))


def confused(answered: HeldOut, top: int | None = None) -> list[Confusion]:
    """Which labels are taken for which, the most frequent first; numbers are never confused."""
    losses = answered.losses()
    rows: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for row, gold, predicted in _taken_for(answered):
        rows[gold, predicted].append(row)
    found = sorted(rows.items(), key=lambda pair: -len(pair[1]))[:top]
    chosen = [max(members, key=lambda row: losses[row]) for _labels, members in found]
    return [
        Confusion(gold, predicted, len(members), row)
        for ((gold, predicted), members), row in zip(found, _judged(answered, chosen), strict=True)
    ]


def _taken_for(answered: HeldOut) -> Iterator[tuple[int, str, str]]:
    """Each row and the two labels it is confused about; several times for several labels."""
    task, predicted = answered.task, _predicted(answered)
    if task.kind == "classes":
        for row in np.flatnonzero(predicted != answered.targets).tolist():
            gold = task.format_label(answered.targets[row])
            yield row, gold, task.format_label(predicted[row])
    elif task.kind == "labels":
        names = task.output_names()
        for row, label in np.argwhere(predicted != answered.targets).tolist():
            pair = (names[label], _("without {label}").format(label=names[label]))
            gold, taken = pair if answered.targets[row, label] else pair[::-1]
            yield row, gold, taken


def suspect(answered: HeldOut, top: int | None = None) -> list[RowError]:
    """The rows whose labels are probably wrong, the worst first, with what they should be."""
    found = _suspects(answered)
    order = found.order[:top].tolist()
    return [
        replace(
            judged,
            suggested=answered.task.format_label(found.suggested[i]),
            margin=float(found.margin[i]),
        )
        for i, judged in zip(order, _judged(answered, order), strict=True)
    ]


def _suspects(answered: HeldOut) -> Suspects:
    """How suspect each label is."""
    kind = answered.task.kind
    if kind == "numbers":
        return suspect_numbers(answered.outputs, answered.targets)
    find = suspect_classes if kind == "classes" else suspect_labels
    return find(answered.outputs, answered.targets)


def slices(answered: HeldOut) -> list[Slice]:
    """The score of the rows by class, length, language and file, the worst first."""
    task, rows = answered.task, answered.rows
    texts = [task.texts_of(row) for row in rows]
    groups = {"length": by_length(texts), "language": by_script(texts)}
    if task.kind == "classes":
        groups["class"] = [task.format_label(target) for target in answered.targets]
    inner = getattr(answered.source, "source", answered.source)  # of corrected rows
    if isinstance(inner, Concatenated):
        groups["file"] = [place.source for place in answered.places(range(len(rows)))]
    return score_slices(_merits(answered), groups, higher_is_better=task.kind != "numbers")


def _merits(answered: HeldOut) -> NDArray[np.float64]:
    """For each row 1 if the answer is right, 0 if it is wrong; for numbers the absolute error."""
    predicted = _predicted(answered)
    if answered.task.kind == "numbers":
        return np.asarray(np.abs(predicted - answered.targets), dtype=np.float64)
    is_right = np.asarray(predicted == answered.targets)
    return np.asarray(is_right.reshape(len(is_right), -1).all(axis=1), dtype=np.float64)


def _predicted(answered: HeldOut) -> NDArray[Any]:
    """The answers in the shape of the targets."""
    if answered.task.kind == "classes":
        return np.asarray(answered.outputs.argmax(axis=1))
    if answered.task.kind == "labels":
        return np.asarray(answered.outputs >= 0.5, dtype=np.int64)
    return answered.outputs


def _judged(answered: HeldOut, chosen: Sequence[int]) -> Iterator[RowError]:
    """Some rows, by their position."""
    task, losses, predicted = answered.task, answered.losses(), _predicted(answered)
    shares = answered.shares_of_gold()
    for i, place in zip(chosen, answered.places(chosen), strict=True):
        yield RowError(
            answered.split,
            answered.rows[i].index,
            place,
            task.texts_of(answered.rows[i]),
            task.format_label(answered.targets[i]),
            task.format_label(predicted[i]),
            float(losses[i]),
            None if shares is None else float(np.prod(shares[i])),
        )
