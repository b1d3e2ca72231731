from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import WriteRows
from tunesmith.errors import DataError
from tunesmith.inputs.corrections_table import LabelIssue, mark_of, read_corrections, write_issues


def doubt(row: int, text: str, label: str, correct: str, split: str = "train") -> LabelIssue:
    return LabelIssue(split, row, f"rows:{row}", text, "", label, "b", correct, mark_of([text]))


anything = st.text(st.characters(exclude_categories=()), max_size=12)


@given(st.lists(st.tuples(anything, anything, anything), max_size=5))
def test_the_table_brings_back_what_was_written(lines: list[tuple[str, str, str]]) -> None:
    """Formulas, line ends, quotes, control characters and halves of surrogates included."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        written = [doubt(i, text, label, word) for i, (text, label, word) in enumerate(lines)]
        assert write_issues(path, written) == len(lines)
        result = {c.row: c for c in read_corrections(path)}
        for i, (text, label, word) in enumerate(lines):
            if word.strip() and word != label and word == word.strip():
                assert result[i].label == word and result[i].mark == mark_of([text])
        with path.open(newline="", encoding="utf-8-sig", errors="surrogatepass") as file:
            for cells in list(csv.reader(file))[1:]:
                for cell in cells:
                    assert not cell.startswith(("=", "@", "\t", "\r", "＝"))


def test_excel_finds_a_mark_and_no_formula(tmp_path: Path) -> None:
    write_issues(tmp_path / "t.csv", [doubt(0, '=HYPERLINK("x")', "-1.5", "")])
    content = (tmp_path / "t.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbfsplit,row,place,text")
    assert b"\"'=HYPERLINK" in content and b",-1.5," in content
    assert read_corrections(tmp_path / "t.csv") == []


def test_other_files_are_refused(tmp_path: Path, write_csv: WriteRows) -> None:
    with pytest.raises(DataError, match="D105"):
        read_corrections(tmp_path / "none.csv")
    with pytest.raises(DataError, match=r'R176(.|\n)*no column "split", "row"'):
        read_corrections(write_csv([["text", "label"], ["a", "b"]]))
    (tmp_path / "gbk.csv").write_bytes("标签".encode("gb18030"))
    with pytest.raises(DataError, match="R176"):
        read_corrections(tmp_path / "gbk.csv")
