"""How threads wait for each other: spinning while the machine is ours, passively while it is not.

OpenMP threads of libgomp spin for milliseconds before they sleep. That is the fastest way to wait
while each thread has a CPU; as soon as another process wants one, a thread that spins keeps the
one it waits for from running, and a step takes four times as long. How threads wait changes no
result; how many there are would.

libgomp reads its settings once, but spins only shortly while it manages more threads than there
are CPUs. A second team of threads, kept by a sleeping thread, is that many; when its keeper ends,
so does the team, and threads spin again. `watched` looks at what other processes take twice a
second (`neighbors`) and keeps such a team while they take much.

Where torch does not use libgomp, or the user has said how threads wait, nothing is done.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch

from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext
from tunesmith.training.cpus import cpu_quota, limit_threads, usable_cpus
from tunesmith.training.fast.neighbors import Policy, Reading, Window, read
from tunesmith.training.fast.openmp import libgomp

__all__ = ["Watch", "describe", "news", "pause", "resume", "watched"]

_SET_BY_USERS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
_LOOK_EVERY_SECONDS = 0.5
_SHORTEST_WINDOW = 0.3
"""Counters of the system have steps of a hundredth of a second."""
_LONGEST_WINDOW = 60.0
"""What was before, between two trainings, says little about now."""
_LARGEST_TEAM = 64


@contextmanager
def watched(enabled: bool) -> Iterator[None]:
    """Let threads wait as the load of the machine suggests, while entered.

    It may be entered again, inside and by other threads; the last to leave ends the watch.
    """
    if not enabled:
        yield
        return
    limit_threads()
    _WATCH.enter()
    try:
        yield
    finally:
        _WATCH.leave()


def pause() -> None:
    """Do not watch until `resume`: others are meant to compute now."""
    _WATCH.pause()


def resume() -> None:
    """Watch again, with what is known from before `pause`."""
    _WATCH.resume()


def describe() -> str:
    """Return how many threads compute, how they wait, and why."""
    return _WATCH.describe()


def news() -> str:
    """Return what `describe` does if it has changed since the last call, or the watch began.

    Nothing where threads are not watched. It costs next to nothing if there is nothing new.
    """
    return _WATCH.news()


class Watch:
    """The watch of a process, with a count of users."""

    def __init__(self) -> None:
        """Take the first reading, so that the second one can decide."""
        self._lock = threading.RLock()
        self._quota = cpu_quota()
        self._last: Reading | None = read(self._quota)
        self._policy = Policy(1, 1)
        self._entered = 0
        self._process = os.getpid()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._team: _Team | None = None
        self._said: bool | None = None
        self._paused = False

    def enter(self) -> None:
        """Begin to watch, unless someone has."""
        with self._lock:
            if self._process != os.getpid():  # threads do not come along into a forked process
                self._process, self._entered, self._thread, self._team = os.getpid(), 0, None, None
            self._entered += 1
            if self._entered > 1 or _library() is None:
                return
            self._said = None
            self._look(self._policy_now())
            self._over = threading.Event()
            self._thread = threading.Thread(
                target=self._run, args=(self._over,), name="tunesmith-watch", daemon=True
            )
            try:
                self._thread.start()
            except RuntimeError:  # the system refuses more threads: all stays as it is
                self._thread = None

    def leave(self) -> None:
        """End the watch after the last user."""
        with self._lock:
            self._entered -= 1
            if self._entered:
                return
            thread, self._thread = self._thread, None
            self._over.set()
        if thread is not None:
            thread.join()
        with self._lock:
            if not self._entered:
                self._wait_passively(False)

    def pause(self) -> None:
        """Ignore the windows until `resume`."""
        with self._lock:
            if self._thread is not None:
                self._look(self._policy, switch=False)
            self._paused = True

    def resume(self) -> None:
        """Begin a new window."""
        with self._lock:
            self._paused, self._last = False, read(self._quota)

    def describe(self) -> str:
        """Say how many threads there are, how they wait, and why."""
        with self._lock:
            policy = self._policy_now()
            text = ngettext(
                "{threads} thread, {cpus} CPUs", "{threads} threads, {cpus} CPUs", policy.threads
            ).format(threads=policy.threads, cpus=policy.cpus)
            if self._quota is not None:
                text += _(", limited to {quota:g} by a quota").format(quota=self._quota.cpus)
            if policy.threads == 1:
                reason = ""
            elif name := _setting_of_user():
                reason = _("they wait as {name} says").format(name=name)
            elif _library() is None:
                reason = ""
            else:
                if self._thread is None:
                    self._look(policy, switch=False)
                reason = _reason(policy)
            return _("{threads}; {reason}").format(threads=text, reason=reason) if reason else text

    def news(self) -> str:
        """Say it if it is new."""
        passive = self._policy.passive
        if self._thread is None or passive == self._said:
            return ""
        self._said = passive
        return self.describe()

    def _run(self, over: threading.Event) -> None:
        while not over.wait(_LOOK_EVERY_SECONDS):
            with self._lock:
                if not over.is_set() and not self._paused:
                    self._look(self._policy)

    def _policy_now(self) -> Policy:
        """The policy for as many threads and CPUs as there are; a new one if they have changed.

        Not to be called by the thread that watches: it may have another number of threads.
        """
        threads, cpus = torch.get_num_threads(), usable_cpus()
        if (self._policy.threads, self._policy.cpus) != (threads, cpus):
            self._policy = Policy(threads, cpus)
        return self._policy

    def _look(self, policy: Policy, *, switch: bool = True) -> None:
        """Read the counters, decide, and let threads wait that way."""
        now, before = read(self._quota), self._last
        if now is None:
            return
        if before is None or now.at - before.at > _LONGEST_WINDOW:
            self._last = now
        elif now.at - before.at >= _SHORTEST_WINDOW:
            self._last = now
            policy.take(Window.between(before, now, threads=policy.threads))
        if switch:
            self._wait_passively(policy.passive)

    def _wait_passively(self, passive: bool) -> None:
        if not passive:
            if self._team is not None:
                self._team.end()
                self._team = None
        elif self._team is None and (library := _library()) is not None:
            size = self._policy.cpus - self._policy.threads + 2
            self._team = _Team.start(library, size)


def _reason(policy: Policy) -> str:
    """How threads wait, and why."""
    if not policy.passive:
        text = _("they spin while they wait: other processes use {others:.1f} CPUs")
    elif policy.stopped > policy.others:
        text = _("they wait passively: the quota stops them for {stopped:.0%} of the time")
    else:
        text = _("they wait passively: other processes use {others:.1f} CPUs")
    return text.format(others=policy.others, stopped=policy.stopped)


class _Team:
    """A team of threads that sleep: libgomp then manages more threads than there are CPUs."""

    def __init__(self, library: ctypes.CDLL, size: int) -> None:
        self._library, self._size = library, size
        self._ready, self._over = threading.Event(), threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="tunesmith-team", daemon=True)

    @classmethod
    def start(cls, library: ctypes.CDLL, size: int) -> _Team | None:
        """Start a team; None if it would be too large, or the system refuses more threads."""
        size = max(2, size)
        if size > _LARGEST_TEAM or not _may_start(size):
            return None
        team = cls(library, size)
        with suppress(RuntimeError):
            team._keeper.start()
            team._ready.wait()
            return team
        return None

    def end(self) -> None:
        """End the keeper, and with it the team."""
        self._over.set()
        self._keeper.join()

    def _keep(self) -> None:
        # all that the team does is to call a function that does nothing
        nothing = ctypes.cast(self._library.omp_get_thread_num, ctypes.c_void_p)
        self._library.GOMP_parallel(nothing, None, ctypes.c_uint(self._size), ctypes.c_uint(0))
        self._ready.set()
        self._over.wait()


def _may_start(count: int) -> bool:
    """Whether the system allows so many more threads; libgomp ends the process if it does not."""
    over = threading.Event()
    threads = [threading.Thread(target=over.wait, daemon=True) for _number in range(count)]
    started = []
    try:
        for thread in threads:
            thread.start()
            started.append(thread)
    except RuntimeError:
        return False
    finally:
        over.set()
        for thread in started:
            thread.join()
    return True


def _setting_of_user() -> str:
    return next((name for name in _SET_BY_USERS if os.environ.get(name)), "")


def _library() -> ctypes.CDLL | None:
    """The libgomp of torch, if how its threads wait is ours to choose."""
    return None if torch.get_num_threads() == 1 or _setting_of_user() else libgomp()


_WATCH = Watch()
