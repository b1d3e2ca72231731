from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.capabilities import needs
from tests.runs.children import ended, fork_context
from tunesmith.data.encoded import Encoded, Prepared, Ragged, hold_in_memory
from tunesmith.data.readers.memory import Memory
from tunesmith.data.rows import Row
from tunesmith.data.scan import Survey
from tunesmith.data.token_cache import cache_folder, cache_limit, prepare
from tunesmith.errors import IntegrityError, Problem, RecipeError, ResourceError, Severity
from tunesmith.storage import atomic, notices
from tunesmith.storage.lock import hold


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


def prepared(
    texts: list[str],
    cache: Path,
    *,
    wait_seconds: float = 60.0,
    encode: Callable[[Sequence[Row]], Encoded] = encode,
    **settings_: object,
) -> Prepared:
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
        wait_seconds=wait_seconds,
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(
        st.text(st.characters(max_codepoint=60_000, exclude_categories=["Cs"]), max_size=9),
        max_size=30,
    )
)
def test_unpack_is_the_inverse_of_pack(texts: list[str], tmp_path: Path) -> None:
    for result in (
        prepared(texts, tmp_path),
        hold_in_memory(encode([Row(i, {"text": t}) for i, t in enumerate(texts)])),
    ):
        assert len(result) == len(texts)
        for i, text in enumerate(texts):
            assert result.sequence("input_ids", i).tolist() == [ord(c) for c in text[:4]]
        assert result.lengths().tolist() == [min(4, len(text)) for text in texts]
        assert result.num_cut == sum(len(text) > 4 for text in texts)
        assert result.tokens_cut == sum(max(0, len(text) - 4) for text in texts)
        if texts:
            assert result.fixed["labels"].tolist() == [[len(text), 1] for text in texts]


def encode_words(rows: Sequence[Row]) -> Encoded:
    """Each word of a text as a sequence of letters; aside is where the words begin and end."""
    words = [str(row.values["text"]).split() for row in rows]
    flat = [word for row in words for word in row]
    letters = np.array([ord(c) for word in flat for c in word], dtype=np.uint16)
    lengths = np.array([len(word) for word in flat], dtype=np.int64)
    counts = np.array([len(row) for row in words], dtype=np.int64)
    spans = np.array([(0, len(word)) for word in flat], dtype=np.int32).reshape(-1, 2)
    full = np.array([sum(map(len, row)) for row in words], dtype=np.int64)
    numbers = np.array([row.index for row in rows], dtype=np.int64)
    return Encoded(
        {"input_ids": Ragged(letters, lengths)}, {}, numbers, full,
        parts=counts, aside={"spans": Ragged(spans, counts)},
    )  # fmt: skip


def test_examples_of_several_sequences(tmp_path: Path) -> None:
    texts = ["ab c", "", "def gh i"]
    rows = [Row(i, {"text": text}) for i, text in enumerate(texts)]
    for result in (
        prepared(texts, tmp_path, encode=encode_words),
        prepared(texts, tmp_path, encode=encode_words),  # from the disk
        hold_in_memory(encode_words(rows)),
    ):
        assert len(result) == 3 and result.has_parts and result.names == ("input_ids",)
        assert result.lengths().tolist() == [3, 0, 6] and result.num_cut == 0
        assert result.lengths(np.array([2])).tolist() == [6]
        words = [["".join(map(chr, w)) for w in result.sequences("input_ids", i)] for i in range(3)]
        assert words == [text.split() for text in texts]
        assert result.aside("spans", np.array([2, 0])).lengths.tolist() == [3, 2]
        assert result.aside("spans").flat[:, 1].tolist() == [2, 1, 3, 2, 1]
    assert not prepared(texts, tmp_path, parts=False).has_parts


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
    result = prepared(["abc"], tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        result.sequence("input_ids", 0)[0] = 1
    index = json.loads((tmp_path / "prepared" / result.key / "index.json").read_text())
    assert index["examples"] == 1
    assert atomic.damage(tmp_path / "prepared" / result.key) is None


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("TUNESMITH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "tunesmith"


def age(folder: Path, days: float) -> None:
    then = time.time() - days * 86_400
    os.utime(folder, (then, then), follow_symlinks=False)


@needs("links")
def test_what_is_used_stays_and_what_is_not_ours_too(tmp_path: Path) -> None:
    home = tmp_path / "prepared"
    old, used = (home / prepared([text], tmp_path).key for text in ("old", "used"))
    (home / "notes").mkdir()
    (home / ("0" * 31 + "g")).symlink_to("nowhere")
    (home / "dangling").symlink_to("nowhere")
    for path in home.iterdir():
        age(path, 40)
    prepared(["used"], tmp_path)
    assert old.is_dir() and used.is_dir()  # nothing is looked for while all is there
    prepared(["new"], tmp_path)
    names = {path.name for path in home.iterdir()}
    assert old.name not in names
    assert {used.name, "notes", "0" * 31 + "g", "dangling"} <= names


@needs("links")
def test_a_dangling_link_under_the_name_of_a_set_is_set_aside(tmp_path: Path) -> None:
    home = tmp_path / "prepared"
    key = prepared(["abc"], tmp_path).key
    shutil.rmtree(home / key)
    (home / key).symlink_to("nowhere")
    assert prepared(["abc"], tmp_path).key == key
    assert (home / key).is_dir() and not (home / key).is_symlink()
    assert [path.is_symlink() for path in home.glob(".bad-*")] == [True]
    (home / ("1" * 32)).symlink_to("nowhere")  # of another set
    prepared(["other"], tmp_path)


def test_damaged_sets_go_after_a_week(tmp_path: Path) -> None:
    home = tmp_path / "prepared"
    prepared(["abc"], tmp_path)
    for days, name in ((6, "a"), (8, "b")):
        (home / f".bad-{name * 32}-20260101T000000").mkdir()
        age(home / f".bad-{name * 32}-20260101T000000", days)
    prepared(["new"], tmp_path)
    assert [path.name[5] for path in home.glob(".bad-*")] == ["a"]


def test_leftovers_of_a_killed_preparation_are_swept(tmp_path: Path) -> None:
    home = tmp_path / "prepared"
    key = prepared(["abc"], tmp_path).key
    for name in (f".tmp-{key}-17", f".trash-{key}-17", ".tmp-notes-17", ".tmp-x"):
        (home / name).mkdir()
        (home / name / "half").write_text("x")
    prepared(["other"], tmp_path)
    assert {path.name for path in home.glob(".t*")} == {".tmp-notes-17", ".tmp-x"}


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def test_the_cache_has_a_bound_and_the_least_recently_used_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "prepared"
    texts = [["aa"], ["bb"], ["cc"]]
    a, b, c = (home / prepared(text, tmp_path).key for text in texts)
    for days, folder in enumerate((c, b, a)):
        age(folder, days + 1)
    prepared(texts[0], tmp_path)  # used now: b is the oldest
    bad = home / f".bad-{'a' * 32}-20260101T000000"
    bad.mkdir()
    one = size_of(a)
    assert one == size_of(b) == size_of(c) > 100
    monkeypatch.setenv("TUNESMITH_CACHE_SIZE", str(3 * one))
    d = home / prepared(["dd"], tmp_path).key
    assert [path.is_dir() for path in (a, b, c, d, bad)] == [True, False, True, True, False]
    monkeypatch.setenv("TUNESMITH_CACHE_SIZE", str(3 * one - 1))
    prepared(["ff"], tmp_path)
    assert [path.is_dir() for path in (a, c, d)] == [False, False, True]
    monkeypatch.setenv("TUNESMITH_CACHE_SIZE", "0")
    retained = prepared(["ee"], tmp_path)
    assert [path.name for path in home.iterdir() if path.name[0] != "."] == [retained.key]
    assert retained.sequence("input_ids", 0).tolist() == [101, 101]


def test_a_set_that_cannot_be_removed_is_no_reason_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(["a"], tmp_path)

    def refuse(_folder: Path) -> None:
        raise ResourceError(Problem("C107", "no"))

    monkeypatch.setattr(atomic, "discard", refuse)
    monkeypatch.setenv("TUNESMITH_CACHE_SIZE", "0")
    assert len(prepared(["b"], tmp_path)) == 1


@pytest.mark.parametrize(
    ("written", "limit"),
    [
        ("", 50_000_000_000), ("0", 0), ("17", 17), ("1.5kB", 1500), ("2 m", 2_000_000),
        ("20GB", 20_000_000_000), (" 1 TB ", 1_000_000_000_000),
    ],
)  # fmt: skip
def test_sizes_as_users_write_them(
    written: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNESMITH_CACHE_SIZE", written)
    assert cache_limit() == limit


@pytest.mark.parametrize("written", ["x", "-1", "1 PB", "1e9", "nan", "9" * 16, "5 B B"])
def test_what_is_no_size(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_CACHE_SIZE", written)
    with pytest.raises(RecipeError, match="C137") as caught:
        cache_limit()
    assert written in str(caught.value)


def test_a_held_cache_is_done_without_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "_known", set())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    notices.take()
    first = prepared(["abc", "de"], tmp_path)
    with hold(tmp_path / "prepared"):
        for texts in (["abc", "de"], ["new"]):
            apart = prepared(texts, tmp_path, wait_seconds=0.0)
            assert len(apart) == len(texts)
            assert apart.sequence("input_ids", 0).tolist() == [ord(c) for c in texts[0]]
    assert apart.key != first.key
    assert list((tmp_path / "temporary").iterdir()) == []
    assert [p.name for p in (tmp_path / "prepared").iterdir() if p.name[0] != "."] == [first.key]
    (problem,) = notices.take()
    assert problem.code == "C128"
    assert problem.severity is Severity.WARNING
    assert f"in use by process {os.getpid()}" in problem.message


def resident_kilobytes(folder: Path) -> int:
    """Memory of this process that maps files of a folder, as Linux accounts it."""
    kilobytes, is_inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            is_inside = str(folder) in line
        elif line.startswith("Rss:") and is_inside:
            kilobytes += int(line.split()[1])
    return kilobytes


@needs("/proc")
@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="only Linux tells it")
def test_what_was_read_is_released_and_can_be_read_again(tmp_path: Path) -> None:
    result = prepared(["abcdefg"] * 20_000, tmp_path)
    before = [result.sequence("input_ids", i).tolist() for i in range(0, 20_000, 50)]
    assert result.lengths().sum() == 80_000 and result.num_cut == 20_000
    assert resident_kilobytes(tmp_path) > 300
    result.note_reads(255)
    assert resident_kilobytes(tmp_path) > 300
    result.note_reads(1)
    assert resident_kilobytes(tmp_path) == 0
    assert [result.sequence("input_ids", i).tolist() for i in range(0, 20_000, 50)] == before
    result.note_reads(255)
    assert resident_kilobytes(tmp_path) > 0
    assert result.used().tolist() == [ord(c) for c in "abcd"]
    assert resident_kilobytes(tmp_path) == 0
    held = hold_in_memory(encode([Row(0, {"text": "abc"})]))
    held.release()
    assert held.sequence("input_ids", 0).tolist() == [ord(c) for c in "abc"]


def prepare_on_another_machine(
    name: str, cache: Path, together: Any, *, has_claims: bool, seconds: float
) -> None:
    """As on a machine of that name, where locks are those of each machine alone."""
    from tunesmith.storage import lock, operating_system

    operating_system.lock_file = lambda _descriptor: True
    operating_system.own_number.__globals__["_machine_number"] = lambda: len(name)
    lock.socket.gethostname = lambda: name
    lock.boot_id = lambda: name
    if not has_claims:  # as if each took the other for dead
        lock._take_lease = lambda _path: lambda: None

    waited: list[bool] = []

    def encode_slowly(rows: Sequence[Row]) -> Encoded:
        if rows:
            with (cache / "writers.txt").open("a") as file:
                file.write(f"{name}\n")
            if not has_claims and not waited:
                waited.append(True)
                together.wait(60)
            time.sleep(seconds)
        return encode(rows)

    together.wait(60)
    done = prepared(["abc", "de", "f"], cache, encode=encode_slowly)
    assert [done.sequence("input_ids", i).tolist() for i in range(3)] == [
        [97, 98, 99], [100, 101], [102]
    ]  # fmt: skip


@pytest.mark.parametrize("has_claims", [True, False])
def test_two_machines_share_a_cache(has_claims: bool, tmp_path: Path) -> None:
    """One writes and the other waits; if both write, neither damages what the other commits."""
    context = fork_context()
    together = context.Barrier(2)
    pair = [
        context.Process(  # type: ignore[attr-defined]
            target=prepare_on_another_machine,
            args=(name, tmp_path, together),
            kwargs={"has_claims": has_claims, "seconds": 0.2},
        )
        for name in ("one", "three")
    ]
    for child in pair:
        child.start()
    assert ended(pair) == [0, 0]
    writers = (tmp_path / "writers.txt").read_text().split()
    # of two at once, one may have cleared away what the other had begun, which begins again
    assert len(writers) == 1 if has_claims else len(set(writers)) == 2
    home = tmp_path / "prepared"
    (made,) = [path for path in home.iterdir() if path.name[0] != "."]
    assert atomic.damage(made) is None
    assert not [path.name for path in home.iterdir() if atomic.is_leftover(path.name)]
    assert not (home / ".claim.json").exists()


def test_a_claim_of_a_machine_that_is_gone_expires(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "_known", set())
    notices.take()
    home = tmp_path / "prepared"
    home.mkdir()
    claim = home / ".claim.json"
    claim.write_text(json.dumps({"pid": 1, "host": "gone", "boot": "x", "since": "then"}))
    apart = prepared(["abc"], tmp_path, wait_seconds=0.0)
    assert not (home / apart.key).exists(), "it may still be written"
    assert [problem.code for problem in notices.take()] == ["C128"]
    os.utime(claim, (time.time() - 200,) * 2)
    made = prepared(["abc"], tmp_path, wait_seconds=0.0)
    assert (home / made.key).is_dir()
