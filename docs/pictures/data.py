"""`tickets.csv` and `test.csv`, the files that the pictures are made from."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from tunesmith.data.embedded.pairs import make_pairs

__all__ = ["write_tickets"]


def write_tickets(folder: Path) -> None:
    """Write both files: two tickets of a restaurant in a row, and whether they say the same."""
    splits = make_pairs()
    _write(folder / "tickets.csv", splits["train"][:2000], first=1001)
    _write(folder / "test.csv", splits["test"][:500], first=9001)


def _write(path: Path, rows: Iterable[Mapping[str, object]], *, first: int) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text", "text_pair", "same"])
        for i, row in enumerate(rows):
            answer = "yes" if row["label"] else "no"
            writer.writerow([first + i, row["sentence1"], row["sentence2"], answer])
