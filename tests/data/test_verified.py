from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ticket_rows
from tunesmith.data.open import open_splits
from tunesmith.data.readers.csv_reader import DelimitedFile
from tunesmith.data.rows import Row
from tunesmith.data.scan import content_of
from tunesmith.data.verified import verified_chunks
from tunesmith.errors import IntegrityError

COLUMNS = ("body", "queue")


def surveyed(path: Path) -> tuple[object, str, list[Row]]:
    source = open_splits(str(path))["train"]
    rows = [row for chunk in source.chunks(COLUMNS) for row in chunk]
    seen = hashlib.sha256()
    for row in rows:
        seen.update(content_of(row, COLUMNS))
    return source, seen.hexdigest(), rows


def read(source: object, digest: str) -> list[Row]:
    assert isinstance(source, DelimitedFile)
    return [row for chunk in verified_chunks(source, COLUMNS, digest) for row in chunk]


def test_the_same_rows_are_handed_on(tickets: Path) -> None:
    source, digest, rows = surveyed(tickets)
    assert read(source, digest) == rows
    assert len(rows) == 60


CHANGES: dict[str, Callable[[list[str]], list[str]]] = {
    "a letter": lambda lines: [*lines[:5], lines[5].replace("broken", "broker"), *lines[6:]],
    "a label": lambda lines: [*lines[:5], lines[5].replace("repair", "order"), *lines[6:]],
    "the order": lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
    "a row less": lambda lines: lines[:-1],
    "half the rows": lambda lines: lines[:30],
    "no row": lambda lines: lines[:1],
    "a row more": lambda lines: [*lines, lines[1]],
    "the last row twice": lambda lines: [*lines[:-2], lines[-1], lines[-1]],
    "nothing": lambda _lines: [],
    "no table": lambda _lines: ['"'],
    "a row of two fields": lambda lines: [*lines, "61,x"],
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_rows_are_not(change: str, tickets: Path) -> None:
    source, digest, _rows = surveyed(tickets)
    lines = tickets.read_text().splitlines()
    assert len(lines) == len(ticket_rows(60))
    tickets.write_text("".join(f"{line}\n" for line in CHANGES[change](lines)))
    with pytest.raises(IntegrityError, match="D160") as told:
        read(source, digest)
    assert told.value.exit_code == 6
    assert str(told.value.problems[0].place) == str(tickets)


def test_bytes_that_are_no_text(tickets: Path) -> None:
    source, digest, _rows = surveyed(tickets)
    tickets.write_bytes(b"id,body,queue\n" + b"1,\xff\xfe,repair\n" * 60)
    with pytest.raises(IntegrityError, match="D160") as told:
        read(source, digest)
    assert len(told.value.problems[0].evidence) == 1


def test_a_file_that_is_gone(tickets: Path) -> None:
    source, digest, _rows = surveyed(tickets)
    tickets.unlink()
    with pytest.raises(IntegrityError, match="D160") as told:
        read(source, digest)
    assert told.value.problems[0].evidence != ()


def test_a_column_that_is_not_used_may_change(tickets: Path) -> None:
    source, digest, rows = surveyed(tickets)
    lines = tickets.read_text().splitlines()
    tickets.write_text("\n".join([lines[0], *(f"9{line}" for line in lines[1:])]) + "\n")
    assert read(source, digest) == rows


def test_whatever_a_reader_raises_is_the_same_error(tickets: Path) -> None:
    class Broken:
        name = "broken"

        def chunks(self, _columns: object) -> object:
            raise KeyError("body")

    with pytest.raises(IntegrityError, match="D160") as told:
        list(verified_chunks(Broken(), COLUMNS, ""))  # type: ignore[arg-type]
    assert told.value.problems[0].evidence == ("KeyError: 'body'",)
