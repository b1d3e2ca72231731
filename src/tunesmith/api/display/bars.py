"""Progress as a bar that is redrawn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

__all__ = ["Bar", "rich_bar"]


class Bar(Protocol):
    """A bar that shows how far a training has come."""

    def update(self, step: int, *, epoch: str, rate: str, words: str) -> None:
        """Draw it anew."""
        ...

    def print(self, line: str) -> None:
        """A line that stays, above the bar."""
        ...


class _RichBar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def update(self, step: int, *, epoch: str, rate: str, words: str) -> None:
        self._progress.update(self._task, completed=step, description=epoch, rate=rate, words=words)

    def print(self, line: str) -> None:
        self._progress.console.print(line)


@contextmanager
def rich_bar(console: Console, total: int) -> Iterator[Bar]:
    """A bar on a terminal; it is wiped away at the end."""
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.completed}/{task.total}", markup=False),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeRemainingColumn(),
        TextColumn("{task.fields[words]}", markup=False),
        console=console,
        transient=True,
    ) as progress:
        yield _RichBar(progress, progress.add_task("", total=total, rate="", words=""))
