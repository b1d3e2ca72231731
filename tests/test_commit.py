from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith import commit
from tunesmith.errors import RecipeError, ResourceError


def write_two_files(folder: Path) -> None:
    (folder / "a.bin").write_bytes(b"a" * 1000)
    (folder / "inner").mkdir()
    (folder / "inner" / "b.json").write_text("{}")


def test_a_published_folder_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "parent" / "done"
    with commit.publish(target) as folder:
        write_two_files(folder)
        assert not target.exists()
    assert commit.damage(target) is None
    assert [p.name for p in target.parent.iterdir()] == ["done"]


def test_an_exception_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), commit.publish(tmp_path / "done") as folder:
        write_two_files(folder)
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_scratch_folder_is_gone_whatever_happens(tmp_path: Path) -> None:
    with commit.scratch(tmp_path, "trial") as folder:
        write_two_files(folder)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ResourceError, match="C107"), commit.scratch(tmp_path, "trial") as folder:
        write_two_files(folder)
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / f".tmp-trial-{os.getpid() + 1}").mkdir()  # as a kill leaves it
    commit.sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_never_over_an_existing_folder(tmp_path: Path) -> None:
    (tmp_path / "done").mkdir()
    with pytest.raises(FileExistsError), commit.publish(tmp_path / "done"):
        pass


def test_files_get_the_mode_that_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with commit.publish(tmp_path / "done") as folder:
            (folder / "a").write_text("x")
            (folder / "a").chmod(0o600)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "done" / "a").stat().st_mode) == 0o640


def remove(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def zero(path: Path) -> None:
    path.write_bytes(b"\0" * path.stat().st_size)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = [remove, cut, zero, flip]


@pytest.mark.parametrize("harm", DAMAGES)
@pytest.mark.parametrize("name", ["a.bin", "inner/b.json", commit.MANIFEST])
def test_every_kind_of_damage_is_seen(
    harm: Callable[[Path], None], name: str, tmp_path: Path
) -> None:
    with commit.publish(tmp_path / "done") as folder:
        write_two_files(folder)
    harm(tmp_path / "done" / name)
    assert commit.damage(tmp_path / "done") is not None


def test_damage_is_kept_as_evidence(tmp_path: Path) -> None:
    for _attempt in range(3):
        (tmp_path / "x").mkdir()
        kept = commit.set_aside(tmp_path / "x")
        assert kept.is_dir()
        assert kept.name.startswith(".bad-x-")
    assert len(list(tmp_path.iterdir())) == 3


def test_discarding_goes_through_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with commit.publish(tmp_path / "old") as folder:
        write_two_files(folder)
    monkeypatch.setattr(commit.shutil, "rmtree", lambda *a, **k: None)  # killed while deleting
    commit.discard(tmp_path / "old")
    assert not (tmp_path / "old").exists()
    monkeypatch.undo()
    commit.sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def kill_at(operation: int, target: Path) -> None:
    """Publish in this process and die by SIGKILL at the n-th operation of the file system."""
    count = 0

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **keywords: object) -> object:
            nonlocal count
            count += 1
            if count == operation:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **keywords)

        return call

    for name in ("fsync", "open", "rename", "close"):
        setattr(os, name, counted(getattr(os, name)))
    with commit.publish(target) as folder:
        write_two_files(folder)


@pytest.mark.parametrize("operation", range(1, 22))
def test_a_kill_at_each_operation_leaves_whole_or_absent(operation: int, tmp_path: Path) -> None:
    child = multiprocessing.get_context("spawn").Process(
        target=kill_at, args=(operation, tmp_path / "done")
    )
    child.start()
    child.join(60)
    assert child.exitcode in (0, -signal.SIGKILL)
    if (tmp_path / "done").exists():
        assert commit.damage(tmp_path / "done") is None
    commit.sweep(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} <= {"done"}


def test_several_files_may_be_amended_at_once(tmp_path: Path) -> None:
    with commit.publish(tmp_path / "done") as folder:
        for name in "abc":
            (folder / name).write_text("old")
    with commit.amend(tmp_path / "done", "a", "b") as folder:
        assert [path.name for path in folder.iterdir()] == ["c"]
        (folder / "a").write_text("new")
    assert commit.damage(tmp_path / "done") is None
    assert sorted(path.name for path in (tmp_path / "done").iterdir()) == [
        commit.MANIFEST,
        "a",
        "c",
    ]


def amend(target: Path) -> None:
    with commit.amend(target, "a.bin") as folder:
        assert not (folder / "a.bin").exists()
        (folder / "a.bin").write_bytes(b"new")


def content(target: Path) -> tuple[bytes, str]:
    return (target / "a.bin").read_bytes(), (target / "inner" / "b.json").read_text()


def test_an_amended_folder_is_whole_and_else_the_same(tmp_path: Path) -> None:
    with commit.publish(tmp_path / "done") as folder:
        write_two_files(folder)
    inode = (tmp_path / "done" / "inner" / "b.json").stat().st_ino
    amend(tmp_path / "done")
    assert commit.damage(tmp_path / "done") is None
    assert content(tmp_path / "done") == (b"new", "{}")
    assert (tmp_path / "done" / "inner" / "b.json").stat().st_ino == inode  # linked, not copied
    assert [p.name for p in tmp_path.iterdir()] == ["done"]


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("renames", [0, 1])
def test_what_goes_wrong_while_amending_changes_nothing(
    renames: int, links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with commit.publish(tmp_path / "done") as folder:
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
    assert commit.damage(tmp_path / "done") is None
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


@pytest.mark.parametrize("operation", [1, 2, 3])
def test_a_kill_while_amending_leaves_the_old_or_the_new(operation: int, tmp_path: Path) -> None:
    target = tmp_path / "done"
    with commit.publish(target) as folder:
        write_two_files(folder)
    child = multiprocessing.get_context("spawn").Process(
        target=amend_and_die_at, args=(operation, target)
    )
    child.start()
    child.join(60)
    assert child.exitcode == (0 if operation == 3 else -signal.SIGKILL)
    assert target.exists() == (operation != 2)  # killed between the two renames
    commit.sweep(tmp_path)
    assert commit.damage(target) is None
    assert content(target)[0] == (b"new" if operation == 3 else b"a" * 1000)
    assert [p.name for p in tmp_path.iterdir()] == ["done"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS])
def test_a_disk_that_refuses_is_told_as_that(number: int, tmp_path: Path) -> None:
    with pytest.raises(ResourceError) as caught, commit.publish(tmp_path / "done") as folder:
        (folder / "a").write_text("x")
        raise OSError(number, os.strerror(number))
    assert caught.value.exit_code == 4
    assert caught.value.problems[0].code == "C107"
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_may_not_grow_leaves_nothing(tmp_path: Path) -> None:
    """The system's own refusal, by a limit on file size as a quota would."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        with pytest.raises(ResourceError), commit.publish(tmp_path / "done") as folder:
            write_two_files(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    commit.write_file(path, "old")
    with pytest.raises(RuntimeError), commit.replace_file(path) as unfinished:
        unfinished.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    commit.write_file(path, "new")
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["plan.json"]


def test_the_manifest_lists_sizes_and_hashes(tmp_path: Path) -> None:
    with commit.publish(tmp_path / "done") as folder:
        write_two_files(folder)
    manifest = json.loads((tmp_path / "done" / commit.MANIFEST).read_text())
    assert manifest["files"]["a.bin"]["bytes"] == 1000
    assert manifest["files"]["a.bin"]["sha256"] == commit.sha256_of(tmp_path / "done" / "a.bin")
    assert set(manifest["files"]) == {"a.bin", "inner/b.json"}


def test_what_a_user_made_is_replaced_only_when_asked(tmp_path: Path) -> None:
    new, file, folder, link = (tmp_path / name for name in ("new", "file", "folder", "link"))
    file.write_text("mine")
    folder.mkdir()
    link.symlink_to("gone")
    commit.refuse_existing([new])
    commit.refuse_existing([new, file, folder, link], force=True)
    with pytest.raises(RecipeError) as told:
        commit.refuse_existing([new, file, folder, link], option="--export", code="R122")
    problems = told.value.problems
    assert [str(problem.place) for problem in problems] == [str(p) for p in (file, folder, link)]
    assert {problem.code for problem in problems} == {"R122"}
    assert problems[0].fix == "Name another with --export, or replace it with --force."
    with pytest.raises(RecipeError, match=r"R115(.|\n)*--out"):
        commit.refuse_existing([file])
    assert file.read_text() == "mine"
