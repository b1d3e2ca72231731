"""Tables of predictions read back as what was predicted, in every format."""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tunesmith.data.columns import Roles
from tunesmith.data.rows import Column, Row
from tunesmith.errors import RecipeError
from tunesmith.inference import prediction_files
from tunesmith.inference.prediction_files import (
    FORMATS,
    OutputColumns,
    refuse_format,
    write_predictions,
)
from tunesmith.tasks.masked_lm.task import MaskedLanguageModel
from tunesmith.tasks.multi_label_classification import MultiLabelClassification
from tunesmith.tasks.text_classification import TextClassification
from tunesmith.tasks.text_regression import TextRegression

CLASSES = TextClassification(Roles("text", None, "label"), ("a", "b"))
LABELS = MultiLabelClassification(Roles("text", None, "tags"), ("x", "y"))
NUMBERS = TextRegression(Roles("text", None, "stars"))
WORDS = MaskedLanguageModel(Roles("text", None, None))
INPUTS = (Column("id", "integer"), Column("text", "text"), Column("ok", "boolean"))
SURE = {"label": "b", "score": 0.75, "scores": {"a": 0.25, "b": 0.75}}
BAD = {"label": None, "score": None, "scores": None, "problem": "D310"}
TEXTS = ['a "quoted" text, with commas', "two\nlines\tand a tab", "=1+1", "打印机又坏了", ""]

HeldOut = list[tuple[Row, Mapping[str, object]]]


def answered(answer: Mapping[str, object] = SURE) -> HeldOut:
    rows = [Row(i, {"id": i, "text": text, "ok": i % 2 == 0}) for i, text in enumerate(TEXTS)]
    return [(row, answer if row.values["text"] else BAD) for row in rows]


def written(path: Path, pairs: HeldOut, task: object = CLASSES, **how: bool) -> list[str]:
    columns = OutputColumns.of(task, INPUTS, with_scores=how.get("with_scores", False))  # type: ignore[arg-type]
    assert write_predictions(path, iter(pairs), columns) == len(pairs)
    return columns.names


@pytest.mark.parametrize("ending", FORMATS)
def test_what_is_written_is_read_back(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"deep/predictions{ending}"
    names = written(path, answered(), with_scores=True)
    assert names == [
        "id", "text", "ok", "prediction", "probability", "probability:a", "probability:b",
    ]  # fmt: skip
    if ending == ".parquet":
        frame = pq.read_table(path).to_pandas()
    elif "jsonl" in ending:
        frame = pd.read_json(path, lines=True)
    else:
        separator = "\t" if "tsv" in ending else ","
        frame = pd.read_csv(path, sep=separator, keep_default_na=False, na_values={"p": [""]})
    assert list(frame.columns) == names
    assert frame["text"].tolist() == TEXTS
    assert frame["id"].tolist() == [0, 1, 2, 3, 4]
    assert frame["ok"].tolist() == [True, False, True, False, True]
    assert frame["prediction"].tolist()[:4] == ["b"] * 4
    assert [float(value) for value in frame["probability"][:4]] == [0.75] * 4
    assert [float(value) for value in frame["probability:a"][:4]] == [0.25] * 4
    assert frame["prediction"][4] in (None, "") or math.isnan(frame["prediction"][4])
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_lists_and_numbers_in_text_and_in_types(tmp_path: Path) -> None:
    two = {"label": ["x", "y"], "score": 0.9, "scores": {"x": 0.9, "y": 0.6}}
    none = {"label": [], "score": 0.1, "scores": {"x": 0.1, "y": 0.1}}
    pairs = [(answered()[0][0], two), (answered()[1][0], none), (answered()[4][0], BAD)]
    names = written(tmp_path / "p.csv", pairs, LABELS)
    assert names[3:] == ["prediction", "probability:x", "probability:y"]
    with (tmp_path / "p.csv").open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.reader(file))
    assert [line[3:] for line in lines[1:]] == [
        ["x;y", "0.9", "0.6"], ["", "0.1", "0.1"], ["", "", ""],
    ]  # fmt: skip
    written(tmp_path / "p.parquet", pairs, LABELS)
    assert pq.read_table(tmp_path / "p.parquet")["prediction"].to_pylist() == [
        ["x", "y"], [], None,
    ]  # fmt: skip
    number = {"label": "stars", "score": 3.5, "scores": {"stars": 3.5}}
    pairs = [(answered()[0][0], number), (answered()[4][0], BAD)]
    assert written(tmp_path / "n.parquet", pairs, NUMBERS, with_scores=True)[3:] == ["prediction"]
    assert pq.read_table(tmp_path / "n.parquet")["prediction"].to_pylist() == [3.5, None]
    word = {"label": "mat", "score": 0.5, "scores": {"mat": 0.5}}
    assert written(tmp_path / "w.jsonl", [(answered()[0][0], word)], WORDS, with_scores=True)[
        3:
    ] == ["prediction", "probability"]
    assert json.loads((tmp_path / "w.jsonl").read_text())["prediction"] == "mat"


def test_the_separator_is_that_of_the_training_data() -> None:
    piped = MultiLabelClassification(Roles("text", None, "tags"), ("x", "y"), "|")
    assert OutputColumns.of(piped, INPUTS, with_scores=False).separator == "|"
    assert OutputColumns.of(LABELS, INPUTS, with_scores=False).separator == ";"


def test_names_that_the_input_has_already() -> None:
    inputs = [Column(name, "text") for name in ("prediction", "prediction_2", "probability:a")]
    names = OutputColumns.of(CLASSES, inputs, with_scores=True).names
    assert names[3:] == ["prediction_3", "probability", "probability:a_2", "probability:b"]
    assert len(set(names)) == len(names)


def test_many_rows_are_written_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction_files, "_ROWS_AT_ONCE", 3)
    for count in (0, 2, 3, 7):
        pairs = [(Row(i, {"id": i, "text": "t", "ok": None}), SURE) for i in range(count)]
        written(tmp_path / "p.parquet", pairs)
        table = pq.ParquetFile(tmp_path / "p.parquet")
        assert table.read()["id"].to_pylist() == list(range(count))
        assert table.num_row_groups == -(-count // 3)
        written(tmp_path / "p.csv", pairs)
        assert len((tmp_path / "p.csv").read_text().splitlines()) == 1 + count


def test_what_tables_of_text_cannot_hold(tmp_path: Path) -> None:
    odd = {"id": [1, 2], "text": "half \ud800", "ok": {"a": None}, "rest": float("nan")}
    inputs = [Column(name, "list") for name in odd]
    columns = OutputColumns.of(CLASSES, inputs, with_scores=False)
    for name in ("p.csv", "p.jsonl"):
        write_predictions(tmp_path / name, [(Row(0, odd), SURE)], columns)
    line = (tmp_path / "p.csv").read_text(encoding="utf-8-sig").splitlines()[1]
    assert line == '"[1, 2]",half \\ud800,"{""a"": null}",nan,b,0.75'
    read = json.loads((tmp_path / "p.jsonl").read_text(encoding="utf-8"))
    assert read["id"] == [1, 2]
    assert read["text"] == "half \ud800"
    assert read["rest"] is None
    whole = {**odd, "text": "x"}
    write_predictions(tmp_path / "p.parquet", [(Row(0, whole), SURE)], columns)
    table = pq.read_table(tmp_path / "p.parquet")
    assert table["id"].to_pylist() == ["[1, 2]"]
    assert table["ok"].to_pylist() == ['{"a": null}']


def test_large_integers_stay_exact(tmp_path: Path) -> None:
    numbers = [2**60 + 1, None, -(2**53) - 1]
    pairs = [(Row(i, {"id": n, "text": "t", "ok": None}), SURE) for i, n in enumerate(numbers)]
    written(tmp_path / "p.parquet", pairs)
    assert pq.read_table(tmp_path / "p.parquet")["id"].to_pylist() == numbers
    assert prediction_files._ROWS_AT_ONCE == 10_000


@pytest.mark.parametrize("value", [1.5, "one", 2**70, [1]])
def test_types_that_change_on_the_way(value: object, tmp_path: Path) -> None:
    pairs = [(Row(i, {"id": v, "text": "t", "ok": True}), SURE) for i, v in enumerate([1, value])]
    (tmp_path / "p.parquet").write_text("mine")
    with pytest.raises(RecipeError, match=r"R163 .*p\.parquet: its column id"):
        written(tmp_path / "p.parquet", pairs)
    assert (tmp_path / "p.parquet").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1


def test_an_error_on_the_way_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[tuple[Row, Mapping[str, object]]]:
        yield from answered()[:2]
        raise KeyError("text")

    columns = OutputColumns.of(CLASSES, INPUTS, with_scores=False)
    for ending in FORMATS:
        with pytest.raises(KeyError):
            write_predictions(tmp_path / f"p{ending}", broken(), columns)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["p.xls", "p", "p.json", "csv", "p.csv.zip", "p.parquet.gz"])
def test_unknown_formats(name: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"R153.*\n.*\.csv, \.tsv, \.jsonl, \.parquet"):
        refuse_format(tmp_path / name)
    columns: Sequence[Column] = INPUTS
    with pytest.raises(RecipeError, match="R153"):
        write_predictions(
            tmp_path / name, [], OutputColumns.of(CLASSES, columns, with_scores=False)
        )
    refuse_format(Path("P.CSV"))


def test_packed_tables(tmp_path: Path) -> None:
    written(tmp_path / "p.csv.gz", answered())
    written(tmp_path / "p.csv", answered())
    assert gzip.decompress((tmp_path / "p.csv.gz").read_bytes()) == (
        (tmp_path / "p.csv").read_bytes()
    )
    assert (tmp_path / "p.csv").read_bytes().startswith(b"\xef\xbb\xbfid,")
