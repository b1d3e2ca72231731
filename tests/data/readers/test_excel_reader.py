from __future__ import annotations

import datetime
import sys
import zipfile
from pathlib import Path

import pytest

from tests.data.workbooks import cell, raw_workbook, workbook
from tunesmith.data.readers.excel_reader import ExcelFile
from tunesmith.errors import DataError, Problem, ResourceError, TunesmithError

HEADER = ("text", "label")


def rows(source: ExcelFile, columns: list[str] | None = None) -> list[dict[str, object]]:
    return [dict(row.values) for chunk in source.chunks(columns) for row in chunk]


def refused(path: Path, sheet: str | None = None) -> Problem:
    with pytest.raises(TunesmithError) as caught:
        rows(ExcelFile.open(path, sheet))
    (problem,) = caught.value.problems
    assert str(problem.place).startswith(str(path))
    return problem


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        (" kept ", " kept "),
        ("two\nlines", "two\nlines"),
        (5, "5"),
        (5.0, "5"),
        (-2.5, "-2.5"),
        (1e20, "1e+20"),
        (True, "TRUE"),
        (False, "FALSE"),
        (datetime.date(2026, 11, 30), "2026-11-30"),
        (datetime.datetime(2026, 11, 30, 12, 5), "2026-11-30 12:05:00"),
        (datetime.time(8, 30), "08:30:00"),
        ("007", "007"),
        ("#N/A", ""),
        ("#DIV/0!", ""),
        (None, ""),
        ("打印机", "打印机"),
    ],
)
def test_cells_as_texts(value: object, text: str, tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", {"S": [HEADER, (value, "x")]})
    assert rows(ExcelFile.open(path)) == [{"text": text, "label": "x"}]


def test_blank_rows_and_columns_are_left_out_and_rows_keep_their_numbers(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "a.xlsx",
        {"S": [(), (*HEADER, " ", None), (), ("a", "x", None, " "), ("", None), ("b",), ()]},
    )
    source = ExcelFile.open(path)
    assert source.header_row == 2
    assert [column.name for column in source.columns] == ["text", "label"]
    assert rows(source) == [{"text": "a", "label": "x"}, {"text": "b", "label": ""}]
    places = source.places([1, 0, 7])
    assert {index: str(place) for index, place in places.items()} == {
        0: f"{path}:4",
        1: f"{path}:6",
    }
    assert source.places([]) == {}


def test_only_the_wanted_columns(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", {"S": [(None, "text", "text"), (0, "a", "b")]})
    source = ExcelFile.open(path)
    assert [(c.name, c.type, c.duplicates) for c in source.columns] == [
        ("Unnamed: 0", "text", ()),
        ("text", "text", (2, 3)),
    ]
    assert rows(source, ["text"]) == [{"text": "a"}]
    assert rows(source, []) == [{}]


def test_the_first_sheet_or_the_one_that_is_named(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "a.xlsx", {"Data": [HEADER, ("a", "x")], "More": [HEADER, ("b", "y")]}
    )
    first = ExcelFile.open(path)
    assert rows(first) == [{"text": "a", "label": "x"}]
    (note,) = first.notes
    assert note == f'{path}: the first sheet "Data" is read, not "More" (see --sheet)'
    named = ExcelFile.open(path, "More")
    assert rows(named) == [{"text": "b", "label": "y"}]
    assert named.notes == ()
    problem = refused(path, "Mroe")
    assert problem.code == "D119"
    assert problem.fix == 'Did you mean "More"?\nSheets: "Data", "More".'
    assert refused(path, "zzz").fix == 'Sheets: "Data", "More".'


def test_many_rows_come_in_chunks(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", {"S": [HEADER, *[(f"t{i}", "x") for i in range(1500)]]})
    chunks = list(ExcelFile.open(path).chunks())
    assert [len(chunk) for chunk in chunks] == [1000, 500]
    assert [row.index for chunk in chunks for row in chunk] == list(range(1500))


def test_cells_beyond_the_header_are_reported_by_their_row(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", {"S": [HEADER, ("a", "x", "more"), ("b", "y")]})
    source = ExcelFile.open(path)
    chunks = source.chunks()
    assert [row.values["text"] for row in next(chunks)] == ["b"]
    with pytest.raises(DataError) as caught:
        next(chunks)
    (problem,) = caught.value.problems
    assert (problem.code, str(problem.place)) == ("D110", f"{path}:2")
    assert 'header has 2: "a | x | more"' in problem.message
    assert "beyond the last column" in str(problem.fix)
    assert str(source.places([0])[0]) == f"{path}:3"


def test_an_empty_sheet_has_no_header(tmp_path: Path) -> None:
    problem = refused(workbook(tmp_path / "a.xlsx", {"S": [("", None), ()]}))
    assert problem.code == "D121"
    assert '"S" is empty' in problem.message


@pytest.mark.parametrize(
    ("inner", "kind"),
    [
        ("xl/workbook.bin", ".xlsb"),
        ("content.xml", ".ods"),
        ("word/document.xml", "Word"),
        ("a.csv", "a zip archive"),
    ],
)
def test_other_archives_are_named(inner: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(inner, "x")
    problem = refused(path)
    assert problem.code == "D118"
    assert kind in problem.message
    assert "Save it as .xlsx" in str(problem.fix)


def test_damage_is_reported(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", {"S": [HEADER, ("a", "x")]})
    whole = path.read_bytes()
    for content in (
        whole[:-30],
        whole[:200],
        whole.replace(b"xl/workbook.xml", b"xl/workbook.xmm"),
    ):
        path.write_bytes(content)
        assert refused(path).code in ("D130", "D118")


def test_without_openpyxl_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = workbook(tmp_path / "a.xlsx", {"S": [HEADER]})
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ResourceError) as caught:
        ExcelFile.open(path)
    (problem,) = caught.value.problems
    assert problem.code == "D136"
    assert str(problem.fix).startswith('pip install "tunesmith[excel]"')


def row(number: int, *cells: str) -> bytes:
    return f'<row r="{number}">{"".join(cells)}</row>'.encode()


def test_a_far_cell_makes_no_rows(tmp_path: Path) -> None:
    far = [row(1, cell("A1", "text"), cell("B1", "label")), row(900_000, cell("A900000", "a"))]
    source = ExcelFile.open(raw_workbook(tmp_path / "a.xlsx", far))
    assert rows(source) == [{"text": "a", "label": ""}]
    assert str(source.places([0])[0]).endswith(":900000")


def test_a_sheet_wider_than_any_table_is_refused(tmp_path: Path) -> None:
    path = raw_workbook(tmp_path / "a.xlsx", [row(1, cell("A1", "text"), cell("XFD1", "label"))])
    problem = refused(path)
    assert (problem.code, str(problem.place)) == ("D116", f"{path}:1")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    blank = b" " * (1 << 20)
    problem = refused(raw_workbook(tmp_path / "a.xlsx", (blank for _ in range(65))))
    assert problem.code == "D131"
    assert "more than 50 times its size (65 MB)" in problem.message


def test_a_cell_without_end_is_refused(tmp_path: Path) -> None:
    long = cell("A2", "x" * 10_000_001)
    path = raw_workbook(tmp_path / "a.xlsx", [row(1, cell("A1", "text")), row(2, long)])
    problem = refused(path)
    assert (problem.code, str(problem.place)) == ("D150", f"{path}:2")


def test_empty_cells_without_end_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunesmith.data.readers.excel_reader._MAX_CELLS", 60_000)
    wide = [row(i, cell(f"A{i}", "a"), f'<c r="XFD{i}"/>') for i in range(2, 9)]
    path = raw_workbook(tmp_path / "a.xlsx", [row(1, cell("A1", "text")), *wide])
    problem = refused(path)
    assert (problem.code, str(problem.place)) == ("D131", f"{path}:5")
