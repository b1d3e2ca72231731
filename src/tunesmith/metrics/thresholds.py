"""Thresholds for a goal: every value at which a decision changes is tried.

The result is therefore the best on the rows that it was chosen on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from tunesmith.errors import RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.text import nearest

Floats = NDArray[np.float64]

__all__ = ["Goal", "Rule", "threshold_for_f1", "threshold_for_precision"]

Rule = Literal["each", "positive", "unsure"]
"""How thresholds decide: each label by its own; the positive class or else the other; or the most
likely class, and no answer below its threshold."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What thresholds are chosen for.

    Attributes:
        score: "f1", "precision" or "accuracy".
        at_least: what it must reach; None for the highest.
    """

    score: str
    at_least: float | None = None

    @classmethod
    def read(cls, written: str) -> Self:
        """The goal that "f1", "precision=0.9" or "accuracy=0.95" names.

        Raises:
            RecipeError: it names none (R180).
        """
        score, equals, number = written.partition("=")
        if score == "f1" and not equals:
            return cls(score)
        if score in ("precision", "accuracy"):
            try:
                at_least = float(number)
            except ValueError:
                at_least = math.nan
            if 0 < at_least <= 1:
                return cls(score, at_least)
        close = nearest(score, ("f1", "precision", "accuracy"))
        fix = _("Goals: f1, precision=0.9, accuracy=0.95, with numbers above 0 and up to 1.")
        if close and close[0] != score:
            fix = _('did you mean "{name}"?').format(name=close[0]) + "\n" + fix
        raise RecipeError.of("R180", _('"{written}" is no goal').format(written=written), fix=fix)

    def __str__(self) -> str:
        return self.score if self.at_least is None else f"{self.score}={self.at_least:g}"


def threshold_for_f1(
    shares: NDArray[Any], truth: NDArray[Any], *, total: int | None = None
) -> float | None:
    """Return the threshold with the highest F1, the highest of several; None without a true row.

    Args:
        shares: probabilities, shape (n,).
        truth: whether each is true, shape (n,).
        total: how many are true, where some have no probability.
    """
    total = int(np.count_nonzero(truth)) if total is None else total
    if total == 0 or len(shares) == 0:
        return None
    ends, counts, hits = _cuts(shares, truth)
    best = int(np.argmax(2 * hits / (counts + total)))
    return _between(ends, best)


def threshold_for_precision(
    shares: NDArray[Any], truth: NDArray[Any], at_least: float
) -> float | None:
    """Return the threshold with the highest recall at this precision; None if none reaches it.

    With right answers as `truth` it is the one with the highest coverage at this accuracy.
    """
    if len(shares) == 0:
        return None
    ends, counts, hits = _cuts(shares, truth)
    reaches = np.flatnonzero(hits >= at_least * counts - 1e-9)
    return _between(ends, int(reaches[-1])) if len(reaches) else None


def _cuts(
    shares: NDArray[Any], truth: NDArray[Any]
) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """The distinct probabilities, falling; rows with at least that much; how many are true."""
    order = np.argsort(-shares, kind="stable")
    falling = shares[order]
    is_end = np.append(falling[1:] != falling[:-1], True)
    hits = np.cumsum(truth[order].astype(np.int64))
    return falling[is_end], np.flatnonzero(is_end) + 1, hits[is_end]


def _between(ends: Floats, index: int) -> float:
    """Half way to the next lower probability, so that rounding decides nothing; else 0."""
    if index == len(ends) - 1:
        return 0.0
    upper, lower = float(ends[index]), float(ends[index + 1])
    middle = (upper + lower) / 2
    return middle if middle > lower else upper
