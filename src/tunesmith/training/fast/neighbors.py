"""What other processes take of the CPUs, and what that means for how our threads wait.

`Reading` is a look at the counters of the system, `Window` what happened between two of them, and
`Policy` decides; both are functions of numbers, so that recorded ones can be decided upon.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tunesmith.training.cpus import Quota

__all__ = ["Policy", "Reading", "Window", "read"]

_STAT = Path("/proc/stat")
_USER, _NICE, _SYSTEM, _IRQ, _SOFT_IRQ, _STOLEN = 0, 1, 2, 5, 6, 7
"""Columns of a CPU in /proc/stat; those of guests are part of `_USER`."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Counters at one moment, in seconds.

    Attributes:
        at: the moment, on the monotonic clock.
        used: of the CPUs that this process may run on, by anyone.
        niced: the part of it by processes of low priority, if this one is of normal priority.
        own: by this process and its children.
        stopped: for which the quota of the container stopped its CPUs.
    """

    at: float
    used: float
    niced: float
    own: float
    stopped: float = 0.0


@dataclass(frozen=True, slots=True)
class Window:
    """What happened between two readings.

    Attributes:
        seconds: between them.
        own: CPUs that this process used.
        others: CPUs that other processes used.
        niced: the part of it by processes of low priority.
        stopped: the fraction of the time for which the quota stopped a thread.
    """

    seconds: float
    own: float
    others: float
    niced: float = 0.0
    stopped: float = 0.0

    @classmethod
    def between(cls, before: Reading, now: Reading, *, threads: int) -> Window:
        """The window between two readings, of a process with so many threads."""
        seconds = max(now.at - before.at, 1e-3)
        own = max(0.0, now.own - before.own) / seconds
        others = max(0.0, (now.used - before.used) / seconds - own)
        niced = min(others, max(0.0, now.niced - before.niced) / seconds)
        stopped = max(0.0, now.stopped - before.stopped) / (seconds * threads)
        return cls(seconds, own, others, niced, stopped)


@dataclass
class Policy:
    """Decides whether threads wait passively, from windows as they come.

    Spinning is faster by a third on a quiet machine and slower by two thirds next to a process that
    wants a CPU all the time; they are equal where it wants one half of the time. What decides is
    the mean over the last seconds, and two bounds, so that the policy does not go to and fro.

    Attributes:
        threads: of this process.
        cpus: that they may run on.
        passive: the current decision.
        pressure: CPUs that our threads lack, a mean over the last seconds.
        others: CPUs that other processes use, a mean over the last seconds.
        stopped: the fraction of the time for which the quota stops a thread, such a mean, too.
    """

    threads: int
    cpus: int
    passive: bool = False
    pressure: float = 0.0
    others: float = 0.0
    stopped: float = 0.0
    _patience: float = field(default=0.0, repr=False)
    _since: float = field(default=math.inf, repr=False)

    ENTER = 0.4
    LEAVE = 0.15
    IDLE = 0.05
    MEMORY_SECONDS = 2.0
    """After as long, a window counts for a third of what it did."""
    STABLE_SECONDS = 20.0
    LONGEST_PATIENCE = 120.0

    def take(self, window: Window) -> bool:
        """Consider one more window; return whether threads should wait passively."""
        if window.own < self.IDLE:  # then this process waits for something else, not for a CPU
            return self.passive
        # waiting passively leaves processes of low priority what spinning would not
        others = window.others - (window.niced if self.passive else 0.0)
        lacking = min(self.threads, self.cpus) - (self.cpus - others)
        new = 1 - math.exp(-window.seconds / self.MEMORY_SECONDS)
        self.pressure += new * (max(0.0, lacking, window.stopped) - self.pressure)
        self.others += new * (window.others - self.others)
        self.stopped += new * (window.stopped - self.stopped)
        self._since += window.seconds
        if not self.passive and self.pressure > self.ENTER:
            # back so soon: spinning did not go well, so it is tried again later than last time
            soon = self._since < self.STABLE_SECONDS
            self._patience = min(self.LONGEST_PATIENCE, 4 + 2 * self._patience) if soon else 0.0
            self.passive, self._since = True, 0.0
        elif self.passive and self.pressure < self.LEAVE and self._since >= self._patience:
            self.passive, self._since = False, 0.0
        return self.passive


def read(quota: Quota | None, *, stat: Path = _STAT) -> Reading | None:
    """Read the counters; None where the system has no such file.

    Args:
        quota: of the container.
        stat: the file with the times of each CPU.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    if sys.platform != "linux" or affinity is None:
        return None
    cpus = affinity(0)
    try:
        with stat.open(encoding="utf-8") as file:  # its other lines are long on large machines
            used, niced = _times(file, cpus)
    except (OSError, ValueError):
        return None
    if os.getpriority(os.PRIO_PROCESS, 0) > 0:  # we are of low priority as well
        niced = 0.0
    stopped = 0.0 if quota is None else quota.stopped_seconds()
    return Reading(time.monotonic(), used, niced, _own_seconds(), stopped)


def _times(lines: Iterable[str], cpus: Iterable[int]) -> tuple[float, float]:
    """Seconds that some CPUs were used, and those of them by processes of low priority."""
    names, used, niced, any_read = {f"cpu{number}" for number in cpus}, 0, 0, False
    for line in lines:
        if not line.startswith("cpu"):
            break
        name, *numbers = line.split()
        if name in names:
            ticks = [*map(int, numbers), *[0] * _STOLEN]  # old systems have fewer columns
            used += sum(ticks[i] for i in (_USER, _NICE, _SYSTEM, _IRQ, _SOFT_IRQ, _STOLEN))
            niced += ticks[_NICE]
            any_read = True
    if not any_read:
        raise ValueError("no times of these CPUs")
    per_second = os.sysconf("SC_CLK_TCK")
    return used / per_second, niced / per_second


def _own_seconds() -> float:
    """Processor time of this process and of its children, those that ended included."""
    times = os.times()
    own = time.process_time() + times.children_user + times.children_system
    if children := multiprocessing.active_children():
        import psutil

        for child in children:
            try:
                spent = psutil.Process(child.pid).cpu_times()
            except psutil.Error:  # it has just ended
                continue
            own += spent.user + spent.system
    return own
