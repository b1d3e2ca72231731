"""The survey: one pass over a source before any model is loaded.

It finds every bad row, hashes the content that training will read, and collects what random splits
need, in a few numbers per row. `verified_chunks` reads the same rows again.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.findings import Finding, Findings
from tunesmith.data.near_duplicates import normalized, text_hash
from tunesmith.data.rows import BadRecordsError, Rejected, Row, Source
from tunesmith.errors import DataError, IntegrityError, Place, Problem, Severity
from tunesmith.i18n import gettext as _

__all__ = ["Survey", "changed", "content_of", "verified_chunks"]


class Survey:
    """One pass over the rows of a source: iterate `rows()` to the end, then read the attributes.

    Attributes:
        findings: the bad rows.
        columns: the used columns.
        num_rows: of all rows, bad ones included.
        digest: sha256 over the used columns of all rows, in order.
        bad: what is wrong with each row that cannot be used, by its number.
        reading_problems: why the source could not be read, or not all of it.
        unreadable: the records that could not be read; none if reading ended there.
    """

    def __init__(
        self,
        source: Source,
        *,
        columns: Sequence[str],
        text_columns: Sequence[str],
        examine: Callable[[Row], Finding | None],
        stratum: Callable[[Row], Hashable],
        group_column: str | None = None,
        watch: Callable[[Row, str], None] | None = None,
    ) -> None:
        """Prepare the pass.

        Args:
            source: to read.
            columns: the used columns.
            text_columns: those of them that hold text.
            examine: returns what is wrong with a row, None if nothing.
            stratum: returns what random splits keep in proportion; a float is binned, and of a
                tuple the rarest member counts.
            group_column: random splits keep rows with one value in it together.
            watch: called with every good row and its normalized text.
        """
        self.source = source
        self.findings = Findings(source)
        self.num_rows = 0
        self.bad: dict[int, Finding] = {}
        self.reading_problems: tuple[Problem, ...] = ()
        self.unreadable: tuple[Rejected, ...] = ()
        self.columns = tuple(columns)
        self._text_columns = tuple(text_columns)
        self._examine = examine
        self._stratum = stratum
        self._group_column = group_column
        self._watch = watch
        self._hash = hashlib.sha256()
        self._texts = array("q")
        self._groups = array("q")
        self._strata: array[Any] = array("i")  # numbers of strata, until the first float
        self._known: dict[Hashable, int] = {}

    def rows(self) -> Iterator[Row]:
        """Yield the good rows, and collect everything else."""
        try:
            for chunk in self.source.chunks(self.columns):
                for row in chunk:
                    self.num_rows += 1
                    self._hash.update(content_of(row, self.columns))
                    finding = self._examine(row)
                    if finding is not None:
                        self.refuse(row.index, finding)
                    if finding is None or finding.severity is not Severity.ERROR:
                        self._collect(row)
                        yield row
        except BadRecordsError as error:
            self.reading_problems, self.unreadable = error.problems, error.records
        except DataError as error:
            self.reading_problems = error.problems

    def refuse(self, row: int, finding: Finding) -> None:
        """Record what is wrong with a row."""
        self.findings.add(row, finding)
        if finding.severity is Severity.ERROR:
            self.bad[row] = finding

    def all_rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """Read the source again; yield every row that can be read, good or bad."""
        with suppress(BadRecordsError):
            for chunk in self.source.chunks(columns):
                yield from chunk

    @property
    def digest(self) -> str:
        """The sha256 of the used columns of all rows, as hexadecimal digits."""
        return self._hash.hexdigest()

    @property
    def text_hashes(self) -> NDArray[np.int64]:
        """For each good row a hash of its normalized text."""
        return np.frombuffer(self._texts, dtype=np.int64)

    @property
    def group_hashes(self) -> NDArray[np.int64] | None:
        """For each good row a hash of its group; None if rows have no groups.

        A row without a value is a group of its own, with others of the same text.
        """
        if self._group_column is None:
            return None
        return np.frombuffer(self._groups, dtype=np.int64)

    @property
    def is_continuous(self) -> bool:
        """Whether strata are numbers to be binned, not classes."""
        return self._strata.typecode == "d"

    @property
    def strata(self) -> NDArray[np.integer[Any]]:
        """For each good row the number of its stratum; continuous targets in ten equal parts."""
        if not self.is_continuous:
            return np.frombuffer(self._strata, dtype=np.intc)
        values = np.frombuffer(self._strata, dtype=np.float64)
        edges = np.quantile(values, np.linspace(0, 1, 11)[1:-1]) if len(values) else values
        return np.searchsorted(edges, values, side="right").astype(np.intc)

    @property
    def split_strata(self) -> NDArray[np.integer[Any]]:
        """The strata that random splits keep in proportion: of tuples, which are sets, one member.

        It is the member that the fewest rows have, so that one of these rows is always left for
        training. Whole sets are often unique, and of a single row nothing is drawn.
        """
        sets = [key if isinstance(key, tuple) else () for key in self._known]
        if not any(sets):
            return self.strata
        rows: Counter[Hashable] = Counter()
        for members, count in zip(sets, np.bincount(self.strata).tolist(), strict=True):
            rows.update(dict.fromkeys(members, count))
        order = sorted(rows, key=lambda member: (rows[member], str(member)))
        rank = {member: place for place, member in enumerate(order, start=1)}
        rarest = [min((rank[member] for member in members), default=0) for members in sets]
        numbers: NDArray[np.intc] = np.array(rarest, dtype=np.intc)
        return np.take(numbers, self.strata)

    @property
    def stratum_names(self) -> tuple[Hashable, ...]:
        """The strata by their numbers, in order of appearance; none if they are continuous."""
        return tuple(self._known)

    def problems(self) -> list[Problem]:
        """Return all problems: unreadable records first, then bad rows."""
        return [*self.reading_problems, *self.findings.problems()]

    def _collect(self, row: Row) -> None:
        text = normalized([row.values.get(name, "") for name in self._text_columns])
        self._texts.append(text_hash(text))
        if self._group_column is not None:
            value = row.values.get(self._group_column)
            group = "" if value is None else normalized([value])
            self._groups.append(text_hash(group) if group else self._texts[-1])
        stratum = self._stratum(row)
        if isinstance(stratum, float):
            if not self.is_continuous:
                self._strata = array("d", self._strata)
            self._strata.append(stratum)
        else:
            self._strata.append(self._known.setdefault(stratum, len(self._known)))
        if self._watch is not None:
            self._watch(row, text)


def content_of(row: Row, columns: Sequence[str]) -> bytes:
    """Return the bytes of a row that hashes of content cover."""
    fields = "\x1f".join([str(row.values.get(name)) for name in columns])
    return (fields + "\x1e").encode("utf-8", "surrogatepass")


def verified_chunks(source: Source, columns: Sequence[str], digest: str) -> Iterator[Sequence[Row]]:
    """Yield all rows with the named columns; only the end of the iteration verifies them.

    Args:
        source: to read.
        columns: those that the survey hashed, in its order.
        digest: of the survey.

    Raises:
        IntegrityError: the content has changed, or cannot be read any more (D160).
    """
    current = hashlib.sha256()
    try:
        for chunk in source.chunks(columns):
            for row in chunk:
                current.update(content_of(row, columns))
            yield chunk
    except DataError as error:
        raise IntegrityError(changed(source, error.problems[0].message)) from error
    except Exception as error:  # a reader may raise anything for content it was not opened for
        raise IntegrityError(changed(source, f"{type(error).__name__}: {error}")) from error
    if current.hexdigest() != digest:
        raise IntegrityError(changed(source))


def changed(source: Source, *reasons: str) -> Problem:
    """Return the problem of data that is not what it was (D160)."""
    return Problem(
        "D160",
        _("the data changed while the run was using it"),
        Place(source.name),
        evidence=reasons,
        fix=_(
            "Restore the old content and run the same command again: nothing that was computed "
            "is lost. Or train on the new rows with another --out."
        ),
    )
