"""Writing events.jsonl while a run goes."""

from __future__ import annotations

import errno
import json
import math
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from tunesmith.errors import Place, Problem, Severity
from tunesmith.i18n import gettext as _
from tunesmith.metrics.scores import Scores
from tunesmith.runs.event_history import is_event
from tunesmith.text import escape_controls
from tunesmith.training.events import Evaluated, Event, Saved, StepDone, Warned

__all__ = ["EventLog", "as_line"]


class EventLog:
    """Writes events.jsonl, every `log_every` steps one line for a step, each other event at once.

    A full disk never stops training: the first failure becomes `problem`, and each later event
    tries again.
    """

    def __init__(self, path: Path, log_every: int, facts: Mapping[str, float]) -> None:
        """Open for appending.

        Args:
            path: of the file.
            log_every: steps between two lines.
            facts: the window so far, as `window` of the checkpoint resumed from gave it.
        """
        self._every = log_every
        self._loss = float(facts.get("loss", 0.0))
        self._steps = int(facts.get("steps", 0))
        self._norm = float(facts.get("grad_norm", 0.0))
        self._path = path
        self._file: IO[str] | None = None
        self._has_failed = False
        self.problem: Problem | None = None
        self._open()

    def _open(self) -> None:
        try:
            if self._path.is_fifo():  # to open it would wait for a reader
                raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))
            _repair_last_line(self._path)
            self._file = self._path.open("a", encoding="utf-8", newline="\n")
        except OSError as error:
            self._failed(error)

    @property
    def window(self) -> dict[str, float]:
        """The steps since the last line, for a checkpoint: a resumed run writes the same lines."""
        return {"loss": self._loss, "steps": self._steps, "grad_norm": self._norm}

    def take(self, event: Event, *, epoch: float, is_last: bool) -> dict[str, object] | None:
        """Write an event if it is due; returns the line as it was written."""
        if isinstance(event, StepDone):
            self._loss += event.loss
            self._norm = max(self._norm, event.grad_norm)
            self._steps += 1
            if event.step % self._every and not is_last:
                return None
            line = as_line(event) | {
                "loss": _number(self._loss / self._steps),
                "grad_norm": _number(self._norm),
                "epoch": round(epoch, 4),
            }
            self._loss, self._steps, self._norm = 0.0, 0, 0.0
        else:
            line = as_line(event)
        line["time"] = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        self._write(line)
        return line

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None

    def _write(self, line: Mapping[str, object]) -> None:
        if self._file is None:
            self._open()
        if self._file is None:
            return
        try:
            text = json.dumps(line, ensure_ascii=False, allow_nan=False)
            self._file.write(escape_controls(text) + "\n")
            self._file.flush()
        except OSError as error:
            self._failed(error)
            self.close()

    def _failed(self, error: OSError) -> None:
        if not self._has_failed:
            self.problem = Problem(
                "C110",
                _("events are not written: {reason}").format(reason=error.strerror or error),
                Place(str(self._path)),
                fix=_("Training goes on; each event tries again."),
                severity=Severity.WARNING,
            )
        self._has_failed = True


def _repair_last_line(path: Path) -> None:
    """Take away a line that a kill tore, so that the next one starts on its own."""
    if not path.is_file():
        return
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        torn = b""
        while size - len(torn) > 0 and b"\n" not in torn:
            start = max(0, size - len(torn) - 65_536)
            file.seek(start)
            torn = file.read(size - len(torn) - start) + torn
        torn = torn.rpartition(b"\n")[2]
        if not torn:
            return
        if is_event(torn):  # only its end is missing
            file.seek(size)
            file.write(b"\n")
        else:
            file.truncate(size - len(torn))


def as_line(event: Event) -> dict[str, object]:
    """An event as one JSON object. A number that is not finite becomes null."""
    if isinstance(event, StepDone):
        return {
            "event": "step",
            "step": event.step,
            "loss": _number(event.loss),
            "learning_rate": event.learning_rate,
            "grad_norm": _number(event.grad_norm),
        }
    if isinstance(event, Evaluated):
        return {
            "event": "evaluated",
            "step": event.step,
            "split": event.split,
            "scores": dict(event.scores.values),
            "is_best": event.is_best,
        }
    if isinstance(event, Saved):
        return {
            "event": "saved",
            "step": event.step,
            "checkpoint": event.folder,
            "seconds": round(event.seconds, 3),
        }
    if isinstance(event, Warned):
        return {
            "event": "warned",
            "step": event.step,
            **event.problem.as_json(),
            "rows": list(event.rows),
        }
    return {
        "event": "finished",
        "step": event.step,
        "reason": event.reason,
        "best_step": event.best_step,
        "scores": _values(event.scores),
        "test_scores": _values(event.test_scores),
        "train_seconds": round(event.train_seconds, 3),
        "samples_per_second": round(event.samples_per_second, 3),
    }


def _values(scores: Scores | None) -> dict[str, float | None] | None:
    return None if scores is None else dict(scores.values)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
