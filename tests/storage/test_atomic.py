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
from tunesmith.storage import atomic, notices
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


def test_what_was_amended_last_comes_back_once(tmp_path: Path) -> None:
    for number in (3, 4):
        (tmp_path / f".old-done-{number}").mkdir()
        (tmp_path / f".old-done-{number}" / "x").write_text(str(number))
    atomic.sweep(tmp_path, "done")
    assert [path.name for path in tmp_path.iterdir()] == ["done"]
    assert (tmp_path / "done" / "x").read_text() == "3"


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


def refuse_some(
    monkeypatch: pytest.MonkeyPatch, name: str, number: int, *, folders: bool | None = None
) -> None:
    """Let an operation of the system fail, if asked only for folders or for files."""
    real = getattr(os, name)

    def refuse(first: object, *others: object, **keywords: object) -> object:
        is_folder = stat.S_ISDIR(
            os.fstat(first).st_mode if isinstance(first, int) else Path(first).stat().st_mode
        )  # type: ignore[arg-type]
        if folders is None or folders == is_folder:
            raise OSError(number, os.strerror(number))
        return real(first, *others, **keywords)

    monkeypatch.setattr(os, name, refuse)


@needs("modes")
@pytest.mark.parametrize(
    ("name", "folders", "what"),
    [
        ("fsync", True, "syncing a folder"),
        ("fsync", False, "syncing a file"),
        ("chmod", None, "changing the mode of a file"),
    ],
)
def test_what_a_file_system_cannot_do_is_done_without_and_reported_once(
    name: str, folders: bool | None, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "_known", set())
    notices.take()
    refuse_some(
        monkeypatch, name, errno.EPERM if name == "chmod" else errno.EINVAL, folders=folders
    )
    for number in range(2):
        with atomic.publish(tmp_path / f"done-{number}") as folder:
            write_two_files(folder)
        assert atomic.damage(tmp_path / f"done-{number}") is None
    (problem,) = notices.take()
    assert problem.code == "C124"
    assert what in problem.message


@needs("modes")
@pytest.mark.parametrize(("name", "folders"), [("fsync", True), ("fsync", False), ("chmod", False)])
def test_what_fails_is_not_done_without(
    name: str, folders: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_some(monkeypatch, name, errno.EIO, folders=folders)
    with pytest.raises(ResourceError, match="C107"), atomic.publish(tmp_path / "done") as folder:
        write_two_files(folder)
    if name == "fsync":
        with pytest.raises(ResourceError, match="C107"):
            atomic.write_file(tmp_path / "file", "x")


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


def test_without_links_files_are_copied_to_amend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with atomic.publish(tmp_path / "done") as folder:
        write_two_files(folder)
    monkeypatch.setattr(os, "link", lambda *_a, **_k: raise_(OSError(errno.EXDEV, "no links here")))
    amend(tmp_path / "done")
    assert atomic.damage(tmp_path / "done") is None
    assert content(tmp_path / "done") == (b"new", "{}")
