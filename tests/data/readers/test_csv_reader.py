from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pandas
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.data.readers import csv_reader as module
from tunesmith.data.readers.csv_reader import DelimitedFile
from tunesmith.data.readers.tables import RaggedRows, column_names
from tunesmith.data.readers.text_file import TextFile
from tunesmith.errors import DataError


def write(tmp_path: Path, content: str, name: str = "a.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode())
    return path


def opened(path: Path, delimiter: str | None = None) -> DelimitedFile:
    return DelimitedFile.open(TextFile.check(path, None), delimiter)


def rows(source: DelimitedFile) -> list[dict[str, object]]:
    return [dict(row.values) for chunk in source.chunks() for row in chunk]


def reported(path: Path, delimiter: str | None = None) -> str:
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
    words = reported(path)
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
    words = reported(write(tmp_path, content))
    assert "D111" in words
    assert f"a.csv:{line}: " in words
    assert f"({swallowed} line" in words


def test_an_inch_sign_is_no_open_quote(tmp_path: Path) -> None:
    path = write(tmp_path, 'text,label\na 5" pipe,x\nb,y\n')
    assert rows(opened(path))[0] == {"text": 'a 5" pipe', "label": "x"}


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        ("\n\n", "D121", "no header"),
        ("a," * 10_000 + "a\n", "D116", "10001 columns; at most 10000 are read"),
    ],
)
def test_headers_that_cannot_be(content: str, code: str, words: str, tmp_path: Path) -> None:
    message = reported(write(tmp_path, content))
    assert code in message
    assert words in message


def test_ten_thousand_columns_are_read(tmp_path: Path) -> None:
    source = opened(write(tmp_path, ",".join(f"c{i}" for i in range(10_000)) + "\n"))
    assert len(source.columns) == 10_000


def test_columns_without_a_name_are_numbered_as_pandas_numbers_them(tmp_path: Path) -> None:
    path = write(tmp_path, ",text,,label,\n0,a,b,c,\n1,d,e,f,\n")
    source = opened(path)
    names = ["Unnamed: 0", "text", "Unnamed: 2", "label"]
    assert [column.name for column in source.columns] == names
    assert rows(source)[1] == dict(zip(names, ["1", "d", "e", "f"], strict=True))
    frame = pandas.read_csv(path)
    assert list(frame.columns)[:4] == names
    filled = opened(write(tmp_path, "text,\na,\nb,pos\n"))
    assert [column.name for column in filled.columns] == ["text", "Unnamed: 1"]
    assert filled.notes == ()


def test_what_pandas_writes_with_its_index_is_read(tmp_path: Path) -> None:
    frame = pandas.DataFrame({"text": ["a", "b, c"], "label": ["x", "y"]})
    for name, separator in (("a.csv", ","), ("a.tsv", "\t")):
        frame.to_csv(tmp_path / name, sep=separator)
        assert rows(opened(tmp_path / name)) == [
            {"Unnamed: 0": "0", "text": "a", "label": "x"},
            {"Unnamed: 0": "1", "text": "b, c", "label": "y"},
        ]


def test_of_columns_with_one_name_the_first_is_read(tmp_path: Path) -> None:
    source = opened(write(tmp_path, "text,note,label,note\na,1,x,2\n"))
    assert [(c.name, c.duplicates) for c in source.columns] == [
        ("text", ()),
        ("note", (2, 4)),
        ("label", ()),
    ]
    assert rows(source) == [{"text": "a", "note": "1", "label": "x"}]


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
    assert "D150" in reported(write(tmp_path, f"text,label\n{endless},a\n"))


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
        ("good,a,1\n", HEADER, 'D114: 3 fields on the first line, --columns names 2: "text"'),
        ("good\n", HEADER, "D114: 1 field on the first line"),
        ("good;a;1\n", HEADER, "D114: 1 field on the first line"),
        ("good,a\n", ("text", "text"), "D114: --columns names .*each column needs a name"),
        ("good,a\n", ("text", " "), "D114: --columns names .*each column needs a name"),
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


def test_what_excel_writes_in_german(tmp_path: Path) -> None:
    content = "\ufeffsep=;\r\nText;Kategorie;Preis\r\nSehr gut, danke;gut;1,50\r\n"
    content += "\r\nSo so;mittel;2,00\r\n"
    source = opened(write(tmp_path, content))
    assert rows(source) == [
        {"Text": "Sehr gut, danke", "Kategorie": "gut", "Preis": "1,50"},
        {"Text": "So so", "Kategorie": "mittel", "Preis": "2,00"},
    ]
    assert {i: place.line for i, place in source.places([0, 1]).items()} == {0: 3, 1: 5}
    assert source.detected == {"delimiter": ";"}
    assert source.notes == (f'{source.name}: fields are separated by ";" (detected)',)


def test_what_is_detected_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("Text\tArt\nSchöne Grüße\tgut\n".encode("cp1252"))
    source = DelimitedFile.open(TextFile.check(path, "auto"), "auto")
    assert source.detected == {"encoding": "cp1252", "delimiter": "\t"}
    assert source.notes == (
        f"{path} is read as cp1252 (detected)",
        f'{path}: fields are separated by "\\t" (detected)',
    )
    assert opened(write(tmp_path, "text,label\na,b\n")).detected == {}


@pytest.mark.parametrize(("content", "shown"), [("a;b\n1;2\n", ";"), ("a\tb\n1\t2\n", "\\t")])
def test_a_delimiter_that_is_named_and_wrong(content: str, shown: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        opened(write(tmp_path, content), ",")
    (problem,) = caught.value.problems
    assert problem.code == "D112"
    assert problem.message.endswith(f'the delimiter looks like "{shown}"')
    assert problem.flags == ("--delimiter", shown)
    assert [c.name for c in opened(write(tmp_path, "only\n1\n"), ";").columns] == ["only"]


def test_a_quote_opened_in_a_later_field_is_named_though_their_number_is_even(
    tmp_path: Path,
) -> None:
    words = reported(write(tmp_path, 'text,label\na 5" pipe,"never closed\nb,z\n'))
    assert "D111" in words
    assert "a.csv:2: a quote opened here is never closed (1 line swallowed)" in words
    assert "(0 lines swallowed)" in reported(write(tmp_path, 'text,label\na,"b'))


def test_rows_before_an_open_quote_are_read(tmp_path: Path) -> None:
    chunks = opened(write(tmp_path, "text,label\n" + "a,b\n" * 1000 + '"c,d\n')).chunks()
    assert len(next(chunks)) == 1000
    with pytest.raises(DataError, match="D111"):
        next(chunks)


def test_an_open_quote_does_not_swallow_more_than_a_row_may_hold(tmp_path: Path) -> None:
    path = write(tmp_path, 'text,label\n"a,b\n' + ("x" * 99 + "\n") * 200_000)
    words = reported(path)
    assert "D111" in words
    assert re.search(r"a.csv:2: .*\((99|100)\d\d\d lines swallowed\)", words)


def test_places_of_no_rows_take_no_reading(tmp_path: Path) -> None:
    source = opened(write(tmp_path, "text,label\na,b\n"))
    source.text.path.unlink()
    assert source.places([]) == {}


def test_a_long_field_is_shortened_in_messages(tmp_path: Path) -> None:
    assert len(reported(write(tmp_path, "text,label\n" + "x" * 100_000 + "\n"))) < 500


@pytest.mark.parametrize(
    ("header", "body", "names"),
    [
        ([""], [], ("Unnamed: 0",)),
        (["", ""], [], ("Unnamed: 0",)),
        (["a", "", " "], [], ("a",)),
        (["a", "", ""], [["1", "", "x"]], ("a", "Unnamed: 1", "Unnamed: 2")),
        (["a", "", ""], [["1", "x", " "]], ("a", "Unnamed: 1")),
        (["a", ""], [["1"], ["1", ""]], ("a",)),
        (["a", ""], [["1", "x", "y"]], ("a", "Unnamed: 1")),
        ([" a ", "b"], [], ("a", "b")),
    ],
)
def test_names_of_columns(header: list[str], body: list[list[str]], names: tuple[str, ...]) -> None:
    assert column_names(header, body) == names


def test_how_long_a_row_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ROW_BYTES", 50)
    path = write(tmp_path, "text,label\n" + f"{'x' * 47},y\n" * 9)
    assert len(rows(opened(path))) == 9  # each of fifty characters with its line end
    words = reported(write(tmp_path, f"text,label\na,b\n{'x' * 48},y\n"))
    assert "D150" in words and "a.csv:3" in words
    within = f'text,label\n"{"x" * 20}\n{"x" * 24}",y\n'
    assert len(rows(opened(write(tmp_path, within)))) == 1
    assert "D150" in reported(write(tmp_path, within.replace(",y", ",yy")))
    words = reported(write(tmp_path, f'text,label\n"{"x" * 20}\n{"x" * 10}\n{"x" * 17}",y\n'))
    assert "a.csv:2: a quote opened here is never closed (1 line swallowed)" in words


def test_rows_have_their_number_and_size_and_ragged_ones_none(tmp_path: Path) -> None:
    source = opened(write(tmp_path, "text,label\nabc,x\nbad\n\nde,\n"))
    ragged = RaggedRows(source.width, ",", fix_if_wide="")
    result = [
        (row.index, row.values, size)
        for row, size in source._good_rows(source._rows(), ["label"], ragged)
    ]
    assert result == [(0, {"label": "x"}, 4), (1, {"label": ""}, 2)]
    (record,) = ragged.error().records
    assert str(record.place) == f"{source.name}:3"


def test_an_empty_table_is_named_by_its_first_line(tmp_path: Path) -> None:
    assert "a.csv:1: the file has no header line" in reported(write(tmp_path, "\n\n"))
