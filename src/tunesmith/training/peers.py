"""The processes of a job: what they agree on, and what each learns of the failure of another.

They meet in torch's key-value store before any of them looks at data, so that one which fails while
it reads or loads stops the others at once, with its own error and exit code. A thread of each
process renews a sign of life and looks for a failure; on the machine of process 0 a process that
ended is missed at once, on others after `SILENT_SECONDS`. Small facts are exchanged here too;
waiting for them has no limit but the life of the others, unlike a collective operation of torch.
If the store itself does not answer, `peer_guard` ends the process.

Without several processes nothing of this is loaded.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from tunesmith.errors import RecipeError, TunesmithError
from tunesmith.i18n import gettext as _
from tunesmith.storage import notices
from tunesmith.storage.lock import boot_id, process_runs, start_of
from tunesmith.training.device import num_processes
from tunesmith.training.peer_errors import (
    ended_silently,
    error_as_json,
    error_of,
    no_job,
    not_answering,
    shared_error,
)
from tunesmith.training.peer_guard import Guard
from tunesmith.training.peer_store import connect, join_seconds

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

__all__ = ["Peers", "current", "joined"]

Mine = TypeVar("Mine")
Decision = TypeVar("Decision")

SILENT_SECONDS = 120.0
"""Without a sign of life for so long a process counts as dead."""
HANG_SECONDS = 3600.0
"""How long others are waited for that live but do not come to where they are awaited."""
LAST_SECONDS = 90.0
"""After another's failure this process ends by itself for so long, then at once."""
_LINGER_SECONDS = 15.0
"""How long process 0, which holds the store, waits at its end for the others to read it."""
_BEAT_SECONDS = 1.0
_FAILED, _STOP = "failed", "stop"


class Peers:
    """This process among those of its job; alone if there is one.

    Attributes:
        rank: of this process.
        size: how many there are.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size

    def decide(
        self, topic: str, mine: Mine, decision: Callable[[list[Mine]], Decision]
    ) -> Decision:
        """What process 0 decides, from a value of each process; every process calls this.

        Args:
            topic: what about.
            mine: the value of this process, as JSON takes it.
            decision: called by process 0 with the values by rank. An error it raises is raised by
                every process.

        Raises:
            PeerError: another process failed or ended (C141), or the decision did.
        """
        return decision([mine])

    def meet(self) -> None:
        """Wait for all of them."""
        self.decide("meet", None, lambda _values: None)

    def note_progress(self) -> None:
        """Say that this process advances, whether or not the store of the job answers."""

    def request_stop(self) -> None:
        """Let the others know, within a second or two, that a stop was requested."""

    @property
    def stop_is_requested(self) -> bool:
        """Whether a stop of any process is requested, as far as this one knows."""
        return False

    def why(self, error: BaseException) -> TunesmithError | None:
        """What the failure of a collective operation means; None if it is something else."""
        return None


_ALONE = Peers()
_current: _Joined | None = None
_stores: list[Store] = []
_joins = 0


def current() -> Peers:
    """The processes that this one has joined; itself alone if it has joined none."""
    return _current or _ALONE


@contextmanager
def joined() -> Iterator[Peers]:
    """Join the other processes of the job; an error inside is reported to them. It may be nested.

    Raises:
        PeerError: another process did not come, failed or ended (C141).
        RecipeError: the environment describes no job (C139).
    """
    global _current, _joins  # noqa: PLW0603 - a process has one set of peers
    if _current is not None or num_processes() == 1:
        yield current()
        return
    _joins += 1
    peers = _Joined(_joins)
    _current = peers
    try:
        peers.greet()
        yield peers
    except BaseException as error:
        peers.report(error)
        raise
    finally:
        _current = None
        peers.leave()


class _Joined(Peers):
    """Peers that meet in a store of torch."""

    def __init__(self, number: int) -> None:
        from torch._C._distributed_c10d import PrefixStore

        if not _stores:  # they stay until the process ends: that of process 0 is the server
            _stores.extend((connect(), connect()))
        super().__init__(int(os.environ.get("RANK", "0")), num_processes())
        self._store, self._aside = (PrefixStore(f"tunesmith/{number}", s) for s in _stores)
        self._count = 0
        self._failure: dict[str, Any] | None = None
        self._stops = self._has_left = False
        self._others: list[dict[str, Any]] = []
        self._over = threading.Event()
        self._guard = Guard(
            is_failed=lambda: self._failure is not None,
            end_failed=self._end_now,
            end_silent=self._end_silent,
            every=_BEAT_SECONDS,
            last_seconds=LAST_SECONDS,
            silent_seconds=SILENT_SECONDS,
        )
        self._thread = threading.Thread(target=self._watch, name="tunesmith-peers", daemon=True)
        self._thread.start()

    def greet(self) -> None:
        """Wait until all are there, and see that they are of one job."""
        if self._store.add(f"rank/{self.rank}", 1) > 1:
            raise RecipeError(no_job(_("two processes have rank {rank}").format(rank=self.rank)))
        pid = os.getpid()
        me = {
            "host": socket.gethostname(), "boot": boot_id(), "pid": pid, "started": start_of(pid),
        }  # fmt: skip
        self._others = self.decide("hello", me, list, limit=join_seconds())

    def decide(
        self,
        topic: str,
        mine: Mine,
        decision: Callable[[list[Mine]], Decision],
        *,
        limit: float | None = None,
    ) -> Decision:
        limit = limit or HANG_SECONDS
        self._count += 1
        place = f"{self._count}/{topic}"
        self._put(f"{place}/{self.rank}", [self.size, mine])
        if self.rank == 0:
            values = []
            for rank in range(self.size):
                size, value = self._get(f"{place}/{rank}", rank, limit)
                if size != self.size:
                    text = _("process {rank} has WORLD_SIZE={theirs}, process 0 {ours}")
                    reason = text.format(rank=rank, theirs=size, ours=self.size)
                    raise RecipeError(no_job(reason))
                values.append(value)
            try:
                answer: dict[str, Any] = {"value": decision(values)}
            except TunesmithError as error:
                self._put(place, {"error": error_as_json(error)})
                raise
            self._put(place, answer)
        answer = self._get(place, 0, limit)
        if "error" in answer:
            raise shared_error(answer["error"])
        decided: Decision = answer["value"]
        return decided

    def _put(self, key: str, value: object) -> None:
        try:
            self._store.set(key, json.dumps(value))
        except RuntimeError as error:
            raise self._lost() from error

    def _get(self, key: str, rank: int, limit: float) -> Any:
        """What a process puts there; not waited for in vain.

        Raises:
            PeerError: one failed, or does not come (C141).
        """
        from torch.distributed import DistStoreError

        started = time.monotonic()
        while self._failure is None:
            try:
                self._store.wait([key], timedelta(seconds=_BEAT_SECONDS))
                return json.loads(self._store.get(key))
            except DistStoreError:  # not yet
                if time.monotonic() - started > limit:
                    text = _("it did not come within {seconds:.0f} s")
                    self._fail(not_answering(rank, text.format(seconds=limit)))
            except RuntimeError as error:
                raise self._lost() from error
        raise error_of(self._failure)

    def _lost(self) -> TunesmithError:
        """The error after the store, which process 0 holds, went away."""
        self._thread.join(2 * _BEAT_SECONDS)  # it may have read why
        return error_of(self._failure or ended_silently(0, _("it ended without a message")))

    def request_stop(self) -> None:
        if not self._stops:
            self._stops = True
            with suppress(RuntimeError):
                self._store.set(_STOP, "1")

    @property
    def stop_is_requested(self) -> bool:
        return self._stops

    def why(self, error: BaseException) -> TunesmithError | None:
        from torch.distributed import DistError

        text = str(error)
        marks = ("gloo", "NCCL", "nccl", "by peer", "Timed out waiting", "Broken pipe")
        is_ours = isinstance(error, DistError) or (
            isinstance(error, RuntimeError) and any(mark in text for mark in marks)
        )
        if not is_ours:
            return None
        deadline = time.monotonic() + 5 * _BEAT_SECONDS  # the one that failed may yet say why
        while self._failure is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if self._failure is None:
            reason = _("an exchange between processes failed: {reason}")
            failed = not_answering if "imed out" in text else ended_silently
            self._fail(failed(None, reason.format(reason=text.splitlines()[0][-200:])))
        assert self._failure is not None  # noqa: S101 - `_fail` sees to it
        return error_of(self._failure)

    def report(self, error: BaseException) -> None:
        """Let the others know why this process ends, unless they know of a failure already."""
        self._fail({"rank": self.rank, "host": socket.gethostname(), **error_as_json(error)})
        self._linger()

    def _fail(self, failure: dict[str, Any]) -> None:
        """Record the first failure of the job; it counts here even if the store is silent."""
        known = self._failure
        self._failure = known or failure
        with suppress(RuntimeError):
            first = self._aside.compare_set(_FAILED, "", json.dumps(failure))
            self._failure = known or json.loads(first)

    def _linger(self) -> None:
        """Wait on process 0 until the others have read all they need: the store goes with it."""
        from torch.distributed import DistStoreError

        ended = self._failure and self._failure["rank"]
        deadline = time.monotonic() + _LINGER_SECONDS
        others = set(range(1, self.size)) - {ended}
        while self.rank == 0 and others and time.monotonic() < deadline:
            others = {rank for rank in others if not self._is_gone(rank)}
            try:
                seen = [f"seen/{rank}" for rank in others]
                self._store.wait(seen, timedelta(seconds=_BEAT_SECONDS / 2))
                return
            except DistStoreError:  # not yet
                continue
            except RuntimeError:
                return

    def _is_gone(self, rank: int) -> bool:
        """Whether a process of this machine has ended; of others it is not known."""
        if not self._others:
            return False
        me, facts = self._others[self.rank], self._others[rank]
        is_here = (facts["host"], facts["boot"]) == (me["host"], me["boot"])
        return is_here and not process_runs(facts["pid"], facts["started"])

    def leave(self) -> None:
        """End the watch; in its thread, since a silent store would block this one."""
        if self._failure is None:
            self._linger()
        self._has_left = True
        self._over.set()
        self._thread.join(5 * _BEAT_SECONDS)
        self._guard.leave()

    def note_progress(self) -> None:
        self._guard.note_life()

    # in the threads

    def _watch(self) -> None:
        beats: dict[int, tuple[bytes, float]] = {}
        number, last = 0, time.monotonic()
        while not self._over.wait(_BEAT_SECONDS) and self._failure is None:
            now = time.monotonic()
            if now - last > 10 * _BEAT_SECONDS:  # this process itself was suspended
                beats.clear()
            number, last = number + 1, now
            try:
                self._aside.set(f"beat/{self.rank}", str(number))
                if self._aside.check([_STOP]):
                    self._stops = True
                if self._aside.check([_FAILED]):
                    self._failure = json.loads(self._aside.get(_FAILED))
                    self._aside.set(f"seen/{self.rank}", "seen")
                elif number % (1 + self.size // 32) == 0:
                    self._look(beats, now)
                self._guard.note_life()
            except RuntimeError:
                if not self._has_left:
                    self._failure = self._failure or ended_silently(
                        0, _("it ended without a message")
                    )
        self._over.wait()
        if self._has_left:
            with suppress(RuntimeError):
                self._aside.set(f"seen/{self.rank}", "left")

    def _look(self, beats: dict[int, tuple[bytes, float]], now: float) -> None:
        """Look for a process that ended, or is silent: process 0 for any, the others for it."""
        if not self._others:  # they are awaited yet
            return
        for rank in range(1, self.size) if self.rank == 0 else (0,):
            if self._aside.check([f"seen/{rank}"]):
                continue
            facts = self._others[rank]
            if self._is_gone(rank):
                self._fail(ended_silently(rank, _("it ended without a message"), facts["host"]))
                return
            beat = self._aside.get(f"beat/{rank}") if self._aside.check([f"beat/{rank}"]) else b""
            if rank not in beats or beats[rank][0] != beat:
                beats[rank] = beat, now
            elif now - beats[rank][1] > SILENT_SECONDS:
                text = _("no sign of life for {seconds:.0f} s").format(seconds=SILENT_SECONDS)
                self._fail(not_answering(rank, text, facts["host"]))
                return

    def _end_silent(self) -> None:
        text = _("process 0 or its launcher gave no answer for {seconds:.0f} s")
        self._failure = not_answering(None, text.format(seconds=SILENT_SECONDS))
        self._end_now()

    def _end_now(self) -> None:
        """End a process that waits in vain, or works on for nothing."""
        assert self._failure is not None  # noqa: S101 - the watch goes on until then
        error = error_of(self._failure)
        for problem in error.problems:
            notices.show_now(problem)
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(error.exit_code)
