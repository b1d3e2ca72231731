"""A source around a source: the same data with some rows changed or left out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tunesmith.data.rows import Column, Row, Source
from tunesmith.errors import Place

__all__ = ["WrappedSource", "innermost", "original_rows"]


@dataclass(frozen=True)
class WrappedSource(ABC):
    """What all sources around a source pass on: name, columns, revision, notes and places.

    Attributes:
        source: the one within.
        said: notes on what became of its rows.
    """

    source: Source
    said: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def name(self) -> str:
        """That of the source."""
        return self.source.name

    @property
    def columns(self) -> tuple[Column, ...]:
        """Those of the source."""
        return self.source.columns

    @property
    def revision(self) -> str | None:
        """That of the source, if it came from the Hub."""
        return getattr(self.source, "revision", None)

    @property
    def repository(self) -> str | None:
        """That of the source, if it came from the Hub."""
        return getattr(self.source, "repository", None)

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of the source, and what became of its rows."""
        return (*self.source.notes, *self.said)

    @abstractmethod
    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """The rows that are left, numbered through."""

    @abstractmethod
    def originals(self, indices: Collection[int]) -> Mapping[int, int]:
        """The numbers that some rows have in the source within."""

    def places(self, indices: Collection[int]) -> dict[int, Place]:
        """Where some rows stand in the source."""
        rows = {original: index for index, original in self.originals(indices).items()}
        return {rows[original]: place for original, place in self.source.places(rows).items()}


def innermost(source: Source) -> Source:
    """The data itself, without the sources around it."""
    while isinstance(source, WrappedSource):
        source = source.source
    return source


def original_rows(source: Source, indices: Collection[int]) -> Mapping[int, int]:
    """The numbers that some rows of a source have in the data itself."""
    found = {index: index for index in indices}
    while isinstance(source, WrappedSource):
        originals = source.originals(found.values())
        found = {index: originals[row] for index, row in found.items() if row in originals}
        source = source.source
    return found
