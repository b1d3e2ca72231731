from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tunesmith.data.open import open_splits
from tunesmith.data.readers.text_file import TextFile
from tunesmith.data.readers.text_reader import LinesFile
from tunesmith.data.rows import first_rows
from tunesmith.errors import DataError


def test_lines_are_rows_and_blank_ones_are_not(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes('one\r\n\n  two, with "quotes"  \n\n\n三\n'.encode())
    source = open_splits(str(path))["train"]
    assert [row.values["text"] for row in first_rows(source, 9)] == [
        "one",
        'two, with "quotes"',
        "三",
    ]
    assert str(source.places([2])[2]) == f"{path}:6"
    assert [c.name for c in source.columns] == ["text"]


def test_many_lines_and_no_columns(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt.gz"
    path.write_bytes(gzip.compress(b"\n".join(b"line %d" % i for i in range(2500))))
    source = open_splits(str(path))["train"]
    assert [len(chunk) for chunk in source.chunks(())] == [1000, 1000, 500]
    assert first_rows(source, 1, ())[0].values == {}


def test_other_encodings_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes("汤很咸，服务员很慢。\n".encode("gb18030") * 20)
    with pytest.raises(DataError, match="D101"):
        open_splits(str(path))


def test_only_line_ends_end_a_line(tmp_path: Path) -> None:
    one = "a\u2028b\x85c\x0cd\x1ce\tf"
    path = tmp_path / "a.txt"
    path.write_bytes(f"{one}\r\n\n{one}\r{one}".encode())
    source = LinesFile.open(TextFile.check(path, None))
    rows = [row.values["text"] for chunk in source.chunks() for row in chunk]
    assert rows == [one, one, one]
    assert [source.places([i])[i].line for i in range(3)] == [1, 3, 4]
    assert source.detected == {}


def test_a_line_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("fine\n" + "x" * 10_000_001 + "\n")
    with pytest.raises(DataError, match="D150") as caught:
        LinesFile.open(TextFile.check(path, None))
    assert str(caught.value.problems[0].place) == f"{path}:2"
