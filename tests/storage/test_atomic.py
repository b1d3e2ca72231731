from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.capabilities import needs
from tunesmith.errors import RecipeError, ResourceError
from tunesmith.storage import atomic
from tunesmith.storage.operating_system import own_number


def write_two_files(folder: Path) -> None:
    (folder / "a.bin").write_bytes(b"a" * 1000)
    (folder / "inner").mkdir()
    (folder / "inner" / "b.json").write_text("{}")


def test_a_published_folder_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "parent" / "done"
    with atomic.publish(target) as folder:
        write_two_files(folder)
        assert not target.exists()
    assert atomic.damage(target) is None
    assert [p.name for p in target.parent.iterdir()] == ["done"]


def test_an_exception_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), atomic.publish(tmp_path / "done") as folder:
        write_two_files(folder)
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_scratch_folder_is_gone_whatever_happens(tmp_path: Path) -> None:
    with atomic.scratch(tmp_path, "trial") as folder:
        write_two_files(folder)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ResourceError, match="C107"), atomic.scratch(tmp_path, "trial") as folder:
        write_two_files(folder)
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / f".tmp-trial-{os.getpid() + 1}").mkdir()  # as a kill leaves it
    atomic.sweep(tmp_path, "trial")
    assert list(tmp_path.iterdir()) == []


def test_never_over_an_existing_folder(tmp_path: Path) -> None:
    (tmp_path / "done").mkdir()
    with pytest.raises(FileExistsError), atomic.publish(tmp_path / "done"):
        pass


@needs("modes")
def test_files_get_the_mode_that_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with atomic.publish(tmp_path / "done") as folder:
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


def test_damage_is_kept_as_evidence(tmp_path: Path) -> None:
    for _attempt in range(3):
        (tmp_path / "x").mkdir()
        aside = atomic.set_aside(tmp_path / "x")
        assert aside.is_dir()
        assert aside.name.startswith(".bad-x-")
    assert len(list(tmp_path.iterdir())) == 3


def test_discarding_goes_through_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with atomic.publish(tmp_path / "old") as folder:
        write_two_files(folder)
    monkeypatch.setattr(atomic.shutil, "rmtree", lambda *a, **k: None)  # killed while deleting
    atomic.discard(tmp_path / "old")
    assert not (tmp_path / "old").exists()
    monkeypatch.undo()
    atomic.sweep(tmp_path, "old")
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
    with atomic.publish(target) as folder:
        write_two_files(folder)


@needs("signals")
@pytest.mark.parametrize("operation", range(1, 22))
def test_a_kill_at_each_operation_leaves_whole_or_absent(operation: int, tmp_path: Path) -> None:
    child = multiprocessing.get_context("spawn").Process(
        target=kill_at, args=(operation, tmp_path / "done")
    )
    child.start()
    child.join(60)
    assert child.exitcode in (0, -signal.SIGKILL)
    if (tmp_path / "done").exists():
        assert atomic.damage(tmp_path / "done") is None
    atomic.sweep(tmp_path, "done")
    assert {p.name for p in tmp_path.iterdir()} <= {"done"}


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EIO, errno.ESTALE]
)
def test_a_disk_that_refuses_is_reported_as_such(number: int, tmp_path: Path) -> None:
    with pytest.raises(ResourceError) as caught, atomic.publish(tmp_path / "done") as folder:
        (folder / "a").write_text("x")
        raise OSError(number, os.strerror(number))
    assert caught.value.exit_code == 4
    assert caught.value.problems[0].code == "C107"
    assert list(tmp_path.iterdir()) == []


OTHERS = [
    ".tmp-notes", ".tmp-1", ".tmp-config-1", ".old-config-1", ".trash-x", ".tmp-done-x",
    ".tmp-done-12a", ".tmp-done-0", ".old-done-", "tmp-done-1", ".tmp-done-1-", ".bad-done-1",
]  # fmt: skip


@needs("links")
def test_only_leftovers_of_ours_are_swept(tmp_path: Path) -> None:
    (tmp_path / "done").mkdir()
    for name in (*OTHERS, ".tmp-done-17", ".trash-done-17", ".old-done-17"):
        (tmp_path / name).mkdir()
    (tmp_path / ".tmp-done-18").write_text("a file")
    (tmp_path / ".trash-done-18").symlink_to(tmp_path / "done")
    atomic.sweep(tmp_path, "done")
    assert {path.name for path in tmp_path.iterdir()} == {"done", *OTHERS}
    atomic.sweep(tmp_path / "none", "done")


@pytest.mark.parametrize("call", [atomic.set_aside, atomic.discard])
def test_a_folder_that_cannot_be_renamed_is_the_disks_fault(
    call: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").mkdir()

    def refuse(path: Path, target: Path) -> Path:
        raise OSError(errno.EROFS, "read-only", str(path), None, str(target))

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(ResourceError, match="C107"):
        call(tmp_path / "x")
    assert (tmp_path / "x").is_dir()


def test_moving_aside_takes_a_free_name(tmp_path: Path) -> None:
    moved = []
    for number in range(3):
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "x").write_text(str(number))
        moved.append(atomic.move_aside(tmp_path / "run", "run-before"))
    assert [path.name for path in moved] == ["run-before", "run-before-2", "run-before-3"]
    assert [(path / "x").read_text() for path in moved] == ["0", "1", "2"]


@needs("links")
def test_links_are_set_aside_and_discarded_as_links(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x").write_text("kept")
    for target in ("real", "nowhere"):
        (tmp_path / "link").symlink_to(tmp_path / target)
        assert atomic.damage(tmp_path / "link") == "MANIFEST.json is missing"
        assert atomic.set_aside(tmp_path / "link").is_symlink()
        (tmp_path / "link").symlink_to(tmp_path / target)
        atomic.discard(tmp_path / "link")
        assert not os.path.lexists(tmp_path / "link")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError), atomic.publish(tmp_path / "link"):
        pass
    assert (tmp_path / "real" / "x").read_text() == "kept"


@needs("/proc")
def test_missing_parents_are_made_and_the_parent_is_synced_after_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str]] = []
    real_fsync, real_rename, real_replace = os.fsync, os.rename, os.replace

    def fsync(descriptor: int) -> None:
        calls.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        real_fsync(descriptor)

    def rename(source: Path, target: Path) -> None:
        calls.append(("rename", Path(target).name))
        real_rename(source, target)

    def replace(source: Path, target: Path) -> None:
        calls.append(("rename", Path(target).name))
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    monkeypatch.setattr(os, "replace", replace)
    parent = tmp_path / "one" / "two"
    unfinished = f".tmp-done-{own_number()}"
    with atomic.publish(parent / "done") as folder:
        (folder / "a").write_text("x")
    assert calls == [
        ("sync", "a"), ("sync", atomic.MANIFEST), ("sync", unfinished), ("rename", "done"),
        ("sync", "two"),
    ]  # fmt: skip
    calls.clear()
    atomic.write_file(tmp_path / "three" / "four" / "file", "x")
    assert calls == [
        ("sync", f".tmp-file-{own_number()}"),
        ("rename", "file"),
        ("sync", "four"),
    ]
    calls.clear()
    atomic.set_aside(parent / "done")
    assert [kind for kind, _name in calls] == ["rename", "sync"]
    assert calls[1] == ("sync", "two")


@needs("limits")
def test_a_file_that_may_not_grow_leaves_nothing(tmp_path: Path) -> None:
    """The system's own refusal, by a limit on file size as a quota would."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        with pytest.raises(ResourceError), atomic.publish(tmp_path / "done") as folder:
            write_two_files(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    atomic.write_file(path, "old")
    with pytest.raises(RuntimeError), atomic.replace_file(path) as unfinished:
        unfinished.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    atomic.write_file(path, "new")
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["plan.json"]


@needs("links")
def test_what_a_user_made_is_replaced_only_when_asked(tmp_path: Path) -> None:
    new, file, folder, link = (tmp_path / name for name in ("new", "file", "folder", "link"))
    file.write_text("mine")
    folder.mkdir()
    link.symlink_to("gone")
    atomic.refuse_existing([new])
    atomic.refuse_existing([new, file, folder, link], force=True)
    with pytest.raises(RecipeError) as raised:
        atomic.refuse_existing([new, file, folder, link], option="--export", code="R122")
    problems = raised.value.problems
    assert [str(problem.place) for problem in problems] == [str(p) for p in (file, folder, link)]
    assert {problem.code for problem in problems} == {"R122"}
    assert problems[0].fix == "Name another with --export, or replace it with --force."
    with pytest.raises(RecipeError, match=r"R115(.|\n)*--out"):
        atomic.refuse_existing([file])
    with pytest.raises(RecipeError) as raised:
        atomic.refuse_existing([file], force=None)
    assert raised.value.problems[0].fix == "Name another with --out."
    assert file.read_text() == "mine"


@needs("links")
def test_whatever_is_there_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("kept")
    for name in ("folder", "file", "link", "none"):
        atomic.remove(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    for number, expected in ((errno.EROFS, ResourceError), (errno.ENOMEM, OSError)):
        with monkeypatch.context() as patched:
            refusal = OSError(number, os.strerror(number))
            patched.setattr(Path, "unlink", lambda *_a, refusal=refusal, **_k: raise_(refusal))
            with pytest.raises(expected):
                atomic.remove(tmp_path / "file")


def raise_(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    "write",
    [
        lambda folder: atomic.write_file(folder / "file", "x"),
        lambda folder: atomic.set_aside(folder / "none"),
        lambda folder: atomic.scratch(folder, "x").__enter__(),
    ],
)
def test_an_error_that_is_not_the_disks_stays_what_it_is(
    write: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = OSError(errno.ENOMEM, "memory")
    for name in ("rename", "replace", "mkdir"):
        monkeypatch.setattr(Path, name, lambda *_a, **_k: raise_(refusal))
    with pytest.raises(OSError, match="memory"):
        write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_names_of_unfinished_work_and_of_evidence_are_known() -> None:
    left = [".tmp-a-1", ".trash-a-b-20", ".old-x-3", ".bad-x-20260101T000000", ".bad-"]
    others = [
        ".tmp-a",
        ".tmp-a-01",
        "tmp-a-1",
        ".tmp--1",
        ".trash-1",
        "bad-x",
        "x.bad-y",
        ".new-a-1",
    ]
    assert [atomic.is_leftover(name) for name in left] == [True] * len(left)
    assert [atomic.is_leftover(name) for name in others] == [False] * len(others)


def test_what_an_earlier_process_of_this_number_left_is_not_published(tmp_path: Path) -> None:
    for name in ("done", "trial"):
        (tmp_path / f".tmp-{name}-{own_number()}").mkdir()
        (tmp_path / f".tmp-{name}-{own_number()}" / "old").write_text("x")
    with atomic.publish(tmp_path / "done") as folder:
        (folder / "new").write_text("y")
    assert {path.name for path in (tmp_path / "done").iterdir()} == {"new", atomic.MANIFEST}
    with atomic.scratch(tmp_path, "trial") as folder:
        assert list(folder.iterdir()) == []
    (tmp_path / f".trash-done-{own_number()}").mkdir()
    (tmp_path / f".trash-done-{own_number()}" / "old").write_text("x")
    atomic.discard(tmp_path / "done")
    assert list(tmp_path.iterdir()) == []
