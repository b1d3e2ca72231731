"""Slices: how well a model does on parts of the rows, by class, length, language and file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.profile import script_shares
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_

__all__ = ["Slice", "by_length", "by_script", "score_slices"]

_FEWEST = 10
"""Rows below which the score of a slice says nothing."""

_LENGTHS = (
    N_("short"),
    N_("below the median"),
    N_("above the median"),
    N_("long"),
)
_SCRIPTS = (N_("latin"), N_("chinese"), N_("other"))


@dataclass(frozen=True, slots=True)
class Slice:
    """The score of some rows.

    Attributes:
        by: what they have in common: "class", "length", "language" or "file".
        value: which class, length, language or file.
        rows: how many they are.
        score: the share of right answers, or for numbers the mean absolute error.
    """

    by: str
    value: str
    rows: int
    score: float

    def as_json(self) -> dict[str, object]:
        """As plain values."""
        return asdict(self)

    def in_words(self) -> tuple[str, str]:
        """Both for people; a class or a file keeps its name."""
        is_ours = self.by in ("length", "language")
        ways = {
            "class": _("class"),
            "length": _("length"),
            "language": _("language"),
            "file": _("file"),
        }
        return ways[self.by], _(self.value) if is_ours else self.value


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
        groups: for each way to cut, the slice of each row; a way with one slice tells nothing and
            is left out.
        higher_is_better: the direction of `merits`.
        fewest: rows below which a slice is left out.
    """
    found = []
    for by, values in groups.items():
        members: defaultdict[str, list[int]] = defaultdict(list)
        for row, value in enumerate(values):
            members[value].append(row)
        if len(members) < 2:
            continue
        found += [
            Slice(by, value, len(rows), float(merits[rows].mean()))
            for value, rows in members.items()
            if len(rows) >= fewest
        ]
    sign = 1 if higher_is_better else -1
    return sorted(found, key=lambda part: (sign * part.score, -part.rows, part.by, part.value))


def by_length(texts: Sequence[Sequence[str]]) -> list[str]:
    """The quarter of each row by its characters, the second text of a pair included."""
    lengths = np.array([sum(map(len, row)) for row in texts])
    edges = np.quantile(lengths, [0.25, 0.5, 0.75]) if len(lengths) else []
    return [_LENGTHS[int(quarter)] for quarter in np.searchsorted(edges, lengths)]


def by_script(texts: Sequence[Sequence[str]]) -> list[str]:
    """The script that most letters of each row are of: "latin", "chinese" or "other"."""
    shares = (script_shares(row) for row in texts)
    return [max(_SCRIPTS, key=lambda script: share[script]) for share in shares]
