from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.readers.test_columnar import rows, written
from tunesmith.data.readers.columnar import ArrowFile
from tunesmith.data.readers.parquet_sizes import check_footer, longest_texts, text_leaves
from tunesmith.errors import DataError


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
        leaves = text_leaves(file.schema)
    assert {i: leaf.path.split(".")[0] for i, leaf in leaves.items()} == {
        0: "text", 2: "labels", 3: "inner",
    }  # fmt: skip
    paths = [leaf.path for leaf in leaves.values()]
    with pq.ParquetFile(tmp_path / "a.parquet", read_dictionary=paths) as file:
        assert dict(longest_texts(file, leaves)) == {
            (0, 0): 3, (0, 2): 5, (0, 3): 2, (1, 0): 4, (1, 2): 0, (1, 3): 3,
        }  # fmt: skip


def test_a_footer_within_bounds_passes(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"] * 1000}), tmp_path / "a.parquet")
    check_footer(pq.read_metadata(tmp_path / "a.parquet"), tmp_path / "a.parquet")


def test_more_rows_than_bytes_could_hold_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(pa.table({"text": pa.nulls(1_000_000)}), tmp_path / "a.parquet")
    footer = pq.read_metadata(tmp_path / "a.parquet")
    check_footer(footer, tmp_path / "a.parquet")
    monkeypatch.setattr("tunesmith.data.readers.arrow_rows._BOMB_BYTES", 999_999)
    with pytest.raises(DataError, match="D131"):
        check_footer(footer, tmp_path / "a.parquet")


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
