"""The worst rows, the confused labels, the probably wrong labels, and the scores of slices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tunesmith.analysis.label_errors.held_out import HeldOut
from tunesmith.data.profile import script_fractions
from tunesmith.data.rows import Concatenated
from tunesmith.errors import Place
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.metrics.output_kinds import OutputKind, Pieces, RowAnswers

__all__ = [
    "Confusion",
    "RowError",
    "Slice",
    "confused",
    "score_slices",
    "slices",
    "suspect",
    "worst",
]

_FEWEST = 10
"""Rows below which the score of a slice is noise."""

_LENGTHS = (
    N_("short"),
    N_("below the median"),
    N_("above the median"),
    N_("long"),
)
_WAYS = {
    "class": N_("class"),
    "length": N_("length"),
    "language": N_("language"),
    "file": N_("file"),
}
_SCRIPTS = (N_("latin"), N_("chinese"), N_("other"))


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
        gold_pieces: the text with what its label marks; empty for labels of whole texts.
        predicted_pieces: likewise with what the answer marks.
        probabilities: of the row's own choices, by letter; empty where all rows have the same.
        cells: label and suggestion as a table of corrections has them, by its columns.
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
    gold_pieces: Pieces = ()
    predicted_pieces: Pieces = ()
    probabilities: Mapping[str, float] = field(default_factory=dict)
    cells: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The text; of a pair both, with a bar between them."""
        return " | ".join(self.texts)

    def as_json(self) -> dict[str, object]:
        """As plain values."""
        values = {**asdict(self), "place": str(self.place)}
        return {
            name: value for name, value in values.items() if not name.endswith(("_pieces", "cells"))
        }


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


@dataclass(frozen=True, slots=True)
class Slice:
    """The score of some rows.

    Attributes:
        by: what they have in common: "class", "length", "language" or "file".
        value: which class, length, language or file.
        rows: how many they are.
        score: the fraction of right answers, or the mean absolute error of numbers.
    """

    by: str
    value: str
    rows: int
    score: float

    def as_json(self) -> dict[str, object]:
        """As plain values."""
        return asdict(self)

    def describe(self) -> tuple[str, str]:
        """Return both in the language of the user; a class or a file keeps its name."""
        is_named_here = self.by in ("length", "language")
        return _(_WAYS[self.by]), _(self.value) if is_named_here else self.value


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
            cells={
                **row.cells,
                "suggested": held_out.kind.written(suspects.suggested[i], row.texts[0]),
            },
            margin=float(suspects.margin[i]),
        )
        for i, row in zip(order, _row_errors(held_out, order), strict=True)
    ]


def slices(held_out: HeldOut) -> list[Slice]:
    """The score of the rows by class, length, language and file, the worst first."""
    kind, rows = held_out.kind, held_out.rows
    texts = [held_out.task.texts_of(row) for row in rows]
    groups = {"length": _by_length(texts), "language": _by_script(texts)}
    if (classes := kind.groups(held_out.answers.truth)) is not None:
        groups["class"] = classes
    inner = getattr(held_out.source, "source", held_out.source)  # of corrected rows
    if isinstance(inner, Concatenated):
        groups["file"] = [place.source for place in held_out.places(range(len(rows)))]
    merits = kind.merits(held_out.answers)
    return score_slices(merits, groups, higher_is_better=kind.higher_is_better)


def score_slices(
    merits: NDArray[np.float64],
    groups: Mapping[str, Sequence[str]],
    *,
    higher_is_better: bool,
    fewest: int = _FEWEST,
) -> list[Slice]:
    """The mean merit of each slice, the worst slice first.

    Args:
        merits: of each row, shape (n,): 1 for a right answer, 0 for a wrong one; or an error.
        groups: the slice of each row, by the way of slicing; a way with one slice is left out.
        higher_is_better: the direction of `merits`.
        fewest: rows below which a slice is left out.
    """
    slices = []
    for by, values in groups.items():
        members: defaultdict[str, list[int]] = defaultdict(list)
        for row, value in enumerate(values):
            members[value].append(row)
        if len(members) < 2:
            continue
        slices += [
            Slice(by, value, len(rows), float(merits[rows].mean()))
            for value, rows in members.items()
            if len(rows) >= fewest
        ]
    sign = 1 if higher_is_better else -1
    return sorted(slices, key=lambda part: (sign * part.score, -part.rows, part.by, part.value))


def _by_length(texts: Sequence[Sequence[str]]) -> list[str]:
    """The quarter of each row by its characters, the second text of a pair included."""
    lengths = np.array([sum(map(len, row)) for row in texts])
    edges = np.quantile(lengths, [0.25, 0.5, 0.75]) if len(lengths) else []
    return [_LENGTHS[int(quarter)] for quarter in np.searchsorted(edges, lengths)]


def _by_script(texts: Sequence[Sequence[str]]) -> list[str]:
    """The script that most letters of each row are of: "latin", "chinese" or "other"."""
    shares = (script_fractions(row) for row in texts)
    return [max(_SCRIPTS, key=lambda script: share[script]) for share in shares]


def _row_errors(held_out: HeldOut, chosen: Sequence[int]) -> Iterator[RowError]:
    """Some rows, by their position."""
    task, kind, answers, losses = held_out.task, held_out.kind, held_out.answers, held_out.losses()
    shares = kind.truth_probabilities(answers)
    for i, place in zip(chosen, held_out.places(chosen), strict=True):
        texts = task.texts_of(held_out.rows[i])
        yield RowError(
            held_out.split,
            held_out.rows[i].index,
            place,
            texts,
            kind.format(answers.truth[i]),
            kind.format(answers.predicted[i]),
            float(losses[i]),
            None if shares is None else float(np.prod(shares[i])),
            gold_pieces=kind.pieces(texts[0], answers.truth[i]),
            predicted_pieces=kind.pieces(texts[0], answers.predicted[i]),
            probabilities=_of_choices(kind, answers, i),
            cells={
                "label": kind.written(answers.truth[i], texts[0]),
                "suggested": kind.written(answers.predicted[i], texts[0]),
            },
        )


def _of_choices(kind: OutputKind, answers: RowAnswers, row: int) -> dict[str, float]:
    """The probability of each choice of a row, by its letter; nothing for classes."""
    if not kind.names_are_places:
        return {}
    shares = answers.probabilities[row].tolist()
    return {name: share for name, share in zip(kind.names, shares, strict=True) if share > 0}
