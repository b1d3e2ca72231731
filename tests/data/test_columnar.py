from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Sequence, Value

from tunesmith.data.columnar import ArrowFile, HubSplit, Memory, ParquetFile
from tunesmith.data.rows import Source
from tunesmith.errors import DataError

RECORDS = [{"text": f"row {i}", "label": i % 2, "tags": ["a"] * (i % 3)} for i in range(2500)]
TABLE = pa.Table.from_pylist(RECORDS)


def rows(source: Source) -> list[dict[str, object]]:
    return [dict(row.values) for chunk in source.chunks() for row in chunk]


def parquet(folder: Path) -> Source:
    pq.write_table(TABLE, folder / "a.parquet", row_group_size=700)
    return ParquetFile.open(folder / "a.parquet")


def arrow_file(folder: Path) -> Source:
    with pa.ipc.new_file(folder / "a.arrow", TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=700)
    return ArrowFile.open(folder / "a.arrow")


def arrow_stream(folder: Path) -> Source:
    with pa.ipc.new_stream(folder / "a.arrow", TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=700)
    return ArrowFile.open(folder / "a.arrow")


def dataset(folder: Path) -> Source:
    return HubSplit.of(Dataset(TABLE), "d:train")


def frame(folder: Path) -> Source:
    return Memory.of_frame(pd.DataFrame(RECORDS), "frame")


def records(folder: Path) -> Source:
    return Memory.of_records(RECORDS, "records")


KINDS = [parquet, arrow_file, arrow_stream, dataset, frame, records]


@pytest.mark.parametrize("make", KINDS)
def test_every_kind_reads_the_same(make: object, tmp_path: Path) -> None:
    source: Source = make(tmp_path)  # type: ignore[operator]
    assert rows(source) == RECORDS
    assert [(c.name, c.type) for c in source.columns] == [
        ("text", "text"),
        ("label", "integer"),
        ("tags", "list"),
    ]
    assert [dict(r.values) for r in next(iter(source.chunks(["label"])))][:2] == [
        {"label": 0},
        {"label": 1},
    ]
    assert sum(len(chunk) for chunk in source.chunks(())) == 2500
    assert source.places([3])[3].row == 3


def test_class_names_come_with_the_column() -> None:
    features = Features(
        {
            "text": Value("string"),
            "label": ClassLabel(names=["no", "yes"]),
            "tags": Sequence(ClassLabel(names=["x", "y"])),
        }
    )
    made = Dataset.from_list([{"text": "a", "label": 1, "tags": [0]}], features=features)
    columns = {c.name: c for c in HubSplit.of(made, "d").columns}
    assert columns["label"].class_names == ("no", "yes")
    assert columns["label"].type == "ClassLabel"
    assert columns["tags"].class_names == ("x", "y")
    assert columns["tags"].type == "list"


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_damaged_files_are_told_as_that(name: str, tmp_path: Path) -> None:
    (parquet if name.endswith("parquet") else arrow_file)(tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-200])
    kind = ParquetFile if name.endswith("parquet") else ArrowFile
    with pytest.raises(DataError, match="D130"):
        kind.open(path)
    with pytest.raises(DataError, match="D105"):
        kind.open(tmp_path / "none")


def test_a_frame_keeps_words_and_loses_no_missing_value() -> None:
    source = Memory.of_frame(pd.DataFrame({"text": ["NA", None], "label": [1.0, None]}), "f")
    assert rows(source) == [{"text": "NA", "label": 1.0}, {"text": None, "label": None}]


def test_a_list_holds_dicts() -> None:
    with pytest.raises(DataError, match="D144"):
        Memory.of_records([{"a": 1}, "b"], "m")  # type: ignore[list-item]
