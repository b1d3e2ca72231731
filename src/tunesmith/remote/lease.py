"""The one writer of a remote run folder: an object that is written on a condition and renewed.

Clocks of machines differ, so an owner counts as gone when its lease did not change for as long as
it is valid, by the clock of who waits; without waiting only if it had expired long before, was
released, or was held by a process of this machine that has ended. Each owner has a higher number,
its fence, than any before.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from uuid import uuid4

from tunesmith.errors import FolderInUseError, Place, Problem, ResourceError, Severity
from tunesmith.i18n import gettext as _
from tunesmith.remote.snapshot import MANIFESTS, OBJECTS
from tunesmith.remote.store import Store, Stored
from tunesmith.remote.store_errors import Conflict
from tunesmith.storage import notices
from tunesmith.storage.lock import boot_id, process_runs, start_of

__all__ = ["LEASE", "Lease", "Times"]

LEASE = "lease.json"


@dataclass(frozen=True, slots=True)
class Times:
    """How long things take, in seconds.

    Attributes:
        valid: a lease that was not renewed.
        renew: between two renewals.
        look: between two looks at the lease of another.
    """

    valid: float = 90.0
    renew: float = 20.0
    look: float = 5.0


@dataclass(frozen=True, slots=True)
class _Holder:
    """The content of a lease; `expires` is 0 once it is released."""

    owner: str
    fence: int
    expires: float
    host: str
    pid: int
    boot: str
    started: str | None

    def as_bytes(self) -> bytes:
        return (json.dumps(asdict(self), indent=1) + "\n").encode()

    @classmethod
    def read(cls, content: bytes) -> _Holder | None:
        """Read a lease; None for anything else, and after that nothing is known of its owner."""
        try:
            facts = json.loads(content)
            return cls(
                str(facts["owner"]), int(facts["fence"]), float(facts["expires"]),
                str(facts["host"]), int(facts["pid"]), str(facts["boot"]), facts["started"],
            )  # fmt: skip
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
            return None


class Lease:
    """Held from `take` to `release`; a thread renews it.

    Attributes:
        fence: higher than that of every owner before.
        lost_to: who took it over, if another process did.
    """

    def __init__(self, store: Store, times: Times | None = None) -> None:
        self._store = store
        self._times = times or Times()
        self._owner = uuid4().hex
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._version = ""
        self.fence = 0
        self.lost_to: str | None = None

    def take(self, say: Callable[[Problem], None] = notices.show_now) -> None:
        """Become the owner; waits for one that may be gone.

        Args:
            say: called once if there is something to wait for.

        Raises:
            FolderInUseError: another owner renews its lease (C164).
            ResourceError: the store cannot be used (C162).
        """
        while True:
            stored = self._store.read(LEASE)
            if stored is not None:
                self._wait_for_end(stored, say)
            if self._try(stored):
                break
        self._thread = threading.Thread(target=self._renew, name="remote-lease", daemon=True)
        self._thread.start()

    def _try(self, stored: Stored | None) -> bool:
        """Write the lease over what was read; False if another was faster."""
        holder = _Holder.read(stored.content) if stored else None
        self.fence = 1 + max(holder.fence if holder else 0, self._highest_fence())
        content = self._content(time.time() + self._times.valid)
        try:
            if stored is None:
                self._version = self._store.create(LEASE, content)
            else:
                self._version = self._store.replace(LEASE, content, stored.version)
        except Conflict:
            return self._is_ours()
        return True

    def _is_ours(self) -> bool:
        """Whether a write that seemed to fail was ours: repeated, since its answer was lost."""
        stored = self._store.read(LEASE)
        holder = _Holder.read(stored.content) if stored else None
        if stored is None or holder is None or holder.owner != self._owner:
            return False
        self._version = stored.version
        return True

    def _highest_fence(self) -> int:
        """The highest fence that wrote anything: a lease may have been deleted by hand."""
        parts = [key.removeprefix(MANIFESTS)[:8] for key in self._store.keys(MANIFESTS)]
        parts += [key.removeprefix(OBJECTS)[:8] for key in self._store.keys(OBJECTS)]
        return max((int(part) for part in parts if part.isdecimal()), default=0)

    def _content(self, expires: float) -> bytes:
        return _Holder(
            self._owner, self.fence, expires, socket.gethostname(), os.getpid(), _boot(),
            start_of(os.getpid()),
        ).as_bytes()  # fmt: skip

    def _wait_for_end(self, stored: Stored, say: Callable[[Problem], None]) -> None:
        """Return when an owner is gone.

        Raises:
            FolderInUseError: it is not (C164).
        """
        holder = _Holder.read(stored.content)
        if holder is not None and self._is_gone(holder):
            return
        deadline = time.monotonic() + self._times.valid
        say(_waiting(self._store, holder, self._times.valid))
        while time.monotonic() < deadline:
            time.sleep(min(self._times.look, max(0.0, deadline - time.monotonic())))
            now = self._store.read(LEASE)
            if now is None or now.version != stored.version:
                newer = _Holder.read(now.content) if now else None
                if newer is None or self._is_gone(newer):
                    return
                raise FolderInUseError(_in_use(self._store, newer))

    def _is_gone(self, holder: _Holder) -> bool:
        if holder.expires + self._times.valid < time.time():
            return True
        is_here = holder.host == socket.gethostname() and holder.boot == _boot()
        return is_here and not process_runs(holder.pid, holder.started)

    def _renew(self) -> None:
        while not self._ended.wait(self._times.renew):
            with suppress(ResourceError):  # tried again; if another owner came, it is lost then
                self._write(time.time() + self._times.valid)

    def _write(self, expires: float) -> None:
        with self._lock:
            if self.lost_to is not None:
                return
            try:
                self._version = self._store.replace(LEASE, self._content(expires), self._version)
            except Conflict:
                if not self._is_ours():
                    stored = self._store.read(LEASE)
                    holder = _Holder.read(stored.content) if stored else None
                    self.lost_to = _name_of(holder)

    def refuse_lost(self) -> None:
        """Refuse to go on where another owner took over.

        Raises:
            FolderInUseError: one did (C164).
        """
        if self.lost_to is not None:
            raise FolderInUseError(_lost(self._store, self.lost_to))

    def release(self) -> None:
        """Let the next owner begin at once."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            with suppress(ResourceError):  # it expires by itself
                self._write(0.0)


def _boot() -> str:
    """What differs between boots, and between containers, which number their processes from 1."""
    namespace = ""
    with suppress(OSError):
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - it leads to no path
    return f"{boot_id()} {namespace}"


def _name_of(holder: _Holder | None) -> str:
    if holder is None:
        return _("an unknown process")
    return _("process {pid} on {host}").format(pid=holder.pid, host=holder.host)


def _clock(seconds: float) -> str:
    with suppress(ValueError, OverflowError, OSError):
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    return "?"


def _waiting(store: Store, holder: _Holder | None, seconds: float) -> Problem:
    message = _("{owner} may still use the remote folder; waiting up to {seconds:.0f} s")
    return Problem(
        "C164",
        message.format(owner=_name_of(holder), seconds=seconds),
        Place(str(store.location)),
        fix=_("If it was killed, this run takes over when its lease has expired."),
        severity=Severity.NOTE,
    )


def _in_use(store: Store, holder: _Holder) -> Problem:
    message = _("{owner} uses the remote folder; its lease is valid until {time}")
    return Problem(
        "C164",
        message.format(owner=_name_of(holder), time=_clock(holder.expires)),
        Place(str(store.location)),
        fix=_("Wait for it, stop it, or use another remote folder."),
    )


def _lost(store: Store, owner: str) -> Problem:
    return Problem(
        "C164",
        _("{owner} took the remote folder over").format(owner=owner),
        Place(str(store.location)),
        fix=_(
            "This machine was cut off from the store for longer than its lease. What it trained is "
            "in the local folder; the other process goes on from the last state in the store."
        ),
    )
