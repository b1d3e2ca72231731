"""Row numbers and texts of many rows in a few large buffers.

A million short strings or small arrays, once freed, would fragment the memory of the process.
"""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray

__all__ = ["RowNumbers", "Texts"]


class RowNumbers:
    """Rising row numbers; nothing is stored until one is left out."""

    def __init__(self) -> None:
        self._count = 0
        self._numbers: array[int] | None = None

    def __len__(self) -> int:
        return self._count

    def append(self, row: int) -> None:
        """Add the next row."""
        if self._numbers is None and row != self._count:
            self._numbers = array("q", range(self._count))
        if self._numbers is not None:
            self._numbers.append(row)
        self._count += 1

    def as_array(self) -> NDArray[np.int64]:
        """Return all row numbers, shape (n,)."""
        if self._numbers is None:
            return np.arange(self._count, dtype=np.int64)
        return np.frombuffer(self._numbers, np.int64)


class Texts:
    """The texts of all rows, or none of them once they exceed a size."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._content = bytearray()
        self._ends = array("q")
        self._is_full = False

    def append(self, text: str) -> None:
        """Add the text of the next row; beyond the size all texts are dropped."""
        if self._is_full:
            return
        self._content += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._content))
        if len(self._content) > self._most_bytes:
            self._content, self._ends, self._is_full = bytearray(), array("q"), True

    def get(self, index: int) -> str | None:
        """Return the text at an index, None if it is not stored."""
        if not 0 <= index < len(self._ends):
            return None
        start = self._ends[index - 1] if index else 0
        return self._content[start : self._ends[index]].decode("utf-8", "surrogatepass")
