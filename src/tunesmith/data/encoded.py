"""Tokenized rows: flat numbers and offsets, in memory or mapped from disk."""

from __future__ import annotations

import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Encoded",
    "Prepared",
    "Ragged",
    "concatenate",
    "gather",
    "hold_in_memory",
    "offsets_of",
]

_ASIDE = "aside."
_PIECE = 1 << 22
_READS_KEPT = 256
"""After so many examples what was read is released; each look maps 64 kB around it."""


@dataclass(frozen=True, slots=True)
class Ragged:
    """Sequences of different lengths, one after the other. Indexed like an array of n sequences.

    Attributes:
        flat: all values, shape (sum of lengths, ...).
        lengths: of each sequence, shape (n,).
    """

    flat: NDArray[Any]
    lengths: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: slice | NDArray[Any]) -> Ragged:
        """Return some sequences, by a slice, their numbers or a mask."""
        starts, lengths = (self.lengths.cumsum() - self.lengths)[index], self.lengths[index]
        within = np.arange(lengths.sum()) - np.repeat(lengths.cumsum() - lengths, lengths)
        return Ragged(self.flat[np.repeat(starts, lengths) + within], lengths)

    def split(self) -> list[NDArray[Any]]:
        """Return each sequence as an array of its own."""
        return np.split(self.flat, self.lengths.cumsum()[:-1]) if len(self) else []


def concatenate(parts: Sequence[Any]) -> Any:
    """Concatenate arrays, or `Ragged`."""
    if not isinstance(parts[0], Ragged):
        return np.concatenate(parts)
    flat = np.concatenate([part.flat for part in parts])
    return Ragged(flat, np.concatenate([part.lengths for part in parts]))


@dataclass(frozen=True, slots=True)
class Encoded:
    """Some tokenized rows. A row may give several examples, or none.

    Attributes:
        ragged: inputs of the model by name, such as "input_ids"; each holds n sequences, or with
            `parts` as many as these add up to. "labels" are one per token, "target_ids" sequences
            of their own.
        fixed: by name, such as "labels"; each has n entries in its first dimension.
        rows: the index of the row that each example comes from, rising, shape (n,).
        full_lengths: tokens of each example before it was cut, shape (n,).
        parts: sequences of each example, such as choices or pooled windows, shape (n,); None for
            one each.
        aside: what the model does not see, such as offsets of tokens; each holds n sequences.
    """

    ragged: Mapping[str, Ragged]
    fixed: Mapping[str, NDArray[Any]]
    rows: NDArray[np.int64]
    full_lengths: NDArray[np.int64]
    parts: NDArray[np.int64] | None = None
    aside: Mapping[str, Ragged] = field(default_factory=dict)

    def columns(self) -> dict[str, Ragged]:
        """Return all ragged columns by the names under which they are stored."""
        return {**self.ragged, **{_ASIDE + name: values for name, values in self.aside.items()}}


@dataclass(frozen=True)
class Prepared:
    """A committed set. Arrays are mapped read-only; reading an example copies only its values.

    Attributes:
        key: its name, a hash of all it depends on; empty if it is only held in memory.
        rows: the index of the row that each example comes from, shape (n,).
        full_lengths: tokens of each example before it was cut, shape (n,).
        fixed: arrays with one entry per example.
    """

    key: str
    rows: NDArray[np.int64]
    full_lengths: NDArray[np.int64]
    fixed: Mapping[str, NDArray[Any]]
    _flat: Mapping[str, NDArray[Any]]
    _offsets: Mapping[str, NDArray[np.int64]]
    _parts: NDArray[np.int64] | None = None
    _reads: list[int] = field(default_factory=lambda: [0], compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the ragged columns that are batched."""
        return tuple(name for name in self._flat if not name.startswith(_ASIDE))

    @property
    def has_parts(self) -> bool:
        """Whether an example may have several sequences, or none."""
        return self._parts is not None

    def sequences(self, name: str, example: int) -> list[NDArray[Any]]:
        """Return the sequences of an example in a ragged column, each of shape (length,)."""
        offsets, flat = self._offsets[name], self._flat[name]
        first, stop = (example, example + 1) if self._parts is None else self._parts[example:][:2]
        return [flat[offsets[i] : offsets[i + 1]] for i in range(first, stop)]

    def sequence(self, name: str, example: int) -> NDArray[Any]:
        """Return all values of an example in a ragged column, shape (length,)."""
        ends = self._ends(name)
        return self._flat[name][ends[example] : ends[example + 1]]

    def aside(self, name: str, examples: NDArray[np.int64] | None = None) -> Ragged:
        """Return a column of `Encoded.aside` of some examples, of all if None."""
        whole = Ragged(self._flat[_ASIDE + name], np.diff(self._offsets[_ASIDE + name]))
        return whole if examples is None else whole[examples]

    def _ends(self, name: str) -> NDArray[np.int64]:
        """Where each example begins in a ragged column, and the end of the last, shape (n + 1,)."""
        offsets = self._offsets[name]
        return offsets if self._parts is None else offsets[self._parts]

    def lengths(
        self, examples: NDArray[np.int64] | None = None, *, name: str = "input_ids"
    ) -> NDArray[np.int64]:
        """Return the lengths of some examples in a ragged column, of all if None, shape (n,).

        That of an example with several sequences is their sum.
        """
        ends = self._ends(name)
        if examples is None:
            return np.diff(ends)
        lengths: NDArray[np.int64] = ends[examples + 1] - ends[examples]
        return lengths

    def used(self, name: str = "input_ids") -> NDArray[np.int64]:
        """The different numbers of a ragged column, rising; read in pieces."""
        flat = self._flat[name]
        seen = np.zeros(1, dtype=bool)
        for start in range(0, len(flat), _PIECE):
            occurs = np.bincount(flat[start : start + _PIECE].astype(np.int64)) > 0
            if len(occurs) > len(seen):
                seen = np.pad(seen, (0, len(occurs) - len(seen)))
            seen[: len(occurs)] |= occurs
        self.release()
        return np.flatnonzero(seen)

    def release(self) -> None:
        """Let the system have the memory of what was read; it is read again where needed.

        Pages of a mapped file count as memory of the process from the first look at them on, so
        that a million rows would show.
        """
        self._reads[0] = 0
        every = (self._flat, self._offsets, self.fixed)  # parts are looked at all the time
        arrays = [self.rows, self.full_lengths, *(one for each in every for one in each.values())]
        for mapped in filter(None, map(_mapping, arrays)):
            mapped.madvise(mmap.MADV_DONTNEED)

    def note_reads(self, examples: int) -> None:
        """So many examples were read; what was read is released from time to time."""
        self._reads[0] += examples
        if self._reads[0] >= _READS_KEPT:
            self.release()

    @property
    def num_cut(self) -> int:
        """Examples that were too long."""
        return int(np.count_nonzero(self.full_lengths > self.lengths()))

    @property
    def tokens_cut(self) -> int:
        """Tokens that the cut examples lost."""
        return int(np.sum(self.full_lengths - self.lengths()))


def gather(sets: Sequence[Prepared], examples: Sequence[tuple[int, int]]) -> Prepared:
    """Copy some examples of several sets into memory, in a given order.

    Args:
        sets: with the same columns.
        examples: of each the number of its set, and its own in there.
    """
    first = sets[examples[0][0]]
    ragged: dict[str, Ragged] = {}
    for name in first.names:
        chosen = [one for number, i in examples for one in sets[number].sequences(name, i)]
        lengths = np.fromiter(map(len, chosen), np.int64, len(chosen))
        flat = np.concatenate(chosen) if chosen else first.sequence(name, 0)[:0]
        ragged[name] = Ragged(flat, lengths)

    def values(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
        return np.array([arrays[number][i] for number, i in examples])

    fixed = {name: values([one.fixed[name] for one in sets]) for name in first.fixed}
    rows, full_lengths = values([s.rows for s in sets]), values([s.full_lengths for s in sets])
    parts = None
    if first.has_parts:
        name = first.names[0]
        parts = np.array([len(sets[number].sequences(name, i)) for number, i in examples])
    return hold_in_memory(Encoded(ragged, fixed, rows, full_lengths, parts))


def hold_in_memory(encoded: Encoded) -> Prepared:
    """The same for rows that are used once, such as texts to predict."""
    columns = encoded.columns()
    offsets = {name: offsets_of(column.lengths) for name, column in columns.items()}
    flat = {name: column.flat for name, column in columns.items()}
    parts = None if encoded.parts is None else offsets_of(encoded.parts)
    return Prepared("", encoded.rows, encoded.full_lengths, encoded.fixed, flat, offsets, parts)


def offsets_of(lengths: NDArray[Any]) -> NDArray[np.int64]:
    """Return where sequences of these lengths begin, and the end of the last, shape (n + 1,)."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _mapping(array: NDArray[Any]) -> mmap.mmap | None:
    """The mapped file that an array is a view of; None without one, or where it cannot release."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED") else None
