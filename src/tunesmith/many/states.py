"""How a job ended: `job.json` in its run folder, from which the index can be made again."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from tunesmith.many.jobs_file import JobLine
from tunesmith.runs.folder import RunFolder
from tunesmith.storage import atomic

__all__ = ["ENDED", "Name", "State", "read_state", "state_of", "write_state"]

Name = Literal["pending", "running", "done", "stopped", "failed"]
ENDED = ("done", "stopped", "failed")
_MOST_BYTES = 4 << 20


@dataclass(frozen=True)
class State:
    """The state of a job, as the index and `job.json` hold it.

    Attributes:
        state: pending, running, done, stopped or failed.
        out: the run folder.
        line: of the file of jobs.
        digest: of the job's recipe; a line that was changed since is another job.
        exit_code: as `tunesmith train` would end; None while it has not ended.
        code: of the error it ended with.
        message: of that error.
        problems: all errors, as JSON.
        scores: on validation, of the finished model.
        best: the name of the score that selects.
        seconds: how long the last attempt took.
        time: when it began to be so.
    """

    state: Name
    out: str
    line: int
    digest: str
    exit_code: int | None = None
    code: str | None = None
    message: str | None = None
    problems: tuple[Mapping[str, Any], ...] = ()
    scores: Mapping[str, float | None] | None = None
    best: str | None = None
    seconds: float | None = None
    time: str = field(default_factory=lambda: time.strftime("%Y-%m-%dT%H:%M:%S%z"))

    @classmethod
    def of(cls, job: JobLine, state: Name, **facts: Any) -> State:
        """The state of a job from now on."""
        return cls(state, str(job.out), job.line, job.digest, **facts)

    def as_json(self) -> dict[str, object]:
        """Return it as a JSON object without what is not known."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in values.items() if value not in (None, ())}

    @classmethod
    def from_json(cls, values: object) -> State | None:
        """Read what `as_json` wrote; None if it is something else."""
        if not isinstance(values, dict) or values.get("state") not in get_args(Name):
            return None
        known = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        kinds = {"out": str, "line": int, "digest": str}
        if not all(isinstance(known.get(name), kind) for name, kind in kinds.items()):
            return None
        known["problems"] = tuple(known.get("problems") or ())
        return cls(**known)


def _path(job: JobLine) -> Path:
    return job.out / "job.json"


def write_state(job: JobLine, state: State) -> None:
    """Write how a job ended, if it has a run folder.

    Raises:
        ResourceError: the disk is full or cannot be written (C107).
    """
    if job.out.is_dir():
        atomic.write_file(_path(job), json.dumps(state.as_json(), ensure_ascii=False) + "\n")


def read_state(job: JobLine) -> State | None:
    """Return how a job ended the last time; None if nothing readable says so."""
    try:
        if _path(job).stat().st_size > _MOST_BYTES:
            return None
        return State.from_json(json.loads(_path(job).read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        return None


def state_of(job: JobLine) -> State:
    """The state of a job that no process works on, from its run folder.

    Done is what the same line has finished; whether another one fits what is there is for the
    training to find out.
    """
    written = read_state(job)
    if written is None or written.digest != job.digest:
        return State.of(job, "pending")
    is_whole = (RunFolder(job.out).model / atomic.MANIFEST).is_file()
    if written.state == "done" and not is_whole:
        return State.of(job, "pending")
    return replace(written, line=job.line, out=str(job.out))
