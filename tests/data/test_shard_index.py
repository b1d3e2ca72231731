from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.data.test_sharded import texts, write
from tunesmith.data.open import open_source
from tunesmith.data.shard_index import index_of
from tunesmith.data.sharded import unseekable_part


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))


def test_the_index_is_kept_and_a_damaged_one_made_again(tmp_path: Path) -> None:
    source = open_source(str(write(tmp_path / "a.csv", texts(3000))))
    first = index_of(source)  # type: ignore[arg-type]
    (stored,) = (tmp_path / "cache" / "indexes").iterdir()
    assert list(index_of(source).marks.starts) == list(first.marks.starts) == [0, 1024, 2048]  # type: ignore[arg-type]
    for damage in ("", "{}", '{"rows": 1, "starts": [0], "marks": []}'):
        stored.write_text(damage)
        assert index_of(source).marks == first.marks  # type: ignore[arg-type]


def test_packed_files_and_arrays_can_only_be_read_from_their_start(tmp_path: Path) -> None:
    packed = tmp_path / "a.csv.gz"
    packed.write_bytes(gzip.compress(b"text,label\nx,y\n"))
    array = tmp_path / "a.json"
    array.write_text('[{"text": "x", "label": "y"}]')
    for path in (packed, array):
        assert unseekable_part(open_source(str(path))) is not None
    assert unseekable_part(open_source(str(write(tmp_path / "a.csv", texts(3))))) is None
