from __future__ import annotations

import codecs
import gzip
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.data.textfile import TextFile, open_bytes
from tunesmith.errors import DataError

CHINESE = "文本,标签\n打印机又坏了，请尽快修理。,维修\n我想订一张今天晚上的桌子。,预订\n" * 20


def told(path: Path, encoding: str | None = None) -> str:
    with pytest.raises(DataError) as caught:
        TextFile.check(path, encoding)
    assert caught.value.exit_code == 3
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (CHINESE.encode(), "utf-8"),
        (codecs.BOM_UTF8 + CHINESE.encode(), "utf-8-sig"),
        (CHINESE.encode("utf-16"), "utf-16"),
        (codecs.BOM_UTF16_BE + CHINESE.encode("utf-16-be"), "utf-16"),
    ],
)
def test_a_mark_decides_else_it_is_utf_8(content: bytes, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    text = TextFile.check(path, None)
    assert text.encoding == encoding
    with text.open_text() as file:
        assert file.read() == CHINESE
    assert bool(text.notes) == (encoding == "utf-16")


def test_gbk_is_named_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(CHINESE.encode("gbk"))
    words = told(path)
    assert "D101" in words
    assert "a.csv:1" in words
    assert "not UTF-8 (byte 0xce)" in words
    assert "--encoding gb18030" in words
    with TextFile.check(path, "gb18030").open_text() as file:
        assert file.read() == CHINESE


def test_the_line_of_the_first_bad_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"text,label\n" + b"good,a\n" * 300_000 + b"bad \xff here,b\n")
    assert "a.csv:300002" in told(path)


def test_the_wrong_encoding_is_told_as_that(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("é".encode() * 3)
    assert "not ASCII" in told(path, "ascii")
    assert "D106" in told(path, "klingon")


def test_nul_bytes_and_nothing(tmp_path: Path) -> None:
    (tmp_path / "nul").write_bytes(b"a,b\nc\x00,d\n")
    assert "D103" in told(tmp_path / "nul")
    assert ":2:" in told(tmp_path / "nul")
    (tmp_path / "empty").write_bytes(b"")
    assert "D121" in told(tmp_path / "empty")


def test_gzip_is_unpacked_and_its_damage_told(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(CHINESE.encode()))
    with TextFile.check(path, None).open_text() as file:
        assert file.read() == CHINESE
    path.write_bytes(path.read_bytes()[:-20])
    assert "D132" in told(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="D105"), open_bytes(tmp_path / "none"):
        pass


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400))
def test_any_bytes_are_text_or_a_data_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "any"
    path.write_bytes(content)
    try:
        text = TextFile.check(path, None)
    except DataError as error:
        assert error.problems
        return
    with text.open_text() as file:
        assert file.read().count('"') % 2 == text.odd_quotes
