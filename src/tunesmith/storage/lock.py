"""One process at a time in a folder.

The lock is one of the operating system (`flock`, on Windows `LockFile`), which ends with its
process. File systems without locks (some NFS, Lustre and FUSE mounts) get a lease instead:
`.holder.json` itself, created by one process only. It is valid while its process runs or, on
another host, while it is renewed.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tunesmith.errors import FolderInUseError, Place, Problem, Severity
from tunesmith.i18n import gettext as _
from tunesmith.storage import notices
from tunesmith.storage import operating_system as system
from tunesmith.storage.disk import disk_errors, lacks, report_missing_feature

__all__ = ["CLAIM", "HOLDER", "LOCK", "boot_id", "hold", "hold_to_move", "process_runs", "start_of"]

LOCK = ".lock"
HOLDER = ".holder.json"
CLAIM = ".claim.json"

_SILENT_SECONDS = 2.0
"""Longer waits are reported."""
_RENEW_SECONDS = 15.0
_STALE_SECONDS = 90.0
"""Age at which a lease of another host has expired."""

Release = Callable[[], None]


@contextmanager
def hold(
    folder: Path, *, wait_seconds: float = 0.0, across_machines: bool = False
) -> Iterator[None]:
    """Hold a folder for this process; the lock ends with the process, however it ends.

    Args:
        folder: created if it does not exist, also where a link points to it.
        wait_seconds: how long to wait for another process, which is reported after two seconds.
        across_machines: also claim it by a file that is renewed: a file system that machines share
            may lock for each of them alone (NFS with `local_lock`, Lustre with `localflock`).

    Raises:
        FolderInUseError: another process holds it (C106), named by host, process id and start.
        ResourceError: the folder cannot be made or locked (C107).
    """
    folder = Path(os.path.realpath(folder))
    with disk_errors(folder / LOCK):
        folder.mkdir(parents=True, exist_ok=True)
        attempt = _try_across_machines if across_machines else _try
        release = _acquire(folder, wait_seconds, attempt)
    try:
        yield
    finally:
        release()


@contextmanager
def hold_to_move(folder: Path) -> Iterator[None]:
    """Hold a folder that is about to be renamed as a whole; raises as `hold` does.

    Where an open file keeps its folder from being renamed, that of the lock is closed first. It is
    not needed any more: another process that takes the lock meanwhile keeps the folder where it is.
    """
    with ExitStack() as held:
        held.enter_context(hold(folder))
        if not system.MOVES_OPEN_FILES:
            held.close()
        yield


def _acquire(
    folder: Path, wait_seconds: float, attempt: Callable[[Path], Release | None]
) -> Release:
    started, is_reported = time.monotonic(), False
    while (release := attempt(folder)) is None:
        waited = time.monotonic() - started
        facts = _read_holder(folder / CLAIM) or _read_holder(folder / HOLDER)
        holder = _as_text(facts)
        if waited >= wait_seconds:
            raise FolderInUseError.of(
                "C106",
                _("the folder is in use by {holder}").format(holder=holder),
                Place(str(folder)),
                fix=_("Wait for it, stop it, or choose another folder with --out."),
            )
        if waited >= _SILENT_SECONDS and not is_reported:
            is_reported = True
            message = _("waiting for {holder}, {seconds:.0f} s at most")
            notices.show_now(
                Problem(
                    "C125",
                    message.format(holder=holder, seconds=wait_seconds),
                    Place(str(folder)),
                    severity=Severity.NOTE,
                )
            )
        time.sleep(min(0.05 + waited / 10, 0.5))
    return release


def _try(folder: Path) -> Release | None:
    """Take the lock if it is free and return a function that releases it.

    Raises:
        OSError: the file system fails.
    """
    path = folder / LOCK
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        is_free = system.lock_file(descriptor)
    except OSError as error:
        os.close(descriptor)
        if not lacks(error):
            raise
        effect = _("The file {name} is used as the lock: do not delete it during a run.")
        report_missing_feature(path, _("locks"), effect.format(name=HOLDER), error)
        return _take_lease(folder / HOLDER)
    except BaseException:
        os.close(descriptor)
        raise
    if not is_free or not _is_at(descriptor, path):
        os.close(descriptor)
        return None
    text = _describe_this_process()
    with suppress(OSError):  # the lock works without the holder file
        (folder / HOLDER).write_text(text, encoding="utf-8", newline="\n")

    def release() -> None:
        _remove_own(folder / HOLDER, text)
        os.close(descriptor)

    return release


def _try_across_machines(folder: Path) -> Release | None:
    """Take the lock of this machine, then the claim for all of them."""
    release = _try(folder)
    if release is None:
        return None
    try:
        give_up = _take_lease(folder / CLAIM)
    except FileNotFoundError:  # another machine removed an expired claim at the same time
        give_up = None
    except BaseException:
        release()
        raise
    if give_up is None:
        release()
        return None

    def both() -> None:
        give_up()
        release()

    return both


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether an open file is still at a path: its folder may have been moved."""
    if not system.MOVES_OPEN_FILES:
        return True
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


# who holds a folder

Holder = Mapping[str, object]


def _describe_this_process() -> str:
    return json.dumps(
        {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "boot": boot_id(),
            "started": start_of(os.getpid()),
        }
    )


def _read_holder(path: Path) -> Holder:
    """Read a holder file; empty if there is none or it is invalid."""
    try:
        with path.open(encoding="utf-8") as file:
            holder = json.loads(file.read(10_000))
    except (OSError, ValueError, RecursionError):
        return {}
    pid = holder.get("pid") if isinstance(holder, dict) else None
    return holder if isinstance(pid, int) and 0 < pid < 1 << 31 else {}


def _as_text(holder: Holder) -> str:
    try:
        return _("process {pid} on {host}, since {since}").format_map(holder)
    except KeyError:
        return _("another process")


def _remove_own(path: Path, text: str) -> None:
    """Delete a holder file if its content is unchanged."""
    with suppress(OSError, ValueError):
        if path.read_text(encoding="utf-8") == text:
            path.unlink()


def boot_id() -> str | None:
    """Return what differs between two boots of a machine, and two machines, if it is known."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None


def start_of(pid: int) -> str | None:
    """Return when a process started, in ticks since boot: process ids are reused."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return status.rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def process_runs(pid: int, started: object) -> bool:
    """Return whether a process of this machine runs; True where that is not known."""
    if (
        not system.MOVES_OPEN_FILES
    ):  # Windows has locks on every file system, and kills by `os.kill`
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    now = start_of(pid)
    return now is None or started is None or now == started


# leases, where there are no locks


def _take_lease(path: Path) -> Release | None:
    """Create the holder file, replacing an expired one; None if another process has it."""
    if os.path.lexists(path) and not _remove_stale(path):
        return None
    text = _describe_this_process()
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        return None
    ended = threading.Event()
    threading.Thread(target=_renew, args=(path, text, ended), daemon=True).start()

    def release() -> None:
        ended.set()
        _remove_own(path, text)

    return release


def _renew(path: Path, text: str, ended: threading.Event) -> None:
    while not ended.wait(_RENEW_SECONDS):
        with suppress(OSError, ValueError):
            if path.read_text(encoding="utf-8") == text:
                os.utime(path)


def _remove_stale(path: Path) -> bool:
    """Remove an expired lease; return whether it was removed."""
    before = path.read_bytes()
    if _is_held(path):
        return False
    removed = path.with_name(f"{path.name}-{os.getpid()}")
    path.rename(removed)
    if removed.read_bytes() != before:  # another process was faster: this is its new lease
        removed.rename(path)
        return False
    removed.unlink()
    return True


def _is_held(path: Path) -> bool:
    holder = _read_holder(path)
    pid = holder.get("pid")
    is_here = holder.get("host") == socket.gethostname() and holder.get("boot") == boot_id()
    if is_here and isinstance(pid, int):
        return process_runs(pid, holder.get("started"))
    return _age(path) < _STALE_SECONDS


def _age(path: Path) -> float:
    """Return the seconds since a file was renewed, by the clock of its file system."""
    probe = path.with_name(f"{path.name}-now-{os.getpid()}")
    try:
        probe.touch()
        return probe.stat().st_mtime - path.stat().st_mtime
    finally:
        with suppress(OSError):
            probe.unlink()
