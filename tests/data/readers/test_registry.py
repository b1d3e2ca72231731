from __future__ import annotations

from pathlib import Path

import pytest
from datasets import Dataset

from tests.data.test_open import CSV, RECORDS, every_format, rows, write
from tests.data.workbooks import workbook
from tunesmith.data.open import open_splits
from tunesmith.data.readers import registry
from tunesmith.data.readers.format import ReadingOptions
from tunesmith.errors import DataError


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"PK\x03\x04 rest of an xlsx", "Excel"),
        ("a.parquet", b"text,label\na,b\n", "the content is text, not Parquet"),
        ("a.arrow", b"text,label\na,b\n", "not Arrow"),
        ("a.csv", b"PAR1 something", "the content is Parquet, not CSV"),
        ("a", b"%PDF-1.7", "not a table"),
    ],
)
def test_content_decides(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="D104") as caught:
        open_splits(str(tmp_path / name))
    assert words in str(caught.value)


def test_names_for_columns_are_for_text_tables_alone(tmp_path: Path) -> None:
    options = ReadingOptions(header=("text", "label"))
    for path in every_format(tmp_path):
        if path.name.removesuffix(".gz") in ("a.csv", "a.tsv", "no_suffix"):
            assert len(rows(open_splits(str(path), options)["train"])) == 5
            continue
        with pytest.raises(DataError, match="D114"):
            open_splits(str(path), options)
    Dataset.from_list(RECORDS).save_to_disk(str(tmp_path / "saved"))
    for where in (str(tmp_path / "saved"), "embedded:tickets", "nobody/nothing"):
        with pytest.raises(DataError, match="D114"):
            open_splits(where, options)


def test_excel_files_and_their_sheets(tmp_path: Path) -> None:
    table = [("text", "label"), *[tuple(record.values()) for record in RECORDS]]
    path = workbook(tmp_path / "a.xlsx", {"First": table, "Second": table[:2]})
    assert rows(open_splits(str(path))["train"]) == RECORDS
    assert len(rows(open_splits(str(path), ReadingOptions(sheet="Second"))["train"])) == 1
    with pytest.raises(DataError, match="D114"):
        open_splits(str(path), ReadingOptions(header=("a", "b")))
    with pytest.raises(DataError, match="D119") as caught:
        open_splits(str(write(tmp_path / "a.csv", CSV)), ReadingOptions(sheet="First"))
    assert "for Excel files" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "code", "words"),
    [
        ("a.xls", b"\xd0\xcf\x11\xe0" + b"x" * 600, "D118", "an old Excel workbook (.xls)"),
        ("a.xlsx", b"\xd0\xcf\x11\xe0" + b"x" * 600, "D104", "Excel"),
        ("a.ods", b"PK\x03\x04" + b"x" * 600, "D130", "not a whole Excel file"),
        ("a.xls", b"\n<html><table></table></html>", "D118", "a web page that is called .xls"),
        ("a.xlsx", b"text,label\na,b\n", "D104", "the content is text, not Excel"),
        ("a.xlsx", b"PK\x03\x04" + b"x" * 600, "D130", "not a whole Excel file"),
    ],
)
def test_other_spreadsheets(
    name: str, content: bytes, code: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        open_splits(str(tmp_path / name))
    (problem,) = caught.value.problems
    assert problem.code == code
    assert words in problem.message


def test_text_that_is_called_xls_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xls", CSV.replace(",", "\t"))
    assert rows(open_splits(str(path))["train"]) == RECORDS


def test_every_reader_of_a_format_is_listed() -> None:
    folder = Path(str(registry.__file__)).parent
    readers = {
        path.stem for path in folder.glob("*.py") if "\nFORMAT = " in path.read_text("utf-8")
    }
    assert readers == {one.open.__module__.rpartition(".")[2] for one in registry.FORMATS}
    suffixes = [suffix for one in registry.FORMATS for suffix in one.suffixes]
    assert len(suffixes) == len(set(suffixes))
    text_formats = [one.name for one in registry.FORMATS if one.is_text]
    assert text_formats == ["CSV", "JSON", "text", "CoNLL", "SQuAD"]
