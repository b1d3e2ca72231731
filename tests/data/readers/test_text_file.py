from __future__ import annotations

import codecs
import gzip
import os
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.capabilities import needs
from tunesmith.data.readers.text_file import AUTO, TextFile, open_bytes, require_regular_file
from tunesmith.errors import DataError

CHINESE = "文本,标签\n打印机又坏了，请尽快修理。,维修\n我想订一张今天晚上的桌子。,预订\n" * 20


def reported(path: Path, encoding: str | None = None) -> str:
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
    words = reported(path)
    assert "D101" in words
    assert "a.csv:1" in words
    assert "not UTF-8 (byte 0xce)" in words
    assert "--encoding gb18030" in words
    with TextFile.check(path, "gb18030").open_text() as file:
        assert file.read() == CHINESE


def test_the_line_of_the_first_bad_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"text,label\n" + b"good,a\n" * 300_000 + b"bad \xff here,b\n")
    assert "a.csv:300002" in reported(path)


def test_the_wrong_encoding_is_reported_as_such(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("é".encode() * 3)
    assert "not ASCII" in reported(path, "ascii")
    assert "D106" in reported(path, "klingon")


def test_nul_bytes_and_nothing(tmp_path: Path) -> None:
    (tmp_path / "nul").write_bytes(b"a,b\nc\x00,d\n")
    assert "D103" in reported(tmp_path / "nul")
    assert ":2:" in reported(tmp_path / "nul")
    (tmp_path / "empty").write_bytes(b"")
    assert "D121" in reported(tmp_path / "empty")


def test_gzip_is_unpacked_and_its_damage_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(CHINESE.encode()))
    with TextFile.check(path, None).open_text() as file:
        assert file.read() == CHINESE
    path.write_bytes(path.read_bytes()[:-20])
    assert "D132" in reported(path)


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
        decoded = file.read()
    assert decoded.encode(text.encoding) == content or content[:2] in (b"\xff\xfe", b"\xfe\xff")


def test_the_encoding_is_detected_if_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for written, named in (("gbk", "gb18030"), ("big5", "big5")):
        path.write_bytes((CHINESE * 3).encode(written, "replace"))
        result = TextFile.check(path, AUTO)
        assert (result.encoding, result.is_detected) == (named, True)
        assert result.detected == {"encoding": named}
        assert result.notes == (f"{path} is read as {named} (detected)",)
    path.write_bytes(("text,label\n" + "hello,a\n" * 20).encode("utf-16-le"))
    assert TextFile.check(path, AUTO).encoding == "utf-16-le"
    for content, named in ((CHINESE.encode(), "utf-8"), (CHINESE.encode("utf-8-sig"), "utf-8-sig")):
        path.write_bytes(content)
        result = TextFile.check(path, AUTO)
        assert (result.encoding, result.is_detected, result.detected) == (named, False, {})
    path.write_bytes(CHINESE.encode("utf-16"))
    assert TextFile.check(path, AUTO).detected == {}


def test_what_cannot_be_detected_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"text\nfine\n\x81\x8d\x90\n")
    with pytest.raises(DataError) as caught:
        TextFile.check(path, AUTO)
    (problem,) = caught.value.problems
    assert (problem.code, str(problem.place)) == ("D117", f"{path}:3")
    assert "byte 0x81 is not UTF-8" in problem.message


def test_two_encodings_are_reported_even_if_one_is_to_be_detected(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(CHINESE.encode() * 3 + CHINESE.encode("gbk"))
    with pytest.raises(DataError, match="D102"):
        TextFile.check(path, AUTO)


def test_a_guess_comes_with_the_flag(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("text,label\nSchöne Grüße,a\n".encode("cp1252"))
    with pytest.raises(DataError) as caught:
        TextFile.check(path, None)
    (problem,) = caught.value.problems
    assert problem.message == "not UTF-8 (byte 0xf6); it looks like cp1252"
    assert problem.flags == ("--encoding", "cp1252")
    path.write_bytes("text,label\nhello,a\n".encode("utf-16-le"))
    with pytest.raises(DataError) as caught:
        TextFile.check(path, None)
    (problem,) = caught.value.problems
    assert (problem.code, problem.flags) == ("D103", ("--encoding", "utf-16-le"))
    path.write_bytes(b"\x81\x8d\x90\n")
    with pytest.raises(DataError, match="do not show") as caught:
        TextFile.check(path, None)
    assert caught.value.problems[0].flags == ()
    with pytest.raises(DataError, match="D101"):
        TextFile.check(path, "idna")


def test_lines_without_end_are_known_by_their_number(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for content, line in (
        ("a\n" + "x" * 10_000_000, None),
        ("a\n" + "x" * 10_000_001, 2),
        ("a\n" + "x" * 10_000_001 + "\nb\n" + "x" * 10_000_001, 2),
        ("a\r" + "x" * 10_000_001 + "\rb\r", 2),
        ("x" * 6_000_000 + "\n" + "x" * 6_000_000, None),
    ):
        path.write_text(content, newline="")
        assert TextFile.check(path, None).endless_line == line


@needs("/dev", "pipes")
def test_what_is_no_file_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, kind in ((pipe, "a pipe"), (Path("/dev/zero"), "a device"), (tmp_path, "a folder")):
        with pytest.raises(DataError) as caught, open_bytes(path):
            pass
        (problem,) = caught.value.problems
        assert (problem.code, str(problem.place)) == ("D123", str(path))
        assert problem.message.startswith(f"{kind} cannot be read as data")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        with pytest.raises(DataError, match="a socket"):
            require_regular_file(tmp_path / "socket")


def test_exceptions_of_the_reader_pass_through(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    with pytest.raises(KeyError), open_bytes(tmp_path / "a"):
        raise KeyError("theirs")
