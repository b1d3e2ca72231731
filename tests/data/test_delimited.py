from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.data.delimited import DelimitedFile
from tunesmith.data.textfile import TextFile
from tunesmith.errors import DataError


def write(tmp_path: Path, content: str, name: str = "a.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode())
    return path


def opened(path: Path, delimiter: str | None = None) -> DelimitedFile:
    return DelimitedFile.open(TextFile.check(path, None), delimiter)


def rows(source: DelimitedFile) -> list[dict[str, object]]:
    return [dict(row.values) for chunk in source.chunks() for row in chunk]


def told(path: Path, delimiter: str | None = None) -> str:
    with pytest.raises(DataError) as caught:
        rows(opened(path, delimiter))
    return str(caught.value)


@pytest.mark.parametrize("word", ["NA", "null", "None", "nan", "", "N/A", "1e5", "007", "true"])
def test_words_stay_words(word: str, tmp_path: Path) -> None:
    path = write(tmp_path, f"text,label\n{word},{word}\nx,y\n")
    assert rows(opened(path)) == [{"text": word, "label": word}, {"text": "x", "label": "y"}]


@pytest.mark.parametrize(
    "content",
    [
        'text,label\n"two\nlines",x\n\n\nb,y\n',
        'text,label\r\n"two\nlines",x\r\nb,y\r\n',
        'text,label\r"two\nlines",x\rb,y\r',
        '\ufefftext,label\n"two\nlines",x\nb,y',
        'text,label,,\n"two\nlines",x,,\nb,y,,\n',
    ],
    ids=["blank lines", "crlf", "cr", "bom, no last newline", "empty last columns"],
)
def test_line_ends_marks_and_empty_columns(content: str, tmp_path: Path) -> None:
    source = opened(write(tmp_path, content))
    assert rows(source) == [{"text": "two\nlines", "label": "x"}, {"text": "b", "label": "y"}]
    assert bool(source.notes) == (",," in content)


field = st.text(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="\0\r"), max_size=20
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=st.lists(st.tuples(field, field), min_size=1, max_size=8))
def test_what_csv_writes_is_read_and_found_by_its_line(
    records: list[tuple[str, str]], tmp_path: Path
) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\n")
    starts = []
    writer.writerow(["text", "label"])
    for record in records:
        starts.append(stream.getvalue().count("\n") + 1)
        writer.writerow(record)
    source = opened(write(tmp_path, stream.getvalue()))
    assert rows(source) == [{"text": a, "label": b} for a, b in records]
    places = source.places(range(len(records)))
    assert [places[i].line for i in range(len(records))] == starts


def test_ragged_rows_are_named_by_their_lines(tmp_path: Path) -> None:
    path = write(tmp_path, 'text,label\n"two\nlines",x\n\nhello, world,pos\nb\nc,y\n')
    words = told(path)
    assert "D110" in words
    assert 'a.csv:5: 3 fields, the header has 2: "hello, world,pos" (2 rows)' in words
    assert "a.csv:6" in words


def test_rows_after_a_ragged_one_keep_their_lines(tmp_path: Path) -> None:
    source = opened(write(tmp_path, "text,label\na,x\nb\nc,y\n"))
    with pytest.raises(DataError):
        rows(source)
    assert source.places([1])[1].line == 4


@pytest.mark.parametrize(
    ("content", "line", "swallowed"),
    [
        ('text,label\na,x\n"never closed,y\nb,z\nc,w\n', 3, 2),
        ('text,label\na,"never closed\nb,z\n', 2, 1),
    ],
)
def test_an_unclosed_quote_is_named(
    content: str, line: int, swallowed: int, tmp_path: Path
) -> None:
    words = told(write(tmp_path, content))
    assert "D111" in words
    assert f"a.csv:{line}: " in words
    assert f"({swallowed} line" in words


def test_an_inch_sign_is_no_open_quote(tmp_path: Path) -> None:
    path = write(tmp_path, 'text,label\na 5" pipe,x\nb,y\n')
    assert rows(opened(path))[0] == {"text": 'a 5" pipe', "label": "x"}


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        ("text;label\na;b\n", "D112", 'Use --delimiter ";"'),
        ("text\tlabel\na\tb\n", "D112", "\\t"),
        ("text,label,text\na,b,c\n", "D302", 'two columns are called "text" (columns 1 and 3)'),
        ("text,,label\na,b,c\n", "D302", "column 2 has no name"),
        ("\n\n", "D121", "no header"),
    ],
)
def test_headers_that_cannot_be(content: str, code: str, words: str, tmp_path: Path) -> None:
    message = told(write(tmp_path, content))
    assert code in message
    assert words in message


def test_other_delimiters(tmp_path: Path) -> None:
    assert rows(opened(write(tmp_path, "text;label\na, b;c\n"), ";")) == [
        {"text": "a, b", "label": "c"}
    ]
    assert rows(opened(write(tmp_path, "text\tlabel\na, b\tc\n", "a.tsv"))) == [
        {"text": "a, b", "label": "c"}
    ]


def test_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    assert rows(opened(write(tmp_path, "text,label\n"))) == []


def test_only_the_wanted_columns(tmp_path: Path) -> None:
    source = opened(write(tmp_path, "a,b,c\n1,2,3\n4,5,6\n"))
    chunk = next(iter(source.chunks(["c", "a"])))
    assert [dict(row.values) for row in chunk] == [{"a": "1", "c": "3"}, {"a": "4", "c": "6"}]
    assert sum(len(chunk) for chunk in source.chunks(())) == 2


def test_a_long_row_is_read_and_an_endless_one_refused(tmp_path: Path) -> None:
    long = "x" * 2_000_000
    assert rows(opened(write(tmp_path, f"text,label\n{long},a\n")))[0]["text"] == long
    endless = "x" * 20_000_000
    assert "D150" in told(write(tmp_path, f"text,label\n{endless},a\n"))


def test_many_rows_come_in_chunks(tmp_path: Path) -> None:
    source = opened(write(tmp_path, "text,label\n" + "a,b\n" * 2500))
    assert [len(chunk) for chunk in source.chunks()] == [1000, 1000, 500]


def test_utf_16_tables(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("text,label\n你好,x\n".encode("utf-16"))
    assert rows(opened(path)) == [{"text": "你好", "label": "x"}]


HEADER = ("text", "label")


def headless(tmp_path: Path, content: str) -> DelimitedFile:
    path = write(tmp_path, content)
    return DelimitedFile.open(TextFile.check(path, None), None, HEADER)


def test_without_a_header_every_record_is_a_row(tmp_path: Path) -> None:
    source = headless(tmp_path, '\n"two\nlines",a\n\ngood,b\n')
    assert rows(source) == [{"text": "two\nlines", "label": "a"}, {"text": "good", "label": "b"}]
    assert {i: place.line for i, place in source.places([0, 1]).items()} == {0: 2, 1: 5}


def test_without_a_header_bad_records_keep_their_lines(tmp_path: Path) -> None:
    source = headless(tmp_path, "good,a\nso, so,b\nbad,b\n")
    with pytest.raises(DataError, match=r"D110(.|\n)*a.csv:2"):
        rows(source)
    assert {i: place.line for i, place in source.places([0, 1]).items()} == {0: 1, 1: 3}


@pytest.mark.parametrize(
    ("content", "names", "words"),
    [
        ("good,a,1\n", HEADER, 'D114: 3 fields on the first line, --no-header names 2: "text"'),
        ("good\n", HEADER, "D114: 1 field on the first line"),
        ("good;a\n", HEADER, 'D112: one column "good;a"; the delimiter looks like ";"'),
        ("good,a\n", ("text", "text"), "D114: --no-header names .*each column needs a name"),
        ("good,a\n", ("text", " "), "D114: --no-header names .*each column needs a name"),
        ("\n", HEADER, "D121"),
    ],
)
def test_names_that_do_not_fit_are_refused(
    content: str, names: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    text = TextFile.check(write(tmp_path, content), None)
    with pytest.raises(DataError) as caught:
        DelimitedFile.open(text, None, names)
    (problem,) = caught.value.problems
    assert re.match(words, f"{problem.code}: {problem.message}")
