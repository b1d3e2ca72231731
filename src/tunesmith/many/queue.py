"""Which job comes next.

A job is tried in the order of the lines. One that was stopped though this command was not, such as
by a signal to its process alone, is tried again at the end, a few times. One whose
folder another command holds waits for that. What failed is not tried again.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from tunesmith.many.jobs_file import JobLine

__all__ = ["MOST_ATTEMPTS", "Queue"]

MOST_ATTEMPTS = 3
_WAIT_SECONDS = 5.0


class Queue:
    """The jobs that have not ended."""

    def __init__(self, jobs: Iterable[JobLine]) -> None:
        self._ready = deque(jobs)
        self._held: list[tuple[float, JobLine]] = []
        self._attempts: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._ready) + len(self._held)

    def next(self, now: float) -> JobLine | None:
        """Return the job to start, or None if none may be started yet."""
        if not self._ready:
            self._ready.extend(job for due, job in self._held if due <= now)
            self._held = [(due, job) for due, job in self._held if due > now]
        return self._ready.popleft() if self._ready else None

    def hold(self, job: JobLine, now: float) -> None:
        """Try a job later, whose folder another command holds."""
        self._held.append((now + _WAIT_SECONDS, job))

    def stopped(self, job: JobLine) -> bool:
        """Try a job again that was stopped; return whether it is to be."""
        self._attempts[job.line] += 1
        if self._attempts[job.line] >= MOST_ATTEMPTS:
            return False
        self._ready.append(job)
        return True

    def clear(self) -> None:
        """Start no more jobs."""
        self._ready.clear()
        self._held.clear()
