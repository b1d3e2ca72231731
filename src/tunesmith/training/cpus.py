"""How many CPUs this process may use: its affinity, and the quota of its container.

torch starts a thread for each CPU it sees, and a quota does not hide CPUs: in a container that may
use one CPU of 64, 64 threads would take turns on it. So the number is set before torch is loaded
(`set_environment`), or afterwards (`limit_threads`). What the user has set is left alone.

Only Linux has these files; elsewhere there is no quota.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "ENVIRONMENT",
    "Quota",
    "cpu_quota",
    "is_chosen_by_user",
    "limit_threads",
    "set_environment",
    "usable_cpus",
]

ENVIRONMENT = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables by which users choose the number of threads."""

_ROOT = Path("/")
_set_here: list[int] = []
"""The number of threads that this module has set, if it has."""


class Quota(NamedTuple):
    """The processor time that a control group may use.

    Attributes:
        cpus: seconds of processor time per second.
        folder: of the group; its `cpu.stat` says how long it was stopped.
    """

    cpus: float
    folder: Path

    @property
    def threads(self) -> int:
        """How many threads may run all the time; one at least."""
        return max(1, int(self.cpus + 1e-6))

    def stopped_seconds(self) -> float:
        """Return for how long its CPUs were stopped so far, added up; 0 if that is unknown."""
        for line in _lines(self.folder / "cpu.stat"):
            name, _space, value = line.partition(" ")
            unit = {"throttled_usec": 1e-6, "throttled_time": 1e-9}.get(name)
            if unit is not None and value.isdecimal():
                return int(value) * unit
        return 0.0


def usable_cpus() -> int:
    """Return how many CPUs this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def cpu_quota(root: Path = _ROOT) -> Quota | None:
    """Return the smallest quota of this process's control group and of those around it.

    Args:
        root: below which `proc` and the mounted groups are.
    """
    quotas = [
        quota
        for folder, version in _groups(root)
        if (quota := _quota_of(folder, version)) is not None
    ]
    return min(quotas, key=lambda quota: quota.cpus, default=None)


def set_environment(
    environment: MutableMapping[str, str] = os.environ, *, root: Path = _ROOT
) -> None:
    """Let torch start as many threads as the quota allows, if it is not loaded yet.

    Args:
        environment: of this process; unchanged where it says how many threads to use.
        root: as of `cpu_quota`.
    """
    if "torch" in sys.modules or _is_chosen(environment):
        return
    quota = cpu_quota(root)
    if quota is not None and quota.threads < usable_cpus():
        environment["OMP_NUM_THREADS"] = str(quota.threads)
        _set_here[:] = [quota.threads]


def limit_threads(*, root: Path = _ROOT) -> None:
    """Lower the threads of a torch that was loaded before this package to what the quota allows.

    A number other than torch's own choice, one for each CPU or for each core, is the user's.
    """
    import psutil
    import torch

    if _set_here or _is_chosen(os.environ):
        return
    quota, threads = cpu_quota(root), torch.get_num_threads()
    own_choices = {usable_cpus(), psutil.cpu_count(logical=False)}
    if quota is not None and quota.threads < threads and threads in own_choices:
        torch.set_num_threads(quota.threads)
        _set_here[:] = [quota.threads]


def is_chosen_by_user() -> bool:
    """Whether the environment says how many threads to use, and this module did not write it."""
    return _is_chosen(os.environ) and not _set_here


def _is_chosen(environment: Mapping[str, str]) -> bool:
    return any(environment.get(name) for name in ENVIRONMENT)


def _groups(root: Path) -> Iterator[tuple[Path, int]]:
    """The folders of this process's group and of those around it, each with its version."""
    mounts = list(_mounts(root))
    for line in _lines(root / "proc/self/cgroup"):
        number, _colon, rest = line.partition(":")
        controllers, _colon, path = rest.partition(":")
        version = 2 if number == "0" and not controllers else 1
        if version == 1 and "cpu" not in controllers.split(","):
            continue
        for mounted, point, of_version in mounts:
            if of_version == version:
                yield from ((folder, version) for folder in _upwards(point, mounted, path))


def _mounts(root: Path) -> Iterator[tuple[str, Path, int]]:
    """Mounted hierarchies that can limit processor time: their root, where, and their version."""
    for line in _lines(root / "proc/self/mountinfo"):
        before, _dash, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        mounted, point = map(_unescaped, fields[3:5])
        if kind[0] == "cgroup2":
            yield mounted, root / point.lstrip("/"), 2
        elif kind[0] == "cgroup" and "cpu" in kind[2].split(","):
            yield mounted, root / point.lstrip("/"), 1


def _unescaped(text: str) -> str:
    """A path of mountinfo, where spaces are written as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def _upwards(point: Path, mounted: str, path: str) -> Iterator[Path]:
    """From the folder of a group to where its hierarchy is mounted."""
    inside = path.removeprefix(mounted.rstrip("/"))
    if inside == path and mounted != "/":  # a container sees its own group as the root
        inside = "/"
    parts = [part for part in inside.split("/") if part not in ("", ".", "..")]
    for count in range(len(parts), -1, -1):
        yield point.joinpath(*parts[:count])


def _quota_of(folder: Path, version: int) -> Quota | None:
    if version == 2:
        numbers = " ".join(_lines(folder / "cpu.max")).split()
    else:
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        numbers = [line for name in names for line in _lines(folder / name)[:1]]
    if len(numbers) != 2 or not all(number.strip().isdecimal() for number in numbers):
        return None  # "max" and -1 are no limit
    quota, period = map(int, numbers)
    return Quota(quota / period, folder) if quota and period else None


def _lines(path: Path) -> list[str]:
    """The lines of a small file; none if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
