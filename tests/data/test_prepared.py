from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith import commit
from tunesmith.data.columnar import Memory
from tunesmith.data.prepared import (
    Encoded,
    Prepared,
    Ragged,
    cache_folder,
    hold_in_memory,
    prepare,
)
from tunesmith.data.rows import Row
from tunesmith.data.survey import Survey
from tunesmith.errors import IntegrityError


def encode(rows: Sequence[Row]) -> Encoded:
    """The letters of each text as numbers, cut to four."""
    full = [[ord(c) for c in str(row.values["text"])] for row in rows]
    cut = [numbers[:4] for numbers in full]
    lengths = np.array([len(c) for c in cut], dtype=np.int64)
    flat = np.array([n for c in cut for n in c], dtype=np.uint16)
    labels = np.array([[len(f), 1] for f in full], dtype=np.int64).reshape(len(full), 2)
    rows_ = np.array([row.index for row in rows], dtype=np.int64)
    before = np.array([len(f) for f in full], dtype=np.int64)
    return Encoded({"input_ids": Ragged(flat, lengths)}, {"labels": labels}, rows_, before)


def prepared(texts: list[str], cache: Path, **settings_: object) -> Prepared:
    source = Memory.of_records([{"text": text} for text in texts], "m")
    watch = Survey(
        source,
        columns=["text"],
        text_columns=["text"],
        examine=lambda row: None,
        stratum=lambda row: 0,
    )
    list(watch.rows())
    return prepare(
        source,
        columns=["text"],
        digest=watch.digest,
        settings=settings_,
        encode=encode,
        cache=cache,
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(st.characters(max_codepoint=60_000), max_size=9), max_size=30))
def test_unpack_is_the_inverse_of_pack(texts: list[str], tmp_path: Path) -> None:
    for found in (
        prepared(texts, tmp_path),
        hold_in_memory(encode([Row(i, {"text": t}) for i, t in enumerate(texts)])),
    ):
        assert len(found) == len(texts)
        for i, text in enumerate(texts):
            assert found.sequence("input_ids", i).tolist() == [ord(c) for c in text[:4]]
        assert found.lengths().tolist() == [min(4, len(text)) for text in texts]
        assert found.num_cut == sum(len(text) > 4 for text in texts)
        assert found.tokens_cut == sum(max(0, len(text) - 4) for text in texts)
        if texts:
            assert found.fixed["labels"].tolist() == [[len(text), 1] for text in texts]


def test_a_second_run_finds_it(tmp_path: Path) -> None:
    first = prepared(["abc", "de"], tmp_path)
    folder = tmp_path / "prepared" / first.key
    written = (folder / "index.json").stat().st_mtime_ns
    assert prepared(["abc", "de"], tmp_path).key == first.key
    assert (folder / "index.json").stat().st_mtime_ns == written


def test_the_key_holds_all_it_depends_on(tmp_path: Path) -> None:
    keys = {
        prepared(["abc"], tmp_path).key,
        prepared(["abd"], tmp_path).key,
        prepared(["abc"], tmp_path, max_length=4).key,
        prepared(["abc"], tmp_path, max_length=5).key,
    }
    assert len(keys) == 4


def test_a_damaged_set_is_set_aside_and_made_again(tmp_path: Path) -> None:
    first = prepared(["abc", "de"], tmp_path)
    home = tmp_path / "prepared"
    (home / first.key / "input_ids.flat.bin").write_bytes(b"\0\0")
    again = prepared(["abc", "de"], tmp_path)
    assert again.sequence("input_ids", 0).tolist() == [97, 98, 99]
    assert len(list(home.glob(".bad-*"))) == 1


def test_data_that_changes_while_it_is_read(tmp_path: Path) -> None:
    source = Memory.of_records([{"text": "abc"}], "m")
    with pytest.raises(IntegrityError, match="D160"):
        prepare(
            source, columns=["text"], digest="other", settings={}, encode=encode, cache=tmp_path
        )
    assert [p for p in (tmp_path / "prepared").iterdir() if p.name[0] != "."] == []


def test_sets_unused_for_a_month_are_forgotten(tmp_path: Path) -> None:
    old = tmp_path / "prepared" / prepared(["abc"], tmp_path).key
    month = time.time() - 40 * 86_400
    os.utime(old, (month, month))
    prepared(["other"], tmp_path)
    assert not old.exists()


def test_arrays_are_read_only_and_plain(tmp_path: Path) -> None:
    found = prepared(["abc"], tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        found.sequence("input_ids", 0)[0] = 1
    index = json.loads((tmp_path / "prepared" / found.key / "index.json").read_text())
    assert index["examples"] == 1
    assert commit.damage(tmp_path / "prepared" / found.key) is None


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("TUNESMITH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "tunesmith"
