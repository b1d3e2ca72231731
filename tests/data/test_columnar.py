from __future__ import annotations

import random
from collections import Counter
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


def rows(source: Source, columns: list[str] | None = None) -> list[dict[str, object]]:
    return [dict(row.values) for chunk in source.chunks(columns) for row in chunk]


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


def written(path: Path, table: pa.Table, **settings: object) -> ParquetFile:
    pq.write_table(table, path, **settings)
    return ParquetFile.open(path)


def test_texts_of_all_lengths_in_all_encodings_come_back(tmp_path: Path) -> None:
    texts = [("x" * (i % 7 * 1000)) + str(i) for i in range(3_000)]
    table = pa.table({"text": texts, "label": [[t[-1], "b"] for t in texts], "n": range(3_000)})
    for settings in ({}, {"use_dictionary": False}, {"row_group_size": 700}):
        source = written(tmp_path / "a.parquet", table, **settings)
        assert rows(source) == table.to_pylist()
        assert rows(source, ["label"]) == table.select(["label"]).to_pylist()
        assert rows(source, []) == [{}] * 3_000


def test_columns_of_one_name(tmp_path: Path) -> None:
    both = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"]), pa.array(["c"])], list("tlt"))
    sources: list[Source] = [written(tmp_path / "a.parquet", both)]
    with pa.ipc.new_file(tmp_path / "a.arrow", both.schema) as writer:
        writer.write_table(both)
    sources.append(ArrowFile.open(tmp_path / "a.arrow"))
    for source in sources:
        assert [(c.name, c.duplicates) for c in source.columns] == [("t", (1, 3)), ("l", ())]
        assert rows(source) == [{"t": "a", "l": "b"}]


def test_too_many_columns(tmp_path: Path) -> None:
    table = pa.table({f"c{i}": [1] for i in range(10_001)})
    with pytest.raises(DataError, match="D116"):
        written(tmp_path / "a.parquet", table)


def test_a_name_with_a_dot(tmp_path: Path) -> None:
    table = pa.table({"a": ["x"], "a.b": ["y"], "c": [{"d": "z"}]})
    source = written(tmp_path / "a.parquet", table)
    assert rows(source, ["a.b"]) == [{"a.b": "y"}]
    assert rows(source) == [{"a": "x", "a.b": "y", "c": {"d": "z"}}]


def test_flipped_bits_never_end_as_a_bug(tmp_path: Path) -> None:
    table = pa.table({"text": [f"text {i}" for i in range(50)], "label": ["a", "b"] * 25})
    pq.write_table(table, tmp_path / "a.parquet")
    with pa.ipc.new_file(tmp_path / "a.arrow", table.schema) as writer:
        writer.write_table(table)
    draw = random.Random(0)
    seen = Counter[str]()
    for path, kind in ((tmp_path / "a.parquet", ParquetFile), (tmp_path / "a.arrow", ArrowFile)):
        whole = path.read_bytes()
        for _turn in range(60):
            content = bytearray(whole)
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
            path.write_bytes(content)
            try:
                rows(kind.open(path))
                seen["read"] += 1
            except DataError as error:
                seen[error.problems[0].code] += 1
    assert seen["read"] > 20
    assert seen["D130"] > 5
