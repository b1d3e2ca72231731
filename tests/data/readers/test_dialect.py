from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.data.readers.dialect import Dialect, dialect_of, shown_delimiter
from tunesmith.data.readers.text_file import TextFile
from tunesmith.errors import DataError


def dialect(
    tmp_path: Path,
    content: str,
    delimiter: str | None = None,
    width: int | None = None,
    name: str = "a.csv",
) -> Dialect:
    path = tmp_path / name
    path.write_bytes(content.encode())
    return dialect_of(TextFile.check(path, None), delimiter, width)


@pytest.mark.parametrize(
    ("content", "name", "expected", "is_detected"),
    [
        ("text,label\na,b\n", "a.csv", ",", False),
        ("text\tlabel\na\tb\n", "a.tsv", "\t", False),
        ("text\tlabel\na\tb\n", "A.TAB", "\t", False),
        ("text;label\na;b\n", "a.csv", ";", True),
        ("text\tlabel\na, b\tc\n", "a.csv", "\t", True),
        ("text|label\na|b\n", "a.csv", "|", True),
        ("text,label\na,b\n", "a.tsv", ",", True),
        ("text\nonly\n", "a.csv", ",", False),
        ("text\nonly\n", "a.tsv", "\t", False),
        ('"a;b",label\nx;y,z\n', "a.csv", ",", False),
        ("Text;Preis, netto\ngut;3\nbesser;4\n", "a.csv", ";", True),
        ("text,label;v2\na,b\nc,d\n", "a.csv", ",", False),
        ("", "a.csv", ",", False),
    ],
)
def test_the_delimiter_that_cuts_the_records(
    content: str, name: str, expected: str, is_detected: bool, tmp_path: Path
) -> None:
    if not content:
        content = "\n"
    result = dialect(tmp_path, content, name=name)
    assert (result.delimiter, result.is_detected) == (expected, is_detected)
    assert result.skipped_lines == 0


def test_a_few_ragged_records_do_not_unseat_the_usual_delimiter(tmp_path: Path) -> None:
    content = "text,label;x\n" + "a,b\n" * 18 + "a;b,c,d\n"
    assert dialect(tmp_path, content).delimiter == ","
    content = "text,label;x\n" + "a,b\n" * 8 + "a;b\n" * 12
    assert dialect(tmp_path, content).delimiter == ";"


def test_the_width_that_is_known_decides(tmp_path: Path) -> None:
    content = "good, a\nbad; b,c\n"
    assert dialect(tmp_path, content, width=2).delimiter == ","
    assert dialect(tmp_path, "good, so good;a\nbad;b\n", width=2).delimiter == ";"
    assert dialect(tmp_path, "good, so, good;a\nbad;b\n", width=2).delimiter == ";"
    assert dialect(tmp_path, "a;b;c\nd;e;f\n", width=2).delimiter == ","


@pytest.mark.parametrize(
    "line", ["sep=;\n", "sep=;\r\n", '"sep=;"\r\n', "SEP=;\n", "\ufeffsep=;\n"]
)
def test_what_excel_writes_above_the_header(line: str, tmp_path: Path) -> None:
    result = dialect(tmp_path, line + "text;label\na;b\n")
    assert (result.delimiter, result.skipped_lines, result.is_detected) == (";", 1, True)
    assert result.sample == (("text", "label"), ("a", "b"))
    assert dialect(tmp_path, line + "a|b\n", "|").delimiter == "|"


def test_a_column_called_sep_is_none(tmp_path: Path) -> None:
    assert dialect(tmp_path, "sep=;more\na;b\n").skipped_lines == 0


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", " ", "é", "，", "\u2028", "\x01", "a"])
def test_any_character_may_be_a_delimiter(delimiter: str, tmp_path: Path) -> None:
    result = dialect(tmp_path, f"text{delimiter}l\nx{delimiter}y\n", delimiter)
    assert (result.delimiter, result.is_detected) == (delimiter, False)
    assert result.sample[1][-1] == "y"


@pytest.mark.parametrize("delimiter", ["", ";;", '"', "\n", "\r", "\0", "\udce9", "none"])
def test_what_cannot_be_a_delimiter_is_reported(delimiter: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        dialect(tmp_path, "a,b\n", delimiter)
    (problem,) = caught.value.problems
    assert problem.code == "D115"
    assert "cannot be a delimiter" in problem.message
    assert '--delimiter ";"' in str(problem.fix)
    assert str(problem.place).endswith("a.csv")


def test_auto_is_as_good_as_nothing(tmp_path: Path) -> None:
    result = dialect(tmp_path, "a;b\n1;2\n", "auto")
    assert (result.delimiter, result.is_detected) == (";", True)
    assert dialect(tmp_path, "a,b\n1,2\n", "auto").is_detected is False


def test_the_sample_holds_whole_records_only(tmp_path: Path) -> None:
    content = "text,label\n" + f"{'x' * 1000},y\n" * 99
    sample = dialect(tmp_path, content).sample
    assert len(sample) == 66
    assert {len(record) for record in sample} == {2}
    assert len(dialect(tmp_path, "a,b\n" * 300).sample) == 101
    assert dialect(tmp_path, '"' + "x" * 70_000 + "\n").sample[0][0][:3] == "xxx"


def test_a_tab_is_shown_as_one_types_it() -> None:
    assert shown_delimiter("\t") == "\\t"
    assert shown_delimiter(";") == ";"
