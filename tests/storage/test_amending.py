"""Folders that are amended: the old one or the new one, whatever happens in between."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from tests.capabilities import needs
from tests.storage.test_atomic import raise_, write_two_files
from tunesmith.errors import ResourceError
from tunesmith.storage import atomic


def test_several_files_may_be_amended_at_once(tmp_path: Path) -> None:
    with atomic.publish(tmp_path / "done") as folder:
        for name in "abc":
            (folder / name).write_text("old")
    with atomic.amend(tmp_path / "done", "a", "b") as folder:
        assert [path.name for path in folder.iterdir()] == ["c"]
        (folder / "a").write_text("new")
    assert atomic.damage(tmp_path / "done") is None
    assert sorted(path.name for path in (tmp_path / "done").iterdir()) == [
        atomic.MANIFEST,
        "a",
        "c",
    ]


def amend(target: Path) -> None:
    with atomic.amend(target, "a.bin") as folder:
        assert not (folder / "a.bin").exists()
        (folder / "a.bin").write_bytes(b"new")


def content(target: Path) -> tuple[bytes, str]:
    return (target / "a.bin").read_bytes(), (target / "inner" / "b.json").read_text()


def test_an_amended_folder_is_whole_and_else_the_same(tmp_path: Path) -> None:
    with atomic.publish(tmp_path / "done") as folder:
        write_two_files(folder)
    inode = (tmp_path / "done" / "inner" / "b.json").stat().st_ino
    amend(tmp_path / "done")
    assert atomic.damage(tmp_path / "done") is None
    assert content(tmp_path / "done") == (b"new", "{}")
    assert (tmp_path / "done" / "inner" / "b.json").stat().st_ino == inode  # linked, not copied
    assert [p.name for p in tmp_path.iterdir()] == ["done"]


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("renames", [0, 1])
def test_what_goes_wrong_while_amending_changes_nothing(
    renames: int, links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with atomic.publish(tmp_path / "done") as folder:
        write_two_files(folder)
    real = Path.rename

    def rename(path: Path, target: Path) -> Path:
        nonlocal renames
        if path.name.startswith(".old") or renames:
            renames -= not path.name.startswith(".old")
            return real(path, target)
        raise OSError(errno.ENOSPC, "full")

    def link(*_names: object) -> None:
        raise OSError(errno.EXDEV, "no links here")

    monkeypatch.setattr(Path, "rename", rename)
    if not links:
        monkeypatch.setattr(os, "link", link)
    with pytest.raises(ResourceError):
        amend(tmp_path / "done")
    assert atomic.damage(tmp_path / "done") is None
    assert content(tmp_path / "done") == (b"a" * 1000, "{}")
    assert [p.name for p in tmp_path.iterdir()] == ["done"]


def amend_and_die_at(operation: int, target: Path) -> None:
    real, count = os.rename, 0

    def rename(*names: object) -> None:
        nonlocal count
        count += 1
        if count == operation:
            os.kill(os.getpid(), signal.SIGKILL)
        real(*names)  # type: ignore[arg-type]

    os.rename = rename  # type: ignore[assignment]
    amend(target)


@needs("signals")
@pytest.mark.parametrize("operation", [1, 2, 3])
def test_a_kill_while_amending_leaves_the_old_or_the_new(operation: int, tmp_path: Path) -> None:
    target = tmp_path / "done"
    with atomic.publish(target) as folder:
        write_two_files(folder)
    child = multiprocessing.get_context("spawn").Process(
        target=amend_and_die_at, args=(operation, target)
    )
    child.start()
    child.join(60)
    assert child.exitcode == (0 if operation == 3 else -signal.SIGKILL)
    assert target.exists() == (operation != 2)  # killed between the two renames
    atomic.sweep(tmp_path, "done")
    assert atomic.damage(target) is None
    assert content(target)[0] == (b"new" if operation == 3 else b"a" * 1000)
    assert [p.name for p in tmp_path.iterdir()] == ["done"]


def test_what_was_amended_last_comes_back_once(tmp_path: Path) -> None:
    for number in (3, 4):
        (tmp_path / f".old-done-{number}").mkdir()
        (tmp_path / f".old-done-{number}" / "x").write_text(str(number))
    atomic.sweep(tmp_path, "done")
    assert [path.name for path in tmp_path.iterdir()] == ["done"]
    assert (tmp_path / "done" / "x").read_text() == "3"


@needs("modes")
def test_amended_files_keep_their_modes(tmp_path: Path) -> None:
    """Whatever the umask of the moment: a model of 0600 stays with its owner."""
    target = tmp_path / "model"
    with atomic.publish(target) as folder:
        for name in ("kept", "changed"):
            (folder / name).write_text("x")
    modes = {"kept": 0o600, "changed": 0o640, atomic.MANIFEST: 0o604, "": 0o710}
    for name, mode in modes.items():
        (target / name).chmod(mode)
    before = os.umask(0o022)
    try:
        with atomic.amend(target, "changed") as folder:
            (folder / "changed").write_text("y")
            (folder / "new").write_text("z")
    finally:
        os.umask(before)
    modes_after = {name: (target / name).stat().st_mode & 0o777 for name in (*modes, "new")}
    assert modes_after == {**modes, "new": 0o644}
    assert atomic.damage(target) is None


def test_without_links_files_are_copied_to_amend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with atomic.publish(tmp_path / "done") as folder:
        write_two_files(folder)
    monkeypatch.setattr(os, "link", lambda *_a, **_k: raise_(OSError(errno.EXDEV, "no links here")))
    amend(tmp_path / "done")
    assert atomic.damage(tmp_path / "done") is None
    assert content(tmp_path / "done") == (b"new", "{}")
