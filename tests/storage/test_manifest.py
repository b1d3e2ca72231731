from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.capabilities import needs
from tests.storage.test_atomic import DAMAGES, write_two_files
from tunesmith.storage import atomic, manifest
from tunesmith.storage.manifest import MANIFEST, damage, recorded_hashes, sha256_of


@pytest.mark.parametrize(
    "content",
    [
        "", "5", "null", "[]", '"x"', "{}", '{"files": 5}', '{"files": {"a": 5}}',
        '{"files": {"a": {"bytes": 1e999, "sha256": "x"}}}', "[" * 100_000,
        '{"files": {"a": {"bytes": null, "sha256": "x"}}}', '{"files": {"a": {"bytes": 1}}}',
    ],
)  # fmt: skip
def test_a_manifest_of_another_shape_is_damage(content: str, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(content)
    assert damage(tmp_path) == "MANIFEST.json cannot be read"


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"bytes": 1, "sha256": 5}, "does not have the content"),
        ({"bytes": -1, "sha256": "x"}, "has 1 bytes and should have -1"),
        ({"bytes": "1", "sha256": "x"}, "does not have the content"),
    ],
)
def test_a_manifest_with_other_values_is_damage(
    entry: dict[str, object], reason: str, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("x")
    text = json.dumps({"files": {"a": entry}}, indent=1) + "\n"
    (tmp_path / MANIFEST).write_text(text)
    seen = damage(tmp_path)
    assert seen is not None and seen.startswith("a ") and reason in seen


@needs("links", "pipes")
def test_a_file_that_became_something_else_is_damage(tmp_path: Path) -> None:
    for make in (Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nowhere")):
        target = tmp_path / f"done-{len(list(tmp_path.iterdir()))}"
        with atomic.publish(target) as folder:
            write_two_files(folder)
        (target / "a.bin").unlink()
        make(target / "a.bin")
        assert damage(target) == "a.bin is missing"
    for name, make in (("list", Path.mkdir), ("pipe", os.mkfifo)):
        (tmp_path / name).mkdir()
        make(tmp_path / name / MANIFEST)
        assert damage(tmp_path / name) == "MANIFEST.json cannot be read"


def test_a_disk_that_fails_while_it_is_read_is_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with atomic.publish(tmp_path / "done") as folder:
        write_two_files(folder)

    def fail(_path: Path) -> str:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(manifest, "sha256_of", fail)
    assert damage(tmp_path / "done") == ("a.bin cannot be read: [Errno 5] Input/output error")


def test_the_manifest_lists_sizes_and_hashes(tmp_path: Path) -> None:
    with atomic.publish(tmp_path / "done") as folder:
        write_two_files(folder)
    manifest = json.loads((tmp_path / "done" / MANIFEST).read_text())
    assert manifest["files"]["a.bin"]["bytes"] == 1000
    assert manifest["files"]["a.bin"]["sha256"] == sha256_of(tmp_path / "done" / "a.bin")
    assert set(manifest["files"]) == {"a.bin", "inner/b.json"}


@pytest.mark.parametrize("harm", DAMAGES)
@pytest.mark.parametrize("name", ["a.bin", "inner/b.json", MANIFEST])
def test_every_kind_of_damage_is_seen(
    harm: Callable[[Path], None], name: str, tmp_path: Path
) -> None:
    with atomic.publish(tmp_path / "done") as folder:
        write_two_files(folder)
    harm(tmp_path / "done" / name)
    assert damage(tmp_path / "done") is not None


def test_recorded_hashes_are_those_of_a_whole_manifest(tmp_path: Path) -> None:
    assert recorded_hashes(tmp_path) == {}
    with atomic.publish(tmp_path / "done") as folder:
        write_two_files(folder)
    hashes = recorded_hashes(tmp_path / "done")
    assert hashes == {n: sha256_of(tmp_path / "done" / n) for n in ("a.bin", "inner/b.json")}
    path = tmp_path / "done" / MANIFEST
    path.write_text(path.read_text() + " ")
    assert recorded_hashes(tmp_path / "done") == {}
    path.write_text('{"files": 5}')
    assert recorded_hashes(tmp_path / "done") == {}
