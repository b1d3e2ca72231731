"""Statistics of a source for the audit, collected while the survey reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.columns import Roles
from tunesmith.data.compact import RowNumbers, Texts
from tunesmith.data.findings import Findings
from tunesmith.data.labels import as_python, is_list, is_missing, label_kind
from tunesmith.data.near_duplicates import Sketches, normalized
from tunesmith.data.rows import CHUNK_ROWS, Row, Source
from tunesmith.data.scan import Survey
from tunesmith.errors import DataError
from tunesmith.inputs.text_checks import TextColumn, odd_text

__all__ = ["MOST_SKETCHED", "SourceStats", "SplitStats"]

MOST_SKETCHED = 500_000
"""Beyond so many rows near texts are not searched, which bounds the memory."""

_HELD_BYTES = 1 << 24
"""Normalized texts up to this size are stored, so that near ones need no second reading."""

_SAMPLE = 4_000
"""Rows, at least, that are stored to count their tokens."""


class SourceStats:
    """Statistics of the good rows of a source; call `watch` with each row.

    Attributes:
        source: of the rows.
        roles: of the columns.
        columns: statistics of the texts of each column.
        label_kinds: labels per kind of value, such as "text".
        odd: findings of rows with odd texts.
        sample: the texts of some rows, evenly spaced.
    """

    def __init__(
        self,
        source: Source,
        roles: Roles,
        texts_of: Callable[[Row], tuple[str, ...]] | None = None,
    ) -> None:
        """Start without rows.

        Args:
            source: of the rows.
            roles: of the columns.
            texts_of: returns the texts of a row; None to take the values of its columns.
        """
        self.source = source
        self.roles = roles
        self._texts_of = texts_of or self._values_of
        self.columns = {name: TextColumn() for name in roles.text_columns}
        self.label_kinds: Counter[str] = Counter()
        self.odd = Findings(source)
        self.sample: list[tuple[str, ...]] = []
        self._rows = RowNumbers()
        self._sketches: Sketches | None = Sketches()
        self._waiting: list[str] = []
        self._held = Texts(_HELD_BYTES)
        self._read_again: dict[int, str] = {}
        self._stride = 1

    def watch(self, row: Row, text: str) -> None:
        """Add a good row.

        Args:
            row: to add.
            text: its texts, normalized.
        """
        texts = self._texts_of(row)
        for column, one in zip(self.columns.values(), texts, strict=True):
            column.add(one)
            if (finding := odd_text(one)) is not None:
                self.odd.add(row.index, finding)
        if isinstance(self.roles.label, str):
            self._count_kinds(row.values.get(self.roles.label))
        if len(self._rows) % self._stride == 0:
            self.sample.append(texts)
            if len(self.sample) > 2 * _SAMPLE:
                del self.sample[1::2]
                self._stride *= 2
        self._rows.append(row.index)
        self._held.append(text)
        self._sketch(text)

    def _values_of(self, row: Row) -> tuple[str, ...]:
        return tuple([str(row.values[name]) for name in self.roles.text_columns])

    def _count_kinds(self, value: object) -> None:
        """Count the kinds of values of the labels of a row."""
        if isinstance(value, str):
            self.label_kinds["text"] += 1
            return
        value = as_python(value)
        for label in value if is_list(value) else (value,):
            if not is_missing(label):
                self.label_kinds[label_kind(label)] += 1

    def of_split(self, name: str, survey: Survey, *, is_labeled: bool = True) -> SplitStats:
        """Return the statistics of all rows as those of a split, after the survey."""
        if self._sketches is not None and self._waiting:
            self._sketches.add(self._waiting)
            self._waiting = []
        return SplitStats(
            name,
            self,
            self._rows.as_array(),
            survey.text_hashes,
            self._sketches.keys if self._sketches is not None else None,
            survey.strata if is_labeled and not survey.is_continuous else None,
            survey.stratum_names,
            is_labeled,
            survey.group_hashes,
        )

    def texts(self, rows: Collection[int]) -> Mapping[int, str]:
        """Return the normalized texts of some rows; read again and store those that are missing."""
        texts, numbers, requested = self._read_again, self._rows.as_array(), sorted(set(rows))
        for row, i in zip(requested, np.searchsorted(numbers, requested).tolist(), strict=True):
            is_row = row not in texts and i < len(numbers) and numbers[i] == row
            if is_row and (text := self._held.get(i)) is not None:
                texts[row] = text
        missing = set(requested).difference(texts)
        names = self.roles.text_columns
        with suppress(DataError):  # the survey reports records that cannot be read
            for chunk in self.source.chunks(names) if missing else ():
                for one in chunk:
                    if one.index in missing:
                        texts[one.index] = normalized(one.values[name] for name in names)
                        missing.discard(one.index)
                if not missing:
                    break
        return {row: texts[row] for row in requested if row in texts}

    def texts_as_written(self, rows: Collection[int]) -> Mapping[int, str]:
        """Return the texts of a few rows as the source has them, for messages."""
        texts: dict[int, str] = {}
        names = self.roles.text_columns
        with suppress(DataError):  # the survey reports records that cannot be read
            for chunk in self.source.chunks(names):
                for row in chunk:
                    if row.index in rows:
                        texts[row.index] = " ".join(str(row.values[name]) for name in names)
                if len(texts) == len(set(rows)):
                    break
        return texts

    def _sketch(self, text: str) -> None:
        if self._sketches is None:
            return
        self._waiting.append(text)
        if len(self._rows) > MOST_SKETCHED:
            self._sketches = None
            self._waiting = []
        elif len(self._waiting) == CHUNK_ROWS:
            self._sketches.add(self._waiting)
            self._waiting = []


@dataclass(frozen=True)
class SplitStats:
    """Statistics of the rows of a split.

    Attributes:
        name: "train", "validation" or "test".
        stats: of their source.
        rows: their numbers in the source, shape (n,).
        hashes: of their normalized texts, shape (n,).
        keys: sketches of these texts, shape (n, bands); None if there are too many rows.
        classes: the index of the class of each row, shape (n,); None without classes.
        class_names: by that index.
        is_labeled: False for rows that are only predicted.
        groups: hashes of their groups, shape (n,); None without groups.
    """

    name: str
    stats: SourceStats
    rows: NDArray[np.int64]
    hashes: NDArray[np.int64]
    keys: NDArray[np.uint32] | None
    classes: NDArray[np.integer[Any]] | None
    class_names: tuple[Hashable, ...]
    is_labeled: bool = True
    groups: NDArray[np.int64] | None = None

    def select(self, name: str, indices: NDArray[np.int64] | None) -> SplitStats:
        """Return the statistics of some of the rows, as a split of another name."""
        if indices is None:
            return replace(self, name=name)
        return replace(
            self,
            name=name,
            rows=self.rows[indices],
            hashes=self.hashes[indices],
            keys=self.keys[indices] if self.keys is not None else None,
            classes=self.classes[indices] if self.classes is not None else None,
            groups=self.groups[indices] if self.groups is not None else None,
        )

    def counts(self) -> dict[str, int]:
        """Return the rows per class; nothing where labels are not single classes."""
        if self.classes is None or not all(isinstance(name, str) for name in self.class_names):
            return {}
        numbers = np.bincount(self.classes, minlength=len(self.class_names))
        return {
            str(name): int(count) for name, count in zip(self.class_names, numbers, strict=True)
        }
