from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.readers.stdin_reader import check_arguments, rows_of_lines
from tunesmith.errors import DataError, Problem


def texts(content: bytes, encoding: str | None = None) -> list[object]:
    return [row["text"] for row in rows_of_lines(io.BytesIO(content), ["text"], encoding)]


def problem(content: bytes, *columns: str, encoding: str | None = None) -> Problem:
    with pytest.raises(DataError) as caught:
        list(rows_of_lines(io.BytesIO(content), columns or ["text"], encoding))
    (result,) = caught.value.problems
    return result


line = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")).filter(
    str.strip
)


@given(st.lists(line, max_size=6), st.sampled_from(["\n", "\r\n"]))
def test_as_many_rows_as_lines(lines: list[str], end: str) -> None:
    assert texts(end.join(lines).encode()) == lines
    assert texts((end.join(lines) + end).encode()) == lines
    assert texts(("\ufeff" + end.join([*lines, "x"])).encode()) == [*lines, "x"]


def test_only_a_line_feed_ends_a_line() -> None:
    one = "a\u2028b\u2029c\x85d\x0ce\x0bf\x1cg\x1dh\x1ei\tj\rk"
    assert texts(f"{one}\n{one}\n".encode()) == [one, one]


def test_blank_lines_are_left_out_and_counted() -> None:
    assert texts(b"\n a \n\t\r\nb") == [" a ", "b"]
    assert str(problem(b"\n\n\xff\n").place) == "stdin:3"


def test_a_pair_has_one_tab() -> None:
    rows = list(rows_of_lines(io.BytesIO(b"a b\tc\n\nd\te\n"), ["x", "y"]))
    assert rows == [{"x": "a b", "y": "c"}, {"x": "d", "y": "e"}]
    for content, count in ((b"a\tb\nno tab\n", 0), (b"a\tb\na\tb\tc\n", 2)):
        result = problem(content, "x", "y")
        assert (result.code, str(result.place)) == ("D126", "stdin:2")
        assert f"this one has {count}" in result.message
        assert "(x, y)" in result.message
        assert result.evidence


@pytest.mark.parametrize(
    ("encoding", "written"), [("gb18030", "gbk"), ("cp1252", "cp1252"), ("utf-16", "utf-16")]
)
def test_another_encoding_is_named(encoding: str, written: str) -> None:
    lines = ["打印机坏了", "请修理"] if encoding != "cp1252" else ["Köln", "Müll"]
    assert texts("\n".join(lines).encode(written), encoding) == lines


def test_bytes_that_are_not_utf_8() -> None:
    result = problem("fine\nMüll in Köln\n".encode("cp1252"))
    assert (result.code, str(result.place)) == ("D127", "stdin:2")
    assert result.message == "not UTF-8 (byte 0xfc)"
    assert result.flags == ("--encoding", "cp1252")
    assert problem(b"\x81\x8d\x90\n").flags == ()
    assert problem("x\n".encode("utf-16")[:3], encoding="utf-16").code == "D127"
    assert problem(b"a\n", encoding="rot13").code == "D106"


def test_each_line_is_detected_if_asked_for() -> None:
    content = "打印机坏了\n".encode() + "Müll in Köln\n".encode("cp1252")
    assert texts(content, "auto") == ["打印机坏了", "Müll in Köln"]
    assert problem(b"\x81\x8d\x90\n", encoding="auto").code == "D127"


def test_a_line_has_an_end() -> None:
    assert len(str(texts(b"x" * 9_999_999 + b"\n")[0])) == 9_999_999
    result = problem(b"fine\n" + b"x" * 10_000_001)
    assert (result.code, str(result.place)) == ("D150", "stdin:2")


def test_arguments_are_whole_texts() -> None:
    check_arguments(["fine", "打印机"])
    check_arguments([])
    with pytest.raises(DataError) as caught:
        check_arguments(["fine", "caf\udce9"])
    (result,) = caught.value.problems
    assert (result.code, str(result.place)) == ("D127", "the given texts[1]")
    assert "--encoding" in str(result.fix)
