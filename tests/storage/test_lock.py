from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.capabilities import CAPABILITIES, needs
from tunesmith.errors import FolderInUseError, Problem, ResourceError, Severity
from tunesmith.storage import lock, notices, operating_system
from tunesmith.storage.lock import HOLDER, LOCK, hold

HERE = {"host": socket.gethostname(), "boot": lock.boot_id()}
NOBODY = 2**22 + 1
"""More than the highest process id of Linux."""


def hold_and_wait(folder: Path, ready: object, go: object) -> None:
    with hold(folder):
        ready.set()  # type: ignore[attr-defined]
        go.wait(60)  # type: ignore[attr-defined]


@needs("signals")
def test_the_second_is_reported_who_holds_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, go = context.Event(), context.Event()
    child = context.Process(target=hold_and_wait, args=(tmp_path, ready, go))
    child.start()
    assert ready.wait(60)
    with pytest.raises(FolderInUseError, match="C106") as caught, hold(tmp_path):
        pass
    assert caught.value.exit_code == 5
    assert f"process {child.pid} on {socket.gethostname()}, since 20" in str(caught.value)
    os.kill(child.pid or 0, signal.SIGKILL)  # a lock ends with its process
    child.join(60)
    with hold(tmp_path):
        pass


def test_while_it_is_held_the_holder_is_named_and_then_no_more(tmp_path: Path) -> None:
    with hold(tmp_path / "a" / "b"):
        holder = json.loads((tmp_path / "a" / "b" / HOLDER).read_text())
        assert holder["pid"] == os.getpid()
        with pytest.raises(FolderInUseError), hold(tmp_path / "a" / "b"):
            pass
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == [LOCK]
    with hold(tmp_path / "a" / "b"):
        pass


@needs("links")
def test_the_folder_may_be_behind_a_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to(tmp_path / "disk" / "run")
    with hold(tmp_path / "run"):
        assert (tmp_path / "disk" / "run" / LOCK).is_file()


def test_the_lock_of_a_folder_that_was_moved_meanwhile_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, moves = operating_system.lock_file, iter([True])

    def locked_after_the_move(descriptor: int) -> bool:
        if next(moves, False):
            (tmp_path / "run").rename(tmp_path / "kept")
            (tmp_path / "run").mkdir()
        return real(descriptor)

    monkeypatch.setattr(operating_system, "lock_file", locked_after_the_move)
    with hold(tmp_path / "run", wait_seconds=5):
        assert (tmp_path / "run" / HOLDER).is_file()
        assert not (tmp_path / "kept" / HOLDER).exists()


def test_the_holder_file_of_another_process_is_not_removed(tmp_path: Path) -> None:
    with hold(tmp_path):
        (tmp_path / HOLDER).write_text("another")
    assert (tmp_path / HOLDER).read_text() == "another"


def test_a_holder_that_cannot_be_noted_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / HOLDER).mkdir()
    with hold(tmp_path), pytest.raises(FolderInUseError, match="another process"), hold(tmp_path):
        pass
    assert (tmp_path / HOLDER).is_dir()


@pytest.mark.parametrize(
    "content",
    [
        "", "[", "5", "null", '{"pid": "5"}', '{"pid": -1}', '{"pid": 0}', '{"pid": 2147483648}',
        '{"pid": 1.5}', "[" * 9000, "\xff",
    ],
)  # fmt: skip
def test_a_holder_that_cannot_be_read_is_another_process(content: str, tmp_path: Path) -> None:
    (tmp_path / HOLDER).write_text(content, encoding="latin-1")
    assert lock._read_holder(tmp_path / HOLDER) == {}
    assert lock._as_text({}) == "another process"


@needs("flock")
@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("call", ["open", "mkdir", "flock"])
def test_on_a_disk_error_nothing_goes_on_without_the_lock(
    call: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_keywords: object) -> None:
        raise OSError(number, os.strerror(number))

    if call == "flock":
        monkeypatch.setattr(operating_system._fcntl, "flock", fail)
    elif call == "open":
        monkeypatch.setattr(lock.os, "open", fail)
    else:
        monkeypatch.setattr(Path, "mkdir", fail)
    with pytest.raises(ResourceError, match="C107") as caught, hold(tmp_path / "run"):
        raise AssertionError("not held")
    assert caught.value.exit_code == 4


@needs("/proc", "flock")
def test_what_is_no_error_of_the_disk_is_not_called_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError(errno.ENOMEM, "memory")

    monkeypatch.setattr(operating_system._fcntl, "flock", fail)
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OSError, match="memory"), hold(tmp_path):
        pass
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


@needs("/proc")
def test_no_descriptor_is_left(tmp_path: Path) -> None:
    def opened() -> list[str]:
        links = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
        return [path for path in links if path.startswith(str(tmp_path))]

    with hold(tmp_path), pytest.raises(FolderInUseError), hold(tmp_path):
        assert opened() or sys.platform != "linux"
    assert opened() == []


def test_waiting_names_the_holder_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(lock.time, "monotonic", lambda: now[0])
    slept: list[tuple[float, float]] = []

    def sleep(seconds: float) -> None:
        slept.append((now[0] - started, seconds))
        now.append(now.pop() + seconds)

    monkeypatch.setattr(lock.time, "sleep", sleep)
    shown: list[Problem] = []
    with hold(tmp_path), notices.listening(shown.append):
        for wait, reports in ((0.0, 0), (1.9, 0), (7.0, 1)):
            shown.clear()
            started = now[0]
            with pytest.raises(FolderInUseError), hold(tmp_path, wait_seconds=wait):
                pass
            assert wait <= now[0] - started <= wait + 0.5
            assert len(shown) == reports
    assert slept[0] == (0.0, 0.05)
    for waited, seconds in slept:  # longer and longer, but for no more than half a second
        assert seconds == pytest.approx(min(0.05 + waited / 10, 0.5))
    assert slept[-1][1] == 0.5
    (problem,) = shown
    assert (problem.code, problem.severity) == ("C125", Severity.NOTE)
    assert f"waiting for process {os.getpid()} on " in problem.message
    assert problem.message.endswith("7 s at most")


def test_a_lock_that_is_given_back_is_taken(tmp_path: Path) -> None:
    held = hold(tmp_path)
    held.__enter__()
    timer = threading.Timer(0.2, lambda: held.__exit__(None, None, None))
    timer.start()
    with hold(tmp_path, wait_seconds=30):
        pass
    timer.join()


# file systems without locks


@pytest.fixture(params=["ENOLCK", "EOPNOTSUPP", "ENOSYS", "EINVAL"])
def lockless(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not CAPABILITIES["flock"]:
        pytest.skip("needs flock")

    def refuse(*_arguments: object) -> None:
        raise OSError(getattr(errno, request.param), request.param)

    monkeypatch.setattr(operating_system._fcntl, "flock", refuse)
    monkeypatch.setattr(notices, "_known", set())
    notices.take()
    yield
    notices.take()


@pytest.mark.usefixtures("lockless")
def test_without_locks_a_file_stands_for_it_and_that_is_reported_once(tmp_path: Path) -> None:
    for _time in range(2):
        with hold(tmp_path):
            with pytest.raises(FolderInUseError, match=f"process {os.getpid()}"), hold(tmp_path):
                pass
            assert (tmp_path / HOLDER).is_file()
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]
    (problem,) = notices.take()
    assert problem.code == "C124"
    assert "does not support locks" in problem.message


@pytest.mark.usefixtures("lockless")
def test_a_lock_file_alone_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text("")
    with hold(tmp_path):
        pass


def make_holder(path: Path, *, age: float = 0.0, **facts: object) -> None:
    path.write_text(json.dumps({**HERE, "since": "then", **facts}))
    os.utime(path, (time.time() - age, time.time() - age))


STALE = 90.0


@pytest.mark.usefixtures("lockless")
@pytest.mark.parametrize(
    ("facts", "is_held"),
    [
        ({"pid": os.getpid()}, True),
        ({"pid": os.getpid(), "started": lock.start_of(os.getpid()), "age": 1e6}, True),
        ({"pid": os.getpid(), "started": "1"}, False),  # the number was given again
        ({"pid": NOBODY}, False),
        ({"pid": 1, "age": 1e6}, True),  # of another user
        ({"pid": NOBODY, "host": "other"}, True),
        ({"pid": NOBODY, "host": "other", "age": STALE - 20}, True),
        ({"pid": NOBODY, "host": "other", "age": STALE + 20}, False),
        ({"pid": os.getpid(), "host": "other", "age": STALE + 20}, False),
        ({"pid": os.getpid(), "boot": "other", "age": STALE + 20}, False),  # before a reboot
        ({"pid": os.getpid(), "boot": "other"}, True),
        ({"pid": "x"}, True),  # it is being written
        ({"pid": "x", "age": STALE + 20}, False),
    ],
)
def test_a_lease_counts_as_long_as_its_process_lives(
    facts: dict[str, object], is_held: bool, tmp_path: Path
) -> None:
    make_holder(tmp_path / HOLDER, **facts)  # type: ignore[arg-type]
    before = (tmp_path / HOLDER).read_text()
    if is_held:
        with pytest.raises(FolderInUseError), hold(tmp_path):
            pass
        assert (tmp_path / HOLDER).read_text() == before
    else:
        with hold(tmp_path):
            assert json.loads((tmp_path / HOLDER).read_text())["pid"] == os.getpid()
    assert {path.name for path in tmp_path.iterdir()} == ({LOCK, HOLDER} if is_held else {LOCK})


@pytest.mark.usefixtures("lockless")
@pytest.mark.parametrize("moment", ["_is_held", "_describe_this_process"])
def test_of_two_who_take_over_a_stale_lease_one_gets_it(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_holder(tmp_path / HOLDER, pid=NOBODY)
    real: Callable[..., object] = getattr(lock, moment)
    others = json.dumps({**HERE, "pid": 1})

    def overtaken(*arguments: object) -> object:
        result = real(*arguments)
        (tmp_path / HOLDER).write_text(others)
        return result

    monkeypatch.setattr(lock, moment, overtaken)
    with pytest.raises(FolderInUseError), hold(tmp_path):
        pass
    assert (tmp_path / HOLDER).read_text() == others


@pytest.mark.usefixtures("lockless")
def test_a_lease_is_renewed_while_it_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_RENEW_SECONDS", 0.01)
    path = tmp_path / HOLDER
    with hold(tmp_path):
        os.utime(path, (1, 1))
        until = time.monotonic() + 30
        while path.stat().st_mtime == 1 and time.monotonic() < until:
            time.sleep(0.01)
        assert abs(path.stat().st_mtime - time.time()) < 60
        path.write_text("another")
        os.utime(path, (1, 1))
        time.sleep(0.1)
        assert path.stat().st_mtime == 1
        (renewing,) = (t for t in threading.enumerate() if t.name.endswith("(_renew)"))
        assert renewing.daemon  # so that it does not keep the process alive
    renewing.join(30)
    assert not renewing.is_alive()


@needs("/proc")
def test_a_process_that_is_gone_is_gone() -> None:
    assert lock.process_runs(os.getpid(), None)
    assert lock.process_runs(os.getpid(), lock.start_of(os.getpid()))
    assert not lock.process_runs(os.getpid(), "0")
    assert not lock.process_runs(NOBODY, None)
    assert lock.start_of(NOBODY) is None
    after_name = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(") ")[2].split()
    assert (
        lock.start_of(os.getpid()) == after_name[22 - 3]
    )  # field 22 of proc(5); the third is first


def test_a_lease_of_another_host_counts_for_ninety_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_holder(tmp_path / HOLDER, pid=1, host="other")
    for age, is_held in ((89.9, True), (90.0, False)):
        monkeypatch.setattr(lock, "_age", lambda _path, age=age: age)
        assert lock._is_held(tmp_path / HOLDER) is is_held


def test_a_holder_file_is_read_to_a_limit(tmp_path: Path) -> None:
    for spaces, holder in ((10_000, {"pid": 7}), (10_001, {})):
        (tmp_path / HOLDER).write_text('{"pid": 7}'.rjust(spaces))
        assert lock._read_holder(tmp_path / HOLDER) == holder


@needs("modes")
def test_all_who_may_use_the_folder_may_lock_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with hold(tmp_path):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / LOCK).stat().st_mode & 0o777 == 0o666
