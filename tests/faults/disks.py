"""Failing disks: errors of the system at seeded calls, file systems that lack things, lost streams.

The promises: exit 0 or 4 with a code, nothing partial under a real name, and the same command
finishes later with weights equal to the bit.
"""

from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import random
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from tests.faults import Case
from tests.faults.runs import TRAIN, Said, call, copy_of_finished, weights_of

__all__ = ["cases"]


def _fresh(folder: Path) -> tuple[Path, bytes]:
    """A folder with data and model, where nothing was trained; the run, and the weights wanted."""
    import shutil

    run = copy_of_finished(folder)
    weights = weights_of(run)
    shutil.rmtree(run)
    return run, weights


def _path_of(argument: object) -> Path | None:
    if isinstance(argument, int):
        try:
            return Path(f"/proc/self/fd/{argument}").readlink()
        except OSError:
            return None
    return Path(os.fspath(argument)) if isinstance(argument, str | os.PathLike) else None  # type: ignore[arg-type]


@contextmanager
def _failing(
    module: Any, name: str, number: int, *, under: Path, at: int, times: int
) -> Iterator[list[int]]:
    """Let calls of a function fail that touch a folder, some times from the n-th on."""
    real: Callable[..., object] = getattr(module, name)
    count = [0]

    def call_or_fail(*arguments: Any, **keywords: Any) -> object:
        path = _path_of(arguments[0]) if arguments else None
        reads = name == "open" and len(arguments) > 1 and arguments[1] in ("r", "rb", os.O_RDONLY)
        if path is not None and not reads and path.absolute().is_relative_to(under):
            count[0] += 1
            if at <= count[0] < at + times:
                raise OSError(number, os.strerror(number), str(path))
        return real(*arguments, **keywords)

    with mock.patch.object(module, name, call_or_fail):
        yield count


def _is_whole(run: Path) -> bool:
    """Whether everything under a real name is whole."""
    from tunesmith.storage import atomic

    folders = [*run.glob("checkpoints/step-*"), *run.glob("model")]
    return all(atomic.damage(folder) is None for folder in folders)


def _finishes(run: Path, weights: bytes) -> None:
    """The same command, on a disk that works again, ends with the same weights."""
    said = call(*TRAIN)
    assert said.code == 0, said
    assert weights_of(run) == weights, "other weights"
    assert not [path for path in run.rglob(".tmp-*") if "trackers" not in path.parts]


CODES = ("C107", "C110", "C127", "ok", "M135", "C101")


def _fails_at_a_call(
    folder: Path, *, module: Any, name: str, number: int, at: int, times: int
) -> str:
    run, weights = _fresh(folder)
    with _failing(module, name, number, under=folder / "runs", at=at, times=times) as count:
        said = call(*TRAIN)
    assert said.code in (0, 4), said
    assert said.first_code() in CODES, said
    assert said.code == 0 or "C107" in said.text, said
    assert _is_whole(run)
    if said.code == 0:
        assert weights_of(run) == weights, "other weights"
    _finishes(run, weights)
    return f"{said.code} {said.first_code()} after {count[0]} calls"


def _lacking(folder: Path, *, lacks: tuple[tuple[Any, str, int, bool], ...], warnings: int) -> str:
    """A file system without some operations: everything works, each is warned of once."""
    from tunesmith.storage import notices

    run, weights = _fresh(folder)
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(notices, "_known", set()))
        for module, name, number, only_folders in lacks:
            stack.enter_context(_refusing(module, name, number, only_folders=only_folders))
        said = call(*(word for word in TRAIN if word != "-q"))
        assert said.code == 0, said
        assert said.text.count("warning C124") == warnings, said
        again = call(*TRAIN)
        assert again.code == 0
    assert weights_of(run) == weights
    return f"{warnings} warnings"


@contextmanager
def _refusing(module: Any, name: str, number: int, *, only_folders: bool) -> Iterator[None]:
    real: Callable[..., object] = getattr(module, name)

    def refuse(first: Any, *others: Any, **keywords: Any) -> object:
        if only_folders and not stat.S_ISDIR(os.fstat(first).st_mode):
            return real(first, *others, **keywords)
        raise OSError(number, os.strerror(number))

    with mock.patch.object(module, name, refuse):
        yield


def _in_child(work: Callable[[], Said]) -> Said:
    """Do something in a forked process, for limits that cannot be taken back."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            said = work()
            os.write(writing, json.dumps([said.code, said.text]).encode()[:60_000])
        except BaseException as error:  # the parent raises it
            os.write(writing, json.dumps([99, f"{type(error).__name__}: {error}"]).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    code, text = json.loads(answer)
    assert code != 99, text
    return Said(code, text)


def _limited(folder: Path, *, limit: int) -> str:
    """No file may grow beyond a limit, as with `ulimit -f`."""
    run, weights = _fresh(folder)

    def work() -> Said:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        return call(*TRAIN)

    said = _in_child(work)
    assert said.code in (0, 4), said
    assert said.code == 0 or "C107" in said.text or "C110" in said.text, said
    assert _is_whole(run)
    _finishes(run, weights)
    return f"{said.code} {said.first_code()}"


def _on_small_disk(folder: Path, *, kilobytes: int) -> str:
    """A real file system of a few kilobytes; where it cannot be mounted, that is said."""
    run, weights = _fresh(folder)
    disk = folder / "runs"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        return "not permitted here"
    try:
        said = call(*TRAIN)
        assert said.code in (0, 4), said
        assert said.code == 0 or "C107" in said.text, said
        assert _is_whole(run)
        grown = subprocess.run(
            ["mount", "-o", "remount,size=64m", str(disk)], capture_output=True, check=False
        )
        if not grown.returncode:
            _finishes(run, weights)
    finally:
        subprocess.run(["umount", "-l", str(disk)], capture_output=True, check=False)
    return f"{said.code} {said.first_code()}"


def _lost_streams(folder: Path, *, full: tuple[int, ...], closed: tuple[int, ...]) -> str:
    """The pipe that a training prints to is closed."""
    from tunesmith.cli import main

    run, weights = _fresh(folder)
    child = os.fork()
    if child == 0:
        code = 99
        try:
            for number in full:
                os.dup2(os.open("/dev/full", os.O_WRONLY), number)
            for number in closed:
                os.close(number)
            out, err = (
                None if n in closed else io.TextIOWrapper(io.FileIO(n, "w", closefd=False))
                for n in (1, 2)
            )
            sys.stdout, sys.stderr = out, err  # type: ignore[assignment]
            code = main([word for word in TRAIN if word != "-q"])
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == 0, code
    assert weights_of(run) == weights
    return "trained to the end"


def _dangling_cache(folder: Path) -> str:
    run, weights = _fresh(folder)
    cache = folder / "cache" / "prepared"
    cache.mkdir(parents=True)
    for name in ("0" * 32, "other"):
        (cache / name).symlink_to("nowhere")
    with mock.patch.dict(os.environ, TUNESMITH_CACHE=str(folder / "cache")):
        assert call(*TRAIN).code == 0
    assert weights_of(run) == weights
    return "prepared beside it"


def _stopped_holder(folder: Path) -> str:
    """A process that holds the cache is stopped with Ctrl-Z: others wait a while, then go on."""
    from tunesmith.data import token_cache
    from tunesmith.storage.lock import hold

    run, weights = _fresh(folder)
    cache = folder / "cache" / "prepared"
    ready, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with hold(cache):
                os.write(writing, b"x")
                os.kill(os.getpid(), signal.SIGSTOP)
        finally:
            os._exit(0)
    try:
        os.read(ready, 1)
        with (
            mock.patch.dict(token_cache.prepare.__kwdefaults__, wait_seconds=2.2),
            mock.patch.dict(os.environ, TUNESMITH_CACHE=str(folder / "cache")),
        ):
            said = call(*(word for word in TRAIN if word != "-q"))
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert said.code == 0, said
    assert f"waiting for process {child}" in said.text, said
    assert weights_of(run) == weights
    return "waited, and prepared for itself"


def _foreign_lock(folder: Path, *, text: str) -> str:
    """A `.lock` and a holder that came along with a copied run hold nothing for ever."""
    run = copy_of_finished(folder)
    (run / ".lock").write_text("")
    (run / ".holder.json").write_text(text)
    os.utime(run / ".holder.json", (1e9, 1e9))
    with _refusing(fcntl, "flock", errno.ENOLCK, only_folders=False):
        assert call(*TRAIN).code == 0
        assert not (run / ".holder.json").exists()
    return "taken over"


def _rename_refused(folder: Path, *, number: int) -> str:
    """`--restart` of a folder that cannot be moved changes nothing."""
    run = copy_of_finished(folder)
    before = sorted(str(path) for path in run.rglob("*"))
    with _failing(os, "rename", number, under=run, at=1, times=9):
        said = call(*TRAIN, "--restart")
    assert said.code == 4 and "C127" in said.text, said
    after = sorted(str(path) for path in run.rglob("*"))
    assert [path for path in after if path not in before and ".lock" not in path] == []
    return "C127"


NUMBERS = ("ENOSPC", "EDQUOT", "EFBIG", "EIO", "EROFS", "ESTALE")
CALLS: tuple[tuple[Any, str, int], ...] = (
    (os, "fsync", 40), (os, "rename", 6), (os, "replace", 3), (os, "mkdir", 8), (io, "open", 12),
    (os, "open", 40),
)  # fmt: skip
"""Functions of the system, and about how often one training calls them under its folder."""

ALL_LACKING = (
    (os, "fsync", errno.EINVAL, True),
    (fcntl, "flock", errno.ENOLCK, False),
    (os, "chmod", errno.EPERM, False),
)


def cases() -> Iterator[Case]:
    """Seeded calls that fail once or for good, missing features, limits, lost streams, locks."""
    draw = random.Random(41)
    for module, name, calls in CALLS:
        for word in NUMBERS:
            at = draw.randrange(1, calls + 1)
            for times, how in ((1, "once"), (10**9, "for good")):
                yield Case(
                    f"{word} at {module.__name__}.{name} {at}, {how}",
                    partial(
                        _fails_at_a_call, module=module, name=name, number=getattr(errno, word),
                        at=at, times=times,
                    ),
                )  # fmt: skip
    for lacks, word in (
        (ALL_LACKING[:1], "folders cannot be synced"),
        (((os, "fsync", errno.ENOTSUP, False),), "nothing can be synced"),
        (ALL_LACKING[1:2], "no locks (ENOLCK)"),
        (((fcntl, "flock", errno.EOPNOTSUPP, False),), "no locks (EOPNOTSUPP)"),
        (((fcntl, "flock", errno.ENOSYS, False),), "no locks (ENOSYS)"),
        (ALL_LACKING[2:], "no modes"),
        (ALL_LACKING, "none of these"),
    ):
        warnings = 2 if word == "nothing can be synced" else len(lacks)  # files, and folders
        work = partial(_lacking, lacks=lacks, warnings=warnings)
        yield Case(f"file system: {word}", work, seconds=120)
    for limit in (0, 500, 3000, 20_000, 100_000, 400_000):
        yield Case(f"files of at most {limit} bytes", partial(_limited, limit=limit))
    for kilobytes in (16, 200, 600, 1500):
        yield Case(f"a disk of {kilobytes} kB", partial(_on_small_disk, kilobytes=kilobytes))
    for full, closed in (((1,), ()), ((2,), ()), ((1, 2), ()), ((), (1,)), ((), (0, 1, 2))):
        yield Case(
            f"streams full {full}, closed {closed}",
            partial(_lost_streams, full=full, closed=closed),
        )
    yield Case("a dangling link in the cache", _dangling_cache)
    yield Case("the holder of the cache is stopped", _stopped_holder)
    for word, text in (
        ("nothing", ""),
        ("a number", "5"),
        ("another host", '{"pid": 1, "host": "elsewhere", "boot": "x", "since": "then"}'),
    ):
        yield Case(f"a lock that was copied: {word}", partial(_foreign_lock, text=text))
    for word in ("EXDEV", "EBUSY", "EACCES"):
        work = partial(_rename_refused, number=getattr(errno, word))
        yield Case(f"restart: {word}", work, is_quick=word == "EBUSY")
