"""Output of a run: a bar on a terminal, plain lines elsewhere, JSON lines on request."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunesmith.analysis.curves.diagnosis import Diagnosis, change_to_try
from tunesmith.analysis.curves.explain import explain
from tunesmith.api.display.score_tables import format_scores, score_warnings, show_scores
from tunesmith.api.display.terminal import Bar, Terminal
from tunesmith.errors import Severity
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext, split_name
from tunesmith.inputs import ValidatedInputs
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.model_folder import read_facts
from tunesmith.tasks import task_from_json
from tunesmith.text import escape_controls, shell_quoted
from tunesmith.training.events import Evaluated, Event, StepDone, Warned
from tunesmith.training.plan import Plan

__all__ = ["Display", "ProgressReport", "example_texts", "run_summary"]

_PLAIN_EVERY_SECONDS = 10.0


class Display:
    """Shows one run from its first note to its summary."""

    def __init__(self, terminal: Terminal, run: RunFolder) -> None:
        self._terminal = terminal
        self._run = run
        self._report = ProgressReport(terminal)

    def begin(self, checked: ValidatedInputs) -> None:
        """Print the values that were chosen automatically."""
        layers, say = checked.layers, self._terminal.say
        say(_("run {path}").format(path=self._run.path))
        recipe = checked.recipe
        for key, value in (
            ("task", recipe.task),
            ("model", recipe.model),
            ("data.text", recipe.data.text),
            ("data.text_pair", recipe.data.text_pair),
            ("data.label", recipe.data.label),
            ("data.validation", recipe.data.validation),
            ("data.test", recipe.data.test),
            ("train.select_by", recipe.train.select_by),
        ):
            origin = layers.origin(*key.split("."))
            if origin.kind == "automatic" and value is not None:
                say(f"  {key} = {value}  ({origin.detail})")

    def say(self, text: str) -> None:
        """Print a remark."""
        self._terminal.say(text)

    @contextmanager
    def progress(self, plan: Plan, notes: Sequence[str]) -> Iterator[None]:
        """Show the notes, and progress while the run trains."""
        for note in notes:
            self._terminal.say(f"  {note}")
        with self._report.drawn(plan):
            yield

    def take(self, event: Event) -> None:
        """Show an event."""
        self._report.take(event)

    def end(self, *, was_finished: bool) -> None:
        """Print the summary: scores, paths, and what to do next."""
        if not self._terminal.is_main:  # the run may be on a disk of another machine
            return
        terminal, metadata = self._terminal, self._run.facts()
        if was_finished:
            terminal.say(self._finished_before())
        assessments = explain(self._run)
        terminal.record(run_summary(self._run) | {"assessment": assessments[0].as_json()})
        show_scores(terminal, metadata)
        terminal.result(_("model  {path}").format(path=self._run.model))
        if self._run.report.is_file():
            terminal.say(_("report {path}").format(path=self._run.report))
        if metadata:
            terminal.say(
                _("{steps} steps in {seconds:.1f} s, {rate:.1f} rows/s; kept: step {best}").format(
                    steps=metadata["steps"],
                    seconds=metadata["train_seconds"],
                    rate=metadata["samples_per_second"],
                    best=metadata["best_step"],
                )
            )
        for assessment in assessments:
            if assessment.diagnosis is not Diagnosis.BEATEN:  # the headline says that
                terminal.say(_("curves {assessment}").format(assessment=assessment))
                break
        if (change := change_to_try(assessments)) is not None:
            terminal.say(_("try    {change}").format(change=change))
        terminal.say(self._next_step(), style="strong")
        terminal.problems(score_warnings(metadata))

    def _finished_before(self) -> str:
        return _("this run is finished; --restart trains again, --out names another folder")

    def _next_step(self) -> str:
        texts = " ".join(f'"{text}"' for text in example_texts(self._run.model))
        return _("next   tunesmith predict {run} {text}").format(
            run=shell_quoted(self._run.path), text=texts
        )


class ProgressReport:
    """Shows one training: its length, its steps, its scores."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._plan: Plan | None = None
        self._bar: Bar | None = None
        self._last_line = 0.0
        self._rate = _Rate()
        self._loss: float | None = None
        self._news: Callable[[], str] = str

    @contextmanager
    def drawn(self, plan: Plan) -> Iterator[None]:
        """Show progress while training."""
        from tunesmith.training.fast.waiting import news

        self._news = news
        epochs = round(plan.total_steps / plan.steps_per_epoch, 2)
        self._terminal.say(
            ngettext(
                "{steps} steps, {epochs:g} epoch of {examples} rows, batch size {batch}",
                "{steps} steps, {epochs:g} epochs of {examples} rows, batch size {batch}",
                1 if epochs == 1 else 2,
            ).format(
                steps=plan.total_steps,
                epochs=epochs,
                examples=plan.num_examples,
                batch=plan.batch_size,
            )
        )
        self._plan = plan
        with self._terminal.bar(plan.total_steps) as bar:
            self._bar = bar
            yield
        self._bar = None

    def take(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, StepDone):
            self._step(event)
            return
        if isinstance(event, Evaluated):
            best = "  ← " + _("best") if event.is_best else ""
            scores = format_scores(event.scores.values)
            self._line(event.step, f"{split_name(event.split)} {scores}{best}")
        elif isinstance(event, Warned):
            problem = event.problem
            if problem.severity is Severity.ERROR:
                problem = replace(problem, severity=Severity.WARNING)
            self._terminal.problems([problem])

    def _step(self, event: StepDone) -> None:
        assert self._plan is not None  # noqa: S101 - `drawn` came first
        self._rate.step()
        self._loss = event.loss if self._loss is None else 0.9 * self._loss + 0.1 * event.loss
        if news := self._news():
            self._terminal.say(f"  {news}") if self._bar is None else self._bar.print(f"  {news}")
        if self._bar is not None:
            epoch = self._plan.epoch_at(event.step)
            self._bar.update(
                event.step,
                epoch=_("epoch {epoch:.2f}").format(epoch=epoch),
                rate=self._rate.as_text(),
                text=_("loss {loss:.4f}").format(loss=self._loss),
            )
        elif time.monotonic() - self._last_line >= _PLAIN_EVERY_SECONDS:
            self._line(event.step, "")

    def _line(self, step: int, text: str) -> None:
        """Print one line, without carriage returns; a bar shows steps and time itself."""
        assert self._plan is not None  # noqa: S101 - `drawn` came first
        self._last_line = time.monotonic()
        if self._bar is not None:
            epoch = _("epoch {epoch:.2f}").format(epoch=self._plan.epoch_at(step))
            loss = "" if self._loss is None else "  " + _("loss {loss:.4f}").format(loss=self._loss)
            self._bar.print(escape_controls(f"{epoch}{loss}  {text}"))
            return
        left = self._rate.left(self._plan.total_steps - step)
        parts = [
            time.strftime("%Y-%m-%dT%H:%M:%S"),
            f"step={step}/{self._plan.total_steps}",
            f"epoch={self._plan.epoch_at(step):.2f}",
        ]
        if self._loss is not None:
            parts.append(f"loss={self._loss:.4f}")
        if left is not None:
            parts.append(f"eta={left:.0f}s")
        self._terminal.say(" ".join(parts) + ("  " + text if text else ""))


class _Rate:
    """The seconds of a step, averaged over about the last 20."""

    def __init__(self) -> None:
        self._seconds: float | None = None
        self._last: float | None = None

    def step(self) -> None:
        now = time.monotonic()
        if self._last is not None:
            took = now - self._last
            self._seconds = took if self._seconds is None else 0.95 * self._seconds + 0.05 * took
        self._last = now

    def as_text(self) -> str:
        return f"{self._seconds:.2f} s/it" if self._seconds else ""

    def left(self, steps: int) -> float | None:
        return None if self._seconds is None else self._seconds * steps


def run_summary(run: RunFolder) -> dict[str, Any]:
    """Return the last object of `train --json`."""
    metadata = run.facts()
    scores = metadata.get("scores", {})
    return {
        "event": "summary",
        "run": str(run.path),
        "model": str(run.model),
        "steps": metadata.get("steps"),
        "best": {"step": metadata.get("best_step"), "scores": scores.get("validation", {})},
        "test": scores.get("test"),
        **{
            name: metadata.get(name, {})
            for name in ("intervals", "baselines", "against_tfidf", "verdicts")
        },
        "reason": metadata.get("reason"),
        "train_seconds": metadata.get("train_seconds"),
        "samples_per_second": metadata.get("samples_per_second"),
    }


def example_texts(model: Path) -> tuple[str, ...]:
    """Return what to give a finished model: a text, both of a pair, or one with a mask to fill."""
    metadata = read_facts(model)
    if metadata is None:
        return ("…",)
    task = task_from_json(metadata["task"])
    if task.needs_label:
        return task.example_texts
    settings = json.loads((model / "tokenizer_config.json").read_text(encoding="utf-8"))
    mask = settings.get("mask_token") or "[MASK]"
    return (f"… {mask if isinstance(mask, str) else mask['content']} …",)
