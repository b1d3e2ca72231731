"""Slices: how well a model does on parts of the rows, by class, length, language and file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.profile import script_fractions
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_

__all__ = ["Slice", "by_length", "by_script", "score_slices"]

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


def by_length(texts: Sequence[Sequence[str]]) -> list[str]:
    """The quarter of each row by its characters, the second text of a pair included."""
    lengths = np.array([sum(map(len, row)) for row in texts])
    edges = np.quantile(lengths, [0.25, 0.5, 0.75]) if len(lengths) else []
    return [_LENGTHS[int(quarter)] for quarter in np.searchsorted(edges, lengths)]


def by_script(texts: Sequence[Sequence[str]]) -> list[str]:
    """The script that most letters of each row are of: "latin", "chinese" or "other"."""
    shares = (script_fractions(row) for row in texts)
    return [max(_SCRIPTS, key=lambda script: share[script]) for share in shares]
