from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.data.open import open_source
from tunesmith.data.readers.format import ReadingOptions
from tunesmith.data.rows import Concatenated, Row, Seekable
from tunesmith.data.sharded import Picked, Sharded
from tunesmith.errors import DataError, IntegrityError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))


def texts(count: int) -> list[dict[str, str]]:
    return [{"text": f'row {i}, of "many"\nlines – é' * (i % 3), "label": "ab"[i % 2]}
            for i in range(count)]  # fmt: skip


def write(path: Path, rows: list[dict[str, str]], encoding: str = "utf-8") -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=700)
    elif path.suffix == ".jsonl":
        lines = "\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        path.write_text(lines + "\n", encoding=encoding)
    else:
        quoted = [",".join('"' + v.replace('"', '""') + '"' for v in row.values()) for row in rows]
        path.write_text("\n".join(["text,label", *quoted]) + "\n", encoding=encoding, newline="")
    return path


def all_rows(source: Seekable) -> list[Row]:
    return [row for chunk in source.chunks() for row in chunk]


@pytest.mark.parametrize(
    ("name", "encoding"),
    [("a.csv", "utf-8"), ("a.csv", "utf-8-sig"), ("a.csv", "utf-16"), ("a.jsonl", "utf-8"),
     ("a.jsonl", "utf-16"), ("a.parquet", "utf-8")],
)  # fmt: skip
def test_any_rows_are_read_without_those_before(tmp_path: Path, name: str, encoding: str) -> None:
    path = write(tmp_path / name, texts(2500), encoding)
    source = open_source(str(path), ReadingOptions(encoding=None if "8" in encoding else encoding))
    sharded = Sharded.of(source, 512)
    rows = all_rows(source)
    assert sharded.num_rows == len(rows) == 2500
    assert sharded.sizes.tolist() == [512, 512, 512, 512, 452]
    for shard in range(5):
        loaded = [row for chunk in sharded.shard(shard, ("text", "label")) for row in chunk]
        assert loaded == rows[shard * 512 :][:512]
    numbers = [0, 1, 700, 1023, 1024, 1025, 2499]
    assert sharded.rows_at(numbers, ("text", "label")) == {i: rows[i] for i in numbers}
    assert sharded.places(numbers) == source.places(numbers)
    picked = Picked(sharded, np.array(numbers))
    assert [row.values for row in all_rows(picked)] == [rows[i].values for i in numbers]
    assert picked.places([2, 6]) == {
        2: source.places([700])[700],
        6: source.places([2499])[2499],
    }


@settings(max_examples=12)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(1, 40))
def test_shards_are_ranges_of_rows_whatever_the_files(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], shard_rows: int
) -> None:
    folder = tmp_path_factory.mktemp("shards")
    files = []
    for i, count in enumerate(counts):
        rows = [{"text": f"{i} {j}", "label": "a"} for j in range(count)]
        files.append(open_source(str(write(folder / f"{i}.jsonl", rows))))
    sharded = Sharded.of(Concatenated(tuple(files)), shard_rows)
    loaded = [
        row
        for shard in range(len(sharded.sizes))
        for chunk in sharded.shard(shard, ("text",))
        for row in chunk
    ]
    assert [row.index for row in loaded] == list(range(sum(counts)))
    assert [row.values["text"] for row in loaded] == [
        f"{i} {j}" for i, count in enumerate(counts) for j in range(count)
    ]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_a_file_that_changed_is_not_read(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, texts(100))
    sharded = Sharded.of(open_source(str(path)), 10)
    before = sharded.digest
    os.utime(path, (1, 1))  # copied: the same content at another time
    assert len(list(sharded.shard(3, ("text",)))) == 1
    assert Sharded.of(open_source(str(path)), 10).digest == before
    changed = texts(100)
    changed[31]["label"] = "b" if changed[31]["label"] == "a" else "a"  # as many bytes
    write(path, changed)
    with pytest.raises(IntegrityError) as raised:
        list(sharded.shard(3, ("text",)))
    assert raised.value.problems[0].code == "D160"
    now = Sharded.of(open_source(str(path)), 10)
    assert now.digest != before
    assert now.identity(3) != sharded.identity(3)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_records_that_cannot_be_read_are_an_error_or_left_out(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, texts(40))
    lines = path.read_text().split("\n")
    lines.insert(1, '{"text": ' if name == "a.jsonl" else "one,two,three")
    path.write_text("\n".join(lines))
    source = open_source(str(path))
    with pytest.raises(DataError) as raised:
        list(Sharded.of(source, 20).shard(0, ("text", "label")))
    assert raised.value.problems[0].code in ("D110", "D140")
    sharded = Sharded.of(source, 20, skips_bad=True)
    rows = [
        row
        for shard in range(len(sharded.sizes))
        for chunk in sharded.shard(shard, ("text", "label"))
        for row in chunk
    ]
    assert [row.values for row in rows] == texts(40)
