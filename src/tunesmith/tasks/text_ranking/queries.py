"""What the training rows of a ranking hold: queries with relevant and other passages."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from tunesmith.data.near_duplicates import normalized, text_hash
from tunesmith.errors import DataError, Problem, Severity
from tunesmith.i18n import gettext as _

__all__ = ["QueryCounts", "query_hash"]


def query_hash(query: object) -> int:
    """Return a number for a query; queries that differ in case and spaces have the same."""
    return text_hash(normalized([query]))


class QueryCounts:
    """Counts the labels of each query.

    Attributes:
        passages: rows.
        highest: the highest label.
        are_grades: whether all labels are whole numbers.
    """

    def __init__(self) -> None:
        """Start without rows."""
        self.passages = 0
        self.highest = 0.0
        self.are_grades = True
        self._ranges: dict[int, tuple[float, float]] = {}
        self._labels: dict[float, int] = {}

    def add(self, query: object, label: float) -> None:
        """Add a row."""
        self.passages += 1
        self.highest = max(self.highest, label)
        self.are_grades = self.are_grades and label == int(label)
        key = query_hash(query)
        low, high = self._ranges.get(key, (inf, -inf))
        self._ranges[key] = min(low, label), max(high, label)
        self._labels[label] = self._labels.get(label, 0) + 1

    @property
    def queries(self) -> int:
        """The number of queries."""
        return len(self._ranges)

    def relevant_from(self) -> float:
        """The lowest label of a relevant passage: of grades any but 0, else half of the highest."""
        if self.are_grades:
            return 1.0
        return self.highest / 2

    def relevant(self, relevant_from: float) -> int:
        """The number of relevant passages."""
        return sum(n for label, n in self._labels.items() if label >= relevant_from)

    def check(self, relevant_from: float) -> None:
        """Raise unless a query has relevant passages and others (D204)."""
        fix = _("Label what is relevant with 1 and other passages with 0.")
        relevant = self.relevant(relevant_from)
        if relevant in (0, self.passages):
            message = (
                _("all {count} passages are relevant; nothing to learn")
                if relevant
                else _("none of {count} passages is relevant; nothing to learn")
            )
            raise DataError.of("D204", message.format(count=self.passages), fix=fix)
        if not any(low < relevant_from <= high for low, high in self._ranges.values()):
            message = _("no query has relevant passages and others; nothing can be ranked")
            raise DataError.of("D204", message, fix=fix)

    def warnings(self, relevant_from: float) -> Iterator[Problem]:
        """Yield a problem for queries of which nothing about the order is learned."""
        none = sum(high < relevant_from for _low, high in self._ranges.values())
        only = sum(low >= relevant_from for low, _high in self._ranges.values())
        if none:
            message = _("{count} of {total} queries have no relevant passage")
            yield _warning(message.format(count=none, total=self.queries))
        if only:
            message = _("{count} of {total} queries have only relevant passages")
            yield _warning(message.format(count=only, total=self.queries))


def _warning(message: str) -> Problem:
    fix = _(
        "Scores leave out queries without a relevant passage; those with nothing else are always "
        "right. Add passages, best such as a search finds, or remove these queries."
    )
    return Problem("D371", message, fix=fix, severity=Severity.WARNING)
