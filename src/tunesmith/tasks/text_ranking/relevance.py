"""How relevant a passage is, and its rank among those of its query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.i18n import gettext as _
from tunesmith.metrics.output_kinds import Answers, ColumnType, OutputKind, RowAnswers
from tunesmith.metrics.probabilities import Floats
from tunesmith.metrics.ranking import Rankings, rank

__all__ = ["JUDGED", "Relevance"]

JUDGED = np.dtype([("label", np.float64), ("query", np.int64)])
"""The truth of a row: its label, and a hash of its query."""

_STEPS = ((1, 1), (2, 3), (4, 5), (6, 10), (11, None))


class _Ranked(float):
    """A score with its rank.

    Attributes:
        rank: among the passages of the query, from 1; those with equal scores share their mean.
        count: of these passages.
    """

    rank: float
    count: int

    @classmethod
    def of(cls, score: float, rank: float, count: int) -> _Ranked:
        """Return a score with its rank."""
        ranked = cls(score)
        ranked.rank, ranked.count = rank, count
        return ranked


@final
@dataclass(frozen=True)
class Relevance(OutputKind):
    """A score per passage, by which the passages of a query are ranked.

    Attributes:
        relevant_from: the lowest label of a relevant passage.
    """

    relevant_from: float = 1.0

    name: ClassVar[str] = "rankings"
    column_type: ClassVar[ColumnType] = "number"
    has_probability: ClassVar[bool] = False

    def format(self, entry: Any) -> str:
        """The label, or the score with its rank."""
        if isinstance(entry, _Ranked):
            return _("{score:.3f}, rank {rank:g} of {count}").format(
                score=float(entry), rank=entry.rank, count=entry.count
            )
        return f"{float(entry):g}"

    def is_relevant(self, labels: NDArray[Any]) -> NDArray[np.bool_]:
        """Which labels are those of relevant passages."""
        return np.asarray(labels >= self.relevant_from)

    def ranked(self, scores: NDArray[Any], truth: NDArray[Any]) -> Rankings:
        """Rank the passages of each query, by scores above 0 for relevant ones.

        Args:
            scores: logits, shape (n,).
            truth: of type `JUDGED`, shape (n,).
        """
        relevant = self.is_relevant(truth["label"])
        return rank(scores, truth["query"], truth["label"], relevant, (scores >= 0) == relevant)

    def recorded(self, answers: Answers, truth: NDArray[Any]) -> RowAnswers:
        """Stored scores with their ranks."""
        scores = np.array([answer["score"] for answer in answers], dtype=np.float64)
        ranking = self.ranked(scores, truth)
        counts = ranking.sizes[ranking.of_row]
        ranked = [
            _Ranked.of(*one)
            for one in zip(scores.tolist(), ranking.ranks.tolist(), counts.tolist(), strict=True)
        ]
        predicted = np.fromiter(ranked, dtype=object)
        return RowAnswers(truth["label"].copy(), predicted, groups=truth["query"].copy())

    def is_right(self, answers: RowAnswers) -> None:
        """None: what counts is the order of several passages."""

    def row_losses(self, answers: RowAnswers) -> Floats:
        """How many passages of the query are on the wrong side of each, shape (n,).

        Of a relevant passage those above it that are not relevant, of another one the relevant ones
        below it; equal scores count half.
        """
        return self._misplaced(answers)[0]

    def merits(self, answers: RowAnswers) -> Floats:
        """The fraction of passages of the other kind that are on the right side, shape (n,)."""
        wrong, others = self._misplaced(answers)
        merits: Floats = 1 - np.divide(wrong, others, out=np.zeros(len(wrong)), where=others > 0)
        return merits

    def _misplaced(self, answers: RowAnswers) -> tuple[Floats, Floats]:
        """Passages on the wrong side of each row, and those of the other kind, shape (n,) both."""
        scores = answers.predicted.astype(np.float64)
        relevant = self.is_relevant(answers.truth)
        assert answers.groups is not None  # noqa: S101 - `recorded` gives them
        wrong, others = np.zeros(len(scores)), np.zeros(len(scores))
        order = np.argsort(answers.groups, kind="stable")
        starts = np.flatnonzero(np.diff(answers.groups[order])) + 1
        for rows in np.split(order, starts):
            ones, zeros = rows[relevant[rows]], rows[~relevant[rows]]
            for some, other, sign in ((ones, zeros, -1.0), (zeros, ones, 1.0)):
                own, theirs = sign * scores[some], np.sort(sign * scores[other])
                below, up_to = (np.searchsorted(theirs, own, side=s) for s in ("left", "right"))
                wrong[some] = (below + up_to) / 2
                others[some] = len(other)
        return wrong, others

    def counted(self, answers: RowAnswers) -> list[Mapping[str, str | int | float]]:
        """How many queries have their first relevant passage at which ranks."""
        assert answers.groups is not None  # noqa: S101 - `recorded` gives them
        truth = np.zeros(len(answers), JUDGED)
        truth["label"], truth["query"] = answers.truth, answers.groups
        ranking = self.ranked(answers.predicted.astype(np.float64), truth)
        best = np.ceil(ranking.best_ranks[ranking.counted])
        rows: list[Mapping[str, str | int | float]] = []
        for low, high in _STEPS:
            inside = (best >= low) & (best <= (np.inf if high is None else high))
            ranks = str(low) if low == high else f"{low}–{high}" if high else f"≥ {low}"
            rows.append(
                {
                    _("rank of the first relevant passage"): ranks,
                    _("queries"): int(inside.sum()),
                    _("fraction"): float(inside.mean()) if len(best) else 0.0,
                }
            )
        return rows
