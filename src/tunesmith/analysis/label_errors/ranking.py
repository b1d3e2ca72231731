"""Rows with their answers: the worst, the most confused, and those probably mislabeled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from tunesmith.analysis.label_errors.held_out import HeldOut
from tunesmith.analysis.label_errors.slices import Slice, by_length, by_script, score_slices
from tunesmith.data.rows import Concatenated
from tunesmith.errors import Place

__all__ = ["Confusion", "RowError", "confused", "slices", "suspect", "worst"]


@dataclass(frozen=True, slots=True)
class RowError:
    """One labeled row and its answer.

    Attributes:
        split: "train", "validation" or "test".
        row: its number in the source, from 0.
        place: its file and line, if it has one.
        texts: its text, or the two of a pair.
        gold: its label.
        predicted: the answer.
        loss: how wrong the answer is: cross entropy, summed over labels; or the squared error.
        share: the probability of `gold`; None where answers have none.
        suggested: what the label should be, if it is probably wrong; else None.
        margin: of a suspect label, the lower the more suspect; else None.
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
    """One label confused with another.

    Attributes:
        gold: the label of the rows.
        predicted: the answer.
        count: the number of rows.
        worst: the row of these with the highest loss.
    """

    gold: str
    predicted: str
    count: int
    worst: RowError

    def as_json(self) -> dict[str, object]:
        """As plain values."""
        return {**asdict(self), "worst": self.worst.as_json()}


def worst(held_out: HeldOut, top: int | None = None) -> list[RowError]:
    """The rows with the highest loss."""
    order = np.argsort(-held_out.losses(), kind="stable")
    return list(_row_errors(held_out, order[:top].tolist()))


def confused(held_out: HeldOut, top: int | None = None) -> list[Confusion]:
    """Which labels are confused, the most frequent first."""
    losses = held_out.losses()
    rows: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for row, gold, predicted in held_out.kind.confusions(held_out.answers):
        rows[gold, predicted].append(row)
    pairs = sorted(rows.items(), key=lambda pair: -len(pair[1]))[:top]
    chosen = [max(members, key=lambda row: losses[row]) for _labels, members in pairs]
    return [
        Confusion(gold, predicted, len(members), row)
        for ((gold, predicted), members), row in zip(
            pairs, _row_errors(held_out, chosen), strict=True
        )
    ]


def suspect(held_out: HeldOut, top: int | None = None) -> list[RowError]:
    """The rows whose labels are probably wrong, the worst first; empty where none can be known."""
    suspects = held_out.kind.suspects(held_out.answers)
    if suspects is None:
        return []
    order = suspects.order[:top].tolist()
    return [
        replace(
            row,
            suggested=held_out.kind.format(suspects.suggested[i]),
            margin=float(suspects.margin[i]),
        )
        for i, row in zip(order, _row_errors(held_out, order), strict=True)
    ]


def slices(held_out: HeldOut) -> list[Slice]:
    """The score of the rows by class, length, language and file, the worst first."""
    kind, rows = held_out.kind, held_out.rows
    texts = [held_out.task.texts_of(row) for row in rows]
    groups = {"length": by_length(texts), "language": by_script(texts)}
    if (classes := kind.groups(held_out.answers.truth)) is not None:
        groups["class"] = classes
    inner = getattr(held_out.source, "source", held_out.source)  # of corrected rows
    if isinstance(inner, Concatenated):
        groups["file"] = [place.source for place in held_out.places(range(len(rows)))]
    merits = kind.merits(held_out.answers)
    return score_slices(merits, groups, higher_is_better=kind.higher_is_better)


def _row_errors(held_out: HeldOut, chosen: Sequence[int]) -> Iterator[RowError]:
    """Some rows, by their position."""
    task, kind, answers, losses = held_out.task, held_out.kind, held_out.answers, held_out.losses()
    shares = kind.truth_probabilities(answers)
    for i, place in zip(chosen, held_out.places(chosen), strict=True):
        yield RowError(
            held_out.split,
            held_out.rows[i].index,
            place,
            task.texts_of(held_out.rows[i]),
            kind.format(answers.truth[i]),
            kind.format(answers.predicted[i]),
            float(losses[i]),
            None if shares is None else float(np.prod(shares[i])),
        )
