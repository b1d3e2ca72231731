from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Sequence, Value

from tunesmith.data.readers import columnar as module
from tunesmith.data.readers.columnar import ArrowFile, HubSplit, Memory, ParquetFile
from tunesmith.data.rows import BadRecordsError, Source
from tunesmith.errors import DataError, Place

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


def test_what_a_file_decodes_to_is_bounded_before_a_row_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "a.parquet", pa.table({"n": range(1_000)}), use_dictionary=False)
    for limit in (10**6, 0):
        limit_name = "tunesmith.data.readers.parquet_sizes.bomb_limit"
        monkeypatch.setattr(limit_name, lambda _s, n=limit: n)
        if limit:
            assert len(ParquetFile.open(tmp_path / "a.parquet").columns) == 1
        else:
            with pytest.raises(DataError, match="D131"):
                ParquetFile.open(tmp_path / "a.parquet")


def test_batches_are_counted_to_the_limit_itself(tmp_path: Path) -> None:
    batches = pa.table({"text": ["abcd", "ef"], "more": ["x", "yz"]}).to_batches(max_chunksize=1)
    module._check_batches(batches, 9, tmp_path)
    with pytest.raises(DataError, match="D131"):
        module._check_batches(batches, 8, tmp_path)


def test_small_arrow_files_and_dictionaries_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = pa.table({"text": ["abcd"] * 9})
    packed = pa.table({"text": pa.array(["abcd"] * 9).dictionary_encode()})
    counted: list[str] = []
    real = module._check_batches
    for name, table in (("plain", plain), ("packed", packed)):
        with pa.ipc.new_file(tmp_path / name, table.schema) as writer:
            writer.write_table(table)

        def count(batches: object, limit: int, path: Path) -> None:
            counted.append(path.name)
            real(batches, limit, path)  # type: ignore[arg-type]

        monkeypatch.setattr(module, "_check_batches", count)
        size = (tmp_path / name).stat().st_size
        for least in (size + 1, size):
            monkeypatch.setattr(module, "_COUNTED_BYTES", least)
            assert rows(ArrowFile.open(tmp_path / name)) == [{"text": "abcd"}] * 9
    assert counted == ["plain", "packed", "packed"]


def test_how_many_rows_are_decoded_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"text": [f"text {i % 5}" for i in range(500)], "n": range(500)})
    source = written(tmp_path / "a.parquet", table)
    with pq.ParquetFile(tmp_path / "a.parquet") as file:
        footer = file.metadata.row_group(0)
        text, number = footer.column(0), footer.column(1)
        of_text = text.total_uncompressed_size + 500 * len("text 0")
        of_both = of_text + number.total_uncompressed_size + 500 * 8
        assert source._rows_at_once(file, 0, ["text", "n"]) == 4 * module.CHUNK_ROWS
        for names, size in ((["text"], of_text), (["text", "n"], of_both)):
            per_row = size // 500
            for held, count in ((7 * per_row, 7), (7 * per_row - 1, 6), (1, 1)):
                monkeypatch.setattr(module, "CHUNK_BYTES", held)
                assert source._rows_at_once(file, 0, names) == count
        assert rows(source) == table.to_pylist()


def test_frames_that_mix_types(tmp_path: Path) -> None:
    mixed = {"text": ["a", 5, None, float("nan")], "n": [np.int64(1), "x", pd.NA, pd.NaT]}
    source = Memory.of_frame(pd.DataFrame(mixed, dtype=object), "f")
    assert rows(source) == [
        {"text": "a", "n": 1}, {"text": 5, "n": "x"}, {"text": None, "n": None},
        {"text": None, "n": None},
    ]  # fmt: skip
    assert [(c.name, c.type) for c in source.columns] == [("text", "text"), ("n", "integer")]
    assert type(rows(source)[0]["n"]) is int
    pair = np.array([1, 2])
    assert module._plain(pair) is pair
    assert module._plain(np.float32(0.5)) == 0.5 and type(module._plain(np.float32(0.5))) is float


def test_types_of_records_are_those_of_their_first_values() -> None:
    record = {"a": True, "b": "x", "c": 1, "d": 1.5, "e": [1], "f": {}, 7: None}
    source = Memory.of_records([{"a": None}, record, {"a": "x", 7: 2}], "m")
    assert [(c.name, c.type) for c in source.columns] == [
        ("a", "boolean"), ("b", "text"), ("c", "integer"), ("d", "number"), ("e", "list"),
        ("f", "dict"), ("7", "integer"),
    ]  # fmt: skip
    assert rows(source, ["7"]) == [{"7": None}, {"7": None}, {"7": 2}]
    whole = [{"a": 1}]
    assert Memory.of_records(whole, "m").records is whole
    with pytest.raises(DataError) as caught:
        Memory.of_records([{"a": 1}, "x" * 100], "m")  # type: ignore[list-item]
    (problem,) = caught.value.problems
    assert problem.message == "not an object with columns: '" + "x" * 79
    assert str(problem.place) == str(Place("m", row=1))


def test_records_that_cannot_be_written_come_after_all_others() -> None:
    records: list[dict[str, object]] = [{"text": f"t{i}"} for i in range(1_002)]
    records[1]["text"] = records[1_001]["text"] = "\ud800"
    source, read = Memory.of_records(records, "m"), list[int]()
    with pytest.raises(BadRecordsError) as caught:
        for chunk in source.chunks():
            read += [row.index for row in chunk]
    assert read == [0, *range(2, 1_001)]
    assert [(r.place, r.code) for r in caught.value.records] == [
        (Place("m", row=n), "D142") for n in (1, 1_001)
    ]


def test_features_of_other_kinds_have_their_names() -> None:
    features = Features({"t": Value("string"), "l": [Value("int64")], "d": {"x": Value("int8")}})
    made = Dataset.from_list([{"t": "a", "l": [1], "d": {"x": 1}}], features=features)
    source = HubSplit.of(made, "d", revision="abc", repository="own/d")
    assert [(c.name, c.type, c.class_names) for c in source.columns] == [
        ("t", "text", None), ("l", "list", None), ("d", "dict", None),
    ]  # fmt: skip
    assert (source.revision, source.repository) == ("abc", "own/d")
