from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from tests.data.readers.test_memory import rows
from tunesmith.data.readers import arrow_reader
from tunesmith.data.readers.arrow_reader import ArrowFile
from tunesmith.errors import DataError


def test_batches_are_counted_to_the_limit_itself(tmp_path: Path) -> None:
    batches = pa.table({"text": ["abcd", "ef"], "more": ["x", "yz"]}).to_batches(max_chunksize=1)
    arrow_reader._check_batches(batches, 9, tmp_path)
    with pytest.raises(DataError, match="D131"):
        arrow_reader._check_batches(batches, 8, tmp_path)


def test_small_arrow_files_and_dictionaries_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = pa.table({"text": ["abcd"] * 9})
    packed = pa.table({"text": pa.array(["abcd"] * 9).dictionary_encode()})
    counted: list[str] = []
    real = arrow_reader._check_batches
    for name, table in (("plain", plain), ("packed", packed)):
        with pa.ipc.new_file(tmp_path / name, table.schema) as writer:
            writer.write_table(table)

        def count(batches: object, limit: int, path: Path) -> None:
            counted.append(path.name)
            real(batches, limit, path)  # type: ignore[arg-type]

        monkeypatch.setattr(arrow_reader, "_check_batches", count)
        size = (tmp_path / name).stat().st_size
        for least in (size + 1, size):
            monkeypatch.setattr(arrow_reader, "_COUNTED_BYTES", least)
            assert rows(ArrowFile.open(tmp_path / name)) == [{"text": "abcd"}] * 9
    assert counted == ["plain", "packed", "packed"]
