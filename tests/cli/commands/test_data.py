from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Command


def test_mrpc_as_the_course_shows_it(tunesmith: Command, glue: Callable[[str], Path]) -> None:
    output = tunesmith("data", "show", glue("mrpc"), "--row", "0", "--json")
    (record,) = output.records
    assert record["splits"] == {"train": 3668, "validation": 408, "test": 1725}
    assert [f["name"] for f in record["features"]] == ["sentence1", "sentence2", "label", "idx"]
    assert record["example"]["values"]["idx"] == 0
    assert record["example"]["values"]["label"] == "equivalent"
    assert record["example"]["values"]["sentence1"].startswith("Amrozi accused his brother")
    for split, row in (("train", 15), ("validation", 87)):
        output = tunesmith("data", "show", glue("mrpc"), "--row", row, "--split", split, "--json")
        assert output.records[0]["example"]["values"]["label"] == "not_equivalent"


def test_text_output(tunesmith: Command, tickets: Path) -> None:
    output = tunesmith("data", "show", tickets, "--row", "3")
    assert output.code == 0
    assert "train        60 rows" in output.out
    assert "body               text" in output.out
    assert f"train[3]  ({tickets}:5)" in output.out
    assert "please send me a new cable 3" in output.out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--row", "60"], 3, "D308"),
        (["--split", "tran"], 3, 'did you mean "train"'),
        (["--row", "-1"], 2, "R100"),
    ],
)
def test_unknown_split_or_row(
    arguments: list[str], code: int, words: str, tunesmith: Command, tickets: Path
) -> None:
    output = tunesmith("data", "show", tickets, *arguments)
    assert output.code == code
    assert words in output.err


def test_class_names_are_listed(tunesmith: Command) -> None:
    output = tunesmith("data", "show", "embedded:tickets")
    assert "0 booking, 1 order" in output.out


def test_encodings(tunesmith: Command, tmp_path: Path) -> None:
    (tmp_path / "gbk.csv").write_bytes(("文本,标签\n" + "打印机坏了,甲\n" * 30).encode("gb18030"))
    output = tunesmith("data", "show", "gbk.csv")
    assert output.code == 3
    assert "--encoding gb18030" in output.err
    assert "打印机坏了" in tunesmith("data", "show", "gbk.csv", "--encoding", "gb18030").out
