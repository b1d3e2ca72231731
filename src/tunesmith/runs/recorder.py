"""The recorder: what is kept of a run while it goes. Log, trackers, clock, checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tunesmith.errors import IntegrityError, Problem, ResourceError, Severity
from tunesmith.i18n import gettext as _
from tunesmith.jobs.orphans import slow_save
from tunesmith.runs.event_log import EventLog
from tunesmith.runs.remote_folder import RemoteFolder
from tunesmith.runs.session import Session
from tunesmith.runs.trackers import Trackers
from tunesmith.training import checkpoint
from tunesmith.training.device import limit_waits
from tunesmith.training.events import Evaluated, Event, Finished, Saved, StepDone, Warned
from tunesmith.training.memory import OneRowTooLarge
from tunesmith.training.peers import current
from tunesmith.training.plan import in_steps, reaches_multiple

__all__ = ["Recorder"]

_MEASURED_STEPS = 5
"""After so many the slowest says how long processes wait for each other."""


class Recorder:
    """Log, trackers, clock and checkpoints of one session.

    Attributes:
        train_seconds: time spent in steps, over all sessions of the run.
        examples: how many they saw.
        saved: the newest checkpoint.
    """

    def __init__(
        self,
        session: Session,
        on_line: Callable[[Mapping[str, object]], None] | None,
        remote: RemoteFolder | None = None,
    ) -> None:
        """Open log and trackers.

        Args:
            session: what is recorded.
            on_line: called with each line of events.jsonl.
            remote: where checkpoints are sent; None for nowhere.
        """
        self._session, self._remote = session, remote
        self._on_line = on_line
        settings = session.job.recipe.train
        self.train_seconds = float(session.checkpoint_facts.get("train_seconds", 0.0))
        self.examples = int(session.checkpoint_facts.get("examples", 0))
        self.saved = session.resumed_from
        self._save_every = settings.save_every
        self._keep = settings.keep_checkpoints
        self._last_save = time.monotonic()
        self._skipped: list[str] = []
        self._overdue = False
        self._is_slow = False
        self._steps, self._slowest = 0, 0.0
        self._log = (
            EventLog(
                session.run.log, settings.log_every, session.checkpoint_facts.get("window", {})
            )
            if session.accelerator.is_main_process
            else None
        )
        self._trackers = Trackers(
            session.job.recipe.trackers,
            session.accelerator,
            run=session.run.name,
            folder=session.run.path / "trackers",
            settings=_flat(session.job.recipe.model_dump(mode="json")),
        )

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._log is not None:
            self._log.close()
        self._trackers.close()  # what fails here would hide why it came to this

    def timed(self, stream: Iterator[Event]) -> Event | None:
        """The next event; steps are added to the clock."""
        started = time.perf_counter()
        try:
            event = next(stream, None)
        except IntegrityError as error:  # diverged: name the rows of the skipped steps
            (problem,) = error.problems
            raise IntegrityError(replace(problem, evidence=tuple(self._skipped[-3:]))) from error
        except OneRowTooLarge as error:
            raise self._session.job.placed(error, "train") from None
        if isinstance(event, StepDone):
            seconds = time.perf_counter() - started
            self.train_seconds += seconds
            self._limit_waits(seconds)
            self.examples += event.examples
        if isinstance(event, Warned) and event.rows:
            event = self._with_rows(event)
        return event

    def _limit_waits(self, seconds: float) -> None:
        """Let the processes wait for each other as long as the steps so far suggest."""
        current().note_progress()
        self._steps += 1
        if self._session.accelerator.num_processes == 1 or self._steps < _MEASURED_STEPS:
            self._slowest = max(self._slowest, seconds)
        elif self._steps == _MEASURED_STEPS or seconds > 1.5 * self._slowest:
            self._slowest = max(self._slowest, seconds)
            limit_waits(self._slowest)

    def _with_rows(self, event: Warned) -> Warned:
        """Replace the examples that the loop names by rows of files."""
        job = self._session.job
        examples = list(event.rows)
        if job.plan.num_processes > 1:  # of which these are those of this one
            examples = job.plan.examples_at(event.step - 1).tolist()
        rows = job.examples["train"].rows_of(np.array(examples, dtype=np.int64)).tolist()
        places = [str(place) for place in job.places_of("train", rows)]
        shown = ", ".join(places[:20]) + (" …" if len(places) > 20 else "")
        evidence = _("step {step}, rows {places}").format(step=event.step, places=shown)
        self._skipped.append(evidence)
        return Warned(event.step, replace(event.problem, evidence=(evidence,)), tuple(rows))

    def record(self, events: Iterable[Event]) -> Iterator[Event]:
        """Log and track events, and yield them."""
        for event in events:
            if isinstance(event, Finished):  # what fails at the end is reported before it
                yield from self._warned(event.step, self._trackers.close())
            line = self._noted(event)
            if self._remote is not None:
                yield from self._warned(event.step, self._remote.mirror.take_warnings())
                if isinstance(event, Saved):
                    self._remote.send_checkpoint(event.step, keep=self._keep)
            failed = self._trackers.take(event, line)
            yield event
            yield from self._warned(event.step, failed)
        if self._log is not None and self._log.problem is not None:
            problem, self._log.problem = self._log.problem, None
            yield Warned(self._session.progress.step, problem)

    def _noted(self, event: Event) -> dict[str, object] | None:
        """Log an event; the line, if one was due."""
        if self._log is None:
            return None
        plan = self._session.job.plan
        line = self._log.take(
            event, epoch=plan.epoch_at(event.step), is_last=event.step == plan.total_steps
        )
        if line is not None and self._on_line is not None:
            self._on_line(line)
        return line

    def _warned(self, step: int, problems: Iterable[Problem]) -> Iterator[Warned]:
        """Problems as events, logged."""
        for problem in problems:
            warning = Warned(step, problem)
            self._noted(warning)
            yield warning

    def save_is_due(self, event: Event) -> bool:
        """Whether to save after an event: a new best model always, else as the recipe says.

        Of steps that finish several at once only after the last, whose weights are there.
        """
        if isinstance(event, Evaluated):
            return event.is_best
        every = self._save_every
        if every is None or not isinstance(event, StepDone):
            return False
        if every.seconds is not None:
            self._overdue |= time.monotonic() - self._last_save >= every.seconds
        else:
            steps = in_steps(every, self._session.job.plan.steps_per_epoch)
            self._overdue |= reaches_multiple(event.step, steps)
        if event.step < self._session.progress.step:
            return False
        due, self._overdue = self._overdue, False
        return due

    def save(self) -> Saved | Warned:
        """Commit a checkpoint, and delete old ones.

        On a full disk spare checkpoints go first; if that does not help, training goes on without
        this one, and says so.

        Raises:
            ResourceError: the disk is full and it is the best model that would be lost (C107).
        """
        progress, started = self._session.progress, time.monotonic()
        problem = None
        if self._log is not None:
            problem = self._commit(progress.best_step == progress.step)
        current().meet()
        self._last_save, self._overdue = time.monotonic(), False
        if problem is not None:
            return Warned(progress.step, replace(problem, severity=Severity.WARNING))
        self.saved = f"step-{progress.step:08d}"
        seconds = self._last_save - started
        if not self._is_slow and (problem := slow_save(seconds)) is not None:
            self._is_slow = True
            self._session.warnings.append(problem)
        return Saved(progress.step, self.saved, seconds)

    def _commit(self, is_best: bool) -> Problem | None:
        """Write it on the first process; what went wrong, if anything did."""
        session, home = self._session, self._session.run.checkpoints
        window = self._log.window if self._log is not None else {}
        facts = {
            "train_seconds": self.train_seconds,
            "examples": self.examples,
            "window": window,
        }
        best_step = session.progress.best_step
        for newest in (self._keep, 1):
            try:
                checkpoint.save(home, session.engine, session.progress, facts, session.fingerprint)
            except ResourceError as error:
                if newest == 1 and is_best:
                    raise
                problem = error.problems[0]
                checkpoint.retain(home, newest=1, best_step=best_step)
            else:
                in_use = self._remote.mirror.in_use() if self._remote else ()
                checkpoint.retain(home, newest=self._keep, best_step=best_step, also=in_use)
                return None
        return problem


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as `train.epochs`, with values that every tracker takes."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            simple = value is None or isinstance(value, str | int | float)
            flat[prefix + key] = value if simple else str(value)
    return flat
