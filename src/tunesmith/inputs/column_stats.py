"""The census: what the audit wants to know of a source, counted while the survey passes over it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass
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

__all__ = ["MOST_SKETCHED", "Census", "Part"]

MOST_SKETCHED = 500_000
"""In more rows than these near texts are not looked for: memory must not grow with the rows."""

_HELD_BYTES = 1 << 24
"""Normalised texts of so many bytes are kept, so that near ones need no second reading."""

_SAMPLE = 4_000
"""At least so many rows are kept to count their tokens, if there are so many."""


class Census:
    """Counts the good rows of one source; `watch` is told of each.

    Attributes:
        source: whose rows.
        roles: which column is what.
        columns: what the texts of each column are like.
        label_kinds: labels by the kind of value that they are written as, such as "text".
        odd: rows with odd texts.
        sample: the texts of some rows, spread evenly.
    """

    def __init__(self, source: Source, roles: Roles) -> None:
        self.source = source
        self.roles = roles
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
        """Take one row into account.

        Args:
            row: a good one.
            text: its texts, normalised.
        """
        texts = tuple([str(row.values[name]) for name in self.roles.text_columns])
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

    def _count_kinds(self, value: object) -> None:
        """Count how the labels of a row are written."""
        if isinstance(value, str):
            self.label_kinds["text"] += 1
            return
        value = as_python(value)
        for label in value if is_list(value) else (value,):
            if not is_missing(label):
                self.label_kinds[label_kind(label)] += 1

    def part(self, name: str, survey: Survey, *, is_labeled: bool = True) -> Part:
        """All rows, once the survey has seen them."""
        if self._sketches is not None and self._waiting:
            self._sketches.add(self._waiting)
            self._waiting = []
        return Part(
            name,
            self,
            self._rows.as_array(),
            survey.text_hashes,
            self._sketches.keys if self._sketches is not None else None,
            survey.strata if is_labeled and not survey.is_continuous else None,
            survey.stratum_names,
            is_labeled,
        )

    def texts(self, rows: Collection[int]) -> Mapping[int, str]:
        """The normalised texts of some rows; what is not held is read a second time and kept."""
        asked, found = set(rows), self._read_again
        numbers, wanted_rows = self._rows.as_array(), sorted(asked)
        places = np.searchsorted(numbers, wanted_rows).tolist()
        for row, place in zip(wanted_rows, places, strict=True):
            is_here = row not in found and place < len(numbers) and numbers[place] == row
            if is_here and (text := self._held.get(place)) is not None:
                found[row] = text
        wanted = asked.difference(found)
        names = self.roles.text_columns
        with suppress(DataError):  # records that cannot be read are told by the survey
            for chunk in self.source.chunks(names) if wanted else ():
                for one in chunk:
                    if one.index in wanted:
                        found[one.index] = normalized(one.values[name] for name in names)
                        wanted.discard(one.index)
                if not wanted:
                    break
        return {row: found[row] for row in asked if row in found}

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
class Part:
    """The rows of one split, or of a whole source, in numbers.

    Attributes:
        name: "train", "validation" or "test".
        census: of their source.
        rows: their numbers in the source, shape (n,).
        hashes: of their normalised texts, shape (n,).
        keys: sketches of the same, shape (n, bands); None if there are too many rows.
        classes: the number of each row's class, shape (n,); None where there are none.
        class_names: by that number.
        is_labelled: False for rows that are only predicted.
    """

    name: str
    census: Census
    rows: NDArray[np.int64]
    hashes: NDArray[np.int64]
    keys: NDArray[np.uint32] | None
    classes: NDArray[np.integer[Any]] | None
    class_names: tuple[Hashable, ...]
    is_labeled: bool = True

    def share(self, name: str, places: NDArray[np.int64] | None) -> Part:
        """The rows at some places, as a split of another name."""
        if places is None:
            places = np.arange(len(self.rows))
        return Part(
            name,
            self.census,
            self.rows[places],
            self.hashes[places],
            self.keys[places] if self.keys is not None else None,
            self.classes[places] if self.classes is not None else None,
            self.class_names,
            self.is_labeled,
        )

    def counts(self) -> dict[str, int]:
        """Rows per class; empty where labels are no single classes."""
        if self.classes is None or not all(isinstance(name, str) for name in self.class_names):
            return {}
        numbers = np.bincount(self.classes, minlength=len(self.class_names))
        return {
            str(name): int(count) for name, count in zip(self.class_names, numbers, strict=True)
        }
