"""The index: a line of JSON for each change of a job's state; the last one of a folder counts.

Lines are appended in one write each, so that a kill cuts the last one at most. Such a line, and
others that make no sense, are left out by readers. What the index lacks is in the run folders.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from tunesmith.many.states import State
from tunesmith.storage.disk import disk_errors

__all__ = ["Index"]


class Index:
    """The states of all jobs of a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, State]:
        """Return the last state of each run folder."""
        states: dict[str, State] = {}
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return {}
        for line in lines:
            try:
                state = State.from_json(json.loads(line))
            except (ValueError, RecursionError):
                continue
            if state is not None:
                states.pop(state.out, None)
                states[state.out] = state
        return states

    def append(self, states: Iterable[State]) -> None:
        """Write states, durably.

        Raises:
            ResourceError: the disk is full or cannot be written (C107).
        """
        lines = [json.dumps(state.as_json(), ensure_ascii=False) for state in states]
        if not lines:
            return
        with disk_errors(self.path), self.path.open("ab", buffering=0) as file:
            text = "\n".join(lines) + "\n"
            if self._is_torn():
                text = "\n" + text
            file.write(text.encode())
            os.fsync(file.fileno())

    def _is_torn(self) -> bool:
        """Whether a kill has cut the last line."""
        with self.path.open("rb") as file:
            if not file.seek(0, os.SEEK_END):
                return False
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
