"""Rows that a finished model cannot predict: refused, left out, or kept with an empty answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Literal, TypeVar, get_args

from tunesmith.data.findings import Finding, Findings, placed
from tunesmith.data.rows import BadRecordsError, Rejected, Row, Source
from tunesmith.errors import DataError, Place, Problem, RecipeError, Severity
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext
from tunesmith.text import did_you_mean, quoted

__all__ = ["POLICIES", "BadRows", "OnBadRow", "errors_among"]

OnBadRow = Literal["fail", "skip", "keep"]
POLICIES: tuple[str, ...] = get_args(OnBadRow)
"""What becomes of rows that cannot be predicted: an error, no answer, or an empty answer."""

T = TypeVar("T")


def errors_among(problems: Sequence[Problem]) -> list[Problem]:
    """Return the problems because of which rows cannot be used; the others are warnings."""
    return [problem for problem in problems if problem.severity is Severity.ERROR]


class BadRows:
    """The rows of one source that cannot be predicted, and what becomes of them."""

    def __init__(self, source: Source, policy: str) -> None:
        """Start with none.

        Args:
            source: the rows.
            policy: one of `POLICIES`.

        Raises:
            RecipeError: it is not (R104).
        """
        if policy not in POLICIES:
            raise RecipeError.of(
                "R104",
                _("{name} cannot be {value}: {reason}").format(
                    name="on_bad_row",
                    value=quoted([policy]),
                    reason=_("choose from {choices}").format(choices=", ".join(POLICIES)),
                ),
                fix=did_you_mean(policy, POLICIES, otherwise=_("Use one of these.")),
            )
        self._source = source
        self._policy = policy
        self._findings = Findings(source)
        self._unreadable: list[Rejected] = []
        self._count = 0

    @staticmethod
    def empty_answer(code: str) -> Mapping[str, object]:
        """The answer to a row that cannot be predicted, with the code of what is wrong with it."""
        return {"label": None, "score": None, "scores": None, "problem": code}

    @property
    def are_kept(self) -> bool:
        """Whether they get an empty answer, so that there is one for each row."""
        return self._policy == "keep"

    def chunks(self, columns: Collection[str] | None) -> Iterator[Sequence[Row]]:
        """The rows of the source; those that cannot be read have no place in any order.

        Raises:
            DataError: as the source does; unreadable rows only where bad rows are refused.
        """
        try:
            yield from self._source.chunks(columns)
        except BadRecordsError as error:
            if self._policy == "fail":
                raise
            self._unreadable.extend(error.records)

    def sort_out(
        self,
        rows: Sequence[Row],
        examine: Callable[[Row], Finding | None],
        encode: Callable[[Sequence[Row]], T],
    ) -> tuple[dict[int, str], T | None]:
        """The codes of the bad rows by their index, and the good ones encoded; None without any.

        Args:
            rows: some rows.
            examine: what is wrong with one, if it can be seen.
            encode: encodes rows, or raises `DataError` for one that it cannot encode.

        Raises:
            DataError: there are bad rows and they are refused.
        """
        codes: dict[int, str] = {}
        good = []
        for row in rows:
            finding = examine(row)
            if finding is not None and finding.severity is Severity.ERROR:
                codes[row.index] = finding.code
                self._findings.add(row.index, finding)
            else:
                good.append(row)
        if codes and self._policy == "fail":
            raise DataError(self._findings.problems())
        encoded = self._encoded(good, encode, codes) if good else None
        self._count += len(codes)
        return codes, encoded

    def _encoded(
        self, rows: Sequence[Row], encode: Callable[[Sequence[Row]], T], codes: dict[int, str]
    ) -> T | None:
        """The rows that can be encoded; the others are found by halving."""
        try:
            return encode(rows)
        except DataError as error:
            if self._policy == "fail":
                raise placed(error, self._source) from None
            first = error.problems[0]
        good = []
        stack = [rows]
        while stack:
            part = stack.pop()
            try:
                encode(part)
                good.append(part)
            except DataError as error:
                if len(part) == 1:
                    first = error.problems[0]
                    codes[part[0].index] = first.code
                    self._findings.add(part[0].index, Finding(first.code, first.message, first.fix))
                else:
                    half = len(part) // 2
                    stack += [part[half:], part[:half]]
        remaining = [row for part in good for row in part]
        return encode(remaining) if remaining else None

    def warning(self) -> Problem | None:
        """What was left out or left empty, counted, with the first places of each kind.

        None if every row could be predicted.
        """
        if not self._count and not self._unreadable:
            return None
        parts = []
        if self._count:
            message = (
                ngettext(
                    "{count} row cannot be predicted; its prediction is empty",
                    "{count} rows cannot be predicted; their predictions are empty",
                    self._count,
                )
                if self.are_kept
                else ngettext(
                    "{count} row cannot be predicted and is left out",
                    "{count} rows cannot be predicted and are left out",
                    self._count,
                )
            )
            parts.append(message.format(count=self._count))
        if self._unreadable:
            message = ngettext(
                "{count} row cannot be read and is left out",
                "{count} rows cannot be read and are left out",
                len(self._unreadable),
            )
            parts.append(message.format(count=len(self._unreadable)))
        kinds = [f"{p.code} {p.place}: {p.message}" for p in self._findings.problems()]
        kinds += [f"{bad.code} {bad.place}: {bad.reason}" for bad in self._unreadable[:5]]
        return Problem(
            "M153",
            "; ".join(parts),
            Place(self._source.name),
            evidence=tuple(kinds),
            fix=_("--on-bad-row fail stops at them, skip leaves them out."),
            severity=Severity.WARNING,
            count=self._count + len(self._unreadable),
        )
