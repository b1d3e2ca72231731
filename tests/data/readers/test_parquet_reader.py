from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset

from tests.data.readers.test_memory import rows
from tunesmith.data.readers import parquet_reader
from tunesmith.data.readers.arrow_reader import ArrowFile
from tunesmith.data.readers.hub_reader import HubSplit
from tunesmith.data.readers.memory import Memory
from tunesmith.data.readers.parquet_reader import (
    ParquetFile,
    _check_footer,
    _longest_texts,
    _text_leaves,
)
from tunesmith.data.rows import Source
from tunesmith.errors import DataError

RECORDS = [{"text": f"row {i}", "label": i % 2, "tags": ["a"] * (i % 3)} for i in range(2500)]
TABLE = pa.Table.from_pylist(RECORDS)


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


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_damaged_files_are_reported_as_such(name: str, tmp_path: Path) -> None:
    (parquet if name.endswith("parquet") else arrow_file)(tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-200])
    kind = ParquetFile if name.endswith("parquet") else ArrowFile
    with pytest.raises(DataError, match="D130"):
        kind.open(path)
    with pytest.raises(DataError, match="D105"):
        kind.open(tmp_path / "none")


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
        limit_name = "tunesmith.data.readers.parquet_reader.bomb_limit"
        monkeypatch.setattr(limit_name, lambda _s, n=limit: n)
        if limit:
            assert len(ParquetFile.open(tmp_path / "a.parquet").columns) == 1
        else:
            with pytest.raises(DataError, match="D131"):
                ParquetFile.open(tmp_path / "a.parquet")


def test_how_many_rows_are_decoded_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"text": [f"text {i % 5}" for i in range(500)], "n": range(500)})
    source = written(tmp_path / "a.parquet", table)
    with pq.ParquetFile(tmp_path / "a.parquet") as file:
        footer = file.metadata.row_group(0)
        text, number = footer.column(0), footer.column(1)
        of_text = text.total_uncompressed_size + 500 * len("text 0")
        of_both = of_text + number.total_uncompressed_size + 500 * 8
        assert source._rows_at_once(file, 0, ["text", "n"]) == 4 * parquet_reader.CHUNK_ROWS
        for names, size in ((["text"], of_text), (["text", "n"], of_both)):
            per_row = size // 500
            for held, count in ((7 * per_row, 7), (7 * per_row - 1, 6), (1, 1)):
                monkeypatch.setattr(parquet_reader, "CHUNK_BYTES", held)
                assert source._rows_at_once(file, 0, names) == count
        assert rows(source) == table.to_pylist()


def test_the_longest_text_of_each_dictionary(tmp_path: Path) -> None:
    table = pa.table(
        {
            "text": ["a", "bbb", "cc", "dddd"],
            "n": [1, 2, 3, 4],
            "labels": [["x"], ["yy", "zzzzz"], [], None],
            "inner": [{"k": "ee"}, {"k": "f"}, None, {"k": "ggg"}],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    with pq.ParquetFile(tmp_path / "a.parquet") as file:
        leaves = _text_leaves(file.schema)
    assert {i: leaf.path.split(".")[0] for i, leaf in leaves.items()} == {
        0: "text", 2: "labels", 3: "inner",
    }  # fmt: skip
    paths = [leaf.path for leaf in leaves.values()]
    with pq.ParquetFile(tmp_path / "a.parquet", read_dictionary=paths) as file:
        assert dict(_longest_texts(file, leaves)) == {
            (0, 0): 3, (0, 2): 5, (0, 3): 2, (1, 0): 4, (1, 2): 0, (1, 3): 3,
        }  # fmt: skip


def test_a_footer_within_bounds_passes(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"] * 1000}), tmp_path / "a.parquet")
    _check_footer(pq.read_metadata(tmp_path / "a.parquet"), tmp_path / "a.parquet")


def test_more_rows_than_bytes_could_hold_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(pa.table({"text": pa.nulls(1_000_000)}), tmp_path / "a.parquet")
    footer = pq.read_metadata(tmp_path / "a.parquet")
    _check_footer(footer, tmp_path / "a.parquet")
    monkeypatch.setattr("tunesmith.data.readers.arrow_rows._BOMB_BYTES", 999_999)
    with pytest.raises(DataError, match="D131"):
        _check_footer(footer, tmp_path / "a.parquet")


def test_a_few_bytes_that_decode_to_gigabytes_are_refused(tmp_path: Path) -> None:
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), ["x" * 1_000_000])
    table = pa.table({"text": texts})
    for size in (20_000, 500):  # of row groups: of many none is too large by itself
        with pytest.raises(DataError, match="D131"):
            written(tmp_path / "a.parquet", table, row_group_size=size)
        assert (tmp_path / "a.parquet").stat().st_size < 3_000_000
    few = written(tmp_path / "a.parquet", table.slice(0, 300))
    assert [len(chunk) for chunk in few.chunks()][:2] == [4, 4]
    with pa.ipc.new_file(tmp_path / "a.arrow", table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(DataError, match="D131"):
        ArrowFile.open(tmp_path / "a.arrow")


def test_lists_that_decode_to_gigabytes_are_refused(tmp_path: Path) -> None:
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), ["x" * 1_000_000])
    lists = pa.ListArray.from_arrays(pa.array([0, 20_000], pa.int32()), texts)
    with pytest.raises(DataError, match="D131"):
        rows(written(tmp_path / "a.parquet", pa.table({"label": lists})))


def test_a_footer_that_promises_too_much_is_refused_before_anything_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunesmith.data.readers.arrow_rows._BOMB_BYTES", 5_000_000)
    zeros = pa.table({"text": ["x" * 1_000_000] * 6})
    assert rows(written(tmp_path / "a.parquet", zeros.slice(2))) == zeros.slice(2).to_pylist()
    with pytest.raises(DataError, match="D131"):
        written(tmp_path / "a.parquet", zeros, use_dictionary=False, compression="zstd")
