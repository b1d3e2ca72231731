"""A run as people watch it: a bar on a terminal, plain lines elsewhere, JSON lines when asked."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.analysis.curves.diagnosis import Diagnosis, change_to_try
from tunesmith.analysis.curves.explain import explain
from tunesmith.api.display.score_tables import score_warnings, scores_in_words, show_scores
from tunesmith.api.display.terminal import Terminal
from tunesmith.errors import Problem, Severity
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext, split_name
from tunesmith.inputs import ValidatedInputs
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.model_folder import read_facts
from tunesmith.tasks import task_from_json
from tunesmith.text import escape_controls, shell_quoted
from tunesmith.training.events import Evaluated, Event, StepDone, Warned
from tunesmith.training.plan import Plan

if TYPE_CHECKING:
    from tunesmith.api.display.bars import Bar

__all__ = ["Display", "ProgressReport", "example_of", "summarise"]

_PLAIN_EVERY_SECONDS = 10.0


class Display:
    """Shows one run from its first note to its summary."""

    def __init__(self, terminal: Terminal, run: RunFolder) -> None:
        self._terminal = terminal
        self._run = run
        self._report = ProgressReport(terminal)

    def begin(self, checked: ValidatedInputs) -> None:
        """Say what was chosen where nobody chose."""
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
        """A remark between the phases."""
        self._terminal.say(text)

    @contextmanager
    def progress(self, plan: Plan, notes: Sequence[str]) -> Iterator[None]:
        """Draw while the run goes."""
        for note in notes:
            self._terminal.say(f"  {note}")
        with self._report.drawn(plan):
            yield

    def take(self, event: Event) -> None:
        """Show one event."""
        self._report.take(event)

    def end(self, *, was_finished: bool) -> None:
        """The summary: what came out, where it lies, and what to type next."""
        facts = self._run.facts()
        terminal = self._terminal
        summary = summarise(self._run)
        if was_finished:
            terminal.say(self._finished_before())
        assessments = explain(self._run)
        terminal.record(summary | {"assessment": assessments[0].as_json()})
        show_scores(terminal, facts)
        terminal.result(_("model  {path}").format(path=self._run.model))
        if self._run.report.is_file():
            terminal.say(_("report {path}").format(path=self._run.report))
        if facts:
            terminal.say(
                _("{steps} steps in {seconds:.1f} s, {rate:.1f} rows/s; kept: step {best}").format(
                    steps=facts["steps"],
                    seconds=facts["train_seconds"],
                    rate=facts["samples_per_second"],
                    best=facts["best_step"],
                )
            )
        for assessment in assessments:
            if assessment.diagnosis is not Diagnosis.BEATEN:  # the headline says that
                terminal.say(_("curves {assessment}").format(assessment=assessment))
                break
        if (change := change_to_try(assessments)) is not None:
            terminal.say(_("try    {change}").format(change=change))
        terminal.say(self._next_step())
        terminal.problems(score_warnings(facts))

    def _finished_before(self) -> str:
        return _("this run is finished; --restart begins anew, --out names another")

    def _next_step(self) -> str:
        return _("next   tunesmith predict {run} {text}").format(
            run=shell_quoted(self._run.path), text=example_of(self._run.model)
        )


class ProgressReport:
    """Shows one training: its length, its steps, its scores."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._plan: Plan | None = None
        self._bar: Bar | None = None
        self._last_line = 0.0
        self._rate = _Rate()
        self._scores = ""
        self._loss: float | None = None

    @contextmanager
    def drawn(self, plan: Plan) -> Iterator[None]:
        """Draw while it goes."""
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
        """Show one event."""
        if isinstance(event, StepDone):
            self._step(event)
            return
        if isinstance(event, Evaluated):
            self._scores = scores_in_words(event.scores.values)
            best = "  ← " + _("best") if event.is_best else ""
            self._line(event.step, f"{split_name(event.split)} {self._scores}{best}")
        elif isinstance(event, Warned):
            problem = event.problem
            if problem.severity is Severity.ERROR:
                problem = Problem(
                    problem.code, problem.message, problem.place, problem.evidence, problem.fix,
                    Severity.WARNING,
                )  # fmt: skip
            self._terminal.problems([problem])

    def _step(self, event: StepDone) -> None:
        assert self._plan is not None  # noqa: S101 - `drawn` came first
        self._rate.step()
        self._loss = event.loss if self._loss is None else 0.9 * self._loss + 0.1 * event.loss
        if self._bar is not None:
            epoch = self._plan.epoch_at(event.step)
            self._bar.update(
                event.step,
                epoch=_("epoch {epoch:.2f}").format(epoch=epoch),
                rate=self._rate.in_words(),
                words=_("loss {loss:.4f}").format(loss=self._loss) + "  " + self._scores,
            )
        elif time.monotonic() - self._last_line >= _PLAIN_EVERY_SECONDS:
            self._line(event.step, "")

    def _line(self, step: int, words: str) -> None:
        """One line per report, without carriage returns."""
        assert self._plan is not None  # noqa: S101 - `drawn` came first
        self._last_line = time.monotonic()
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
        line = " ".join(parts) + ("  " + words if words else "")
        if self._bar is not None:
            self._bar.print(escape_controls(line))
        else:
            self._terminal.say(line)


class _Rate:
    """Steps per second over the last minute or so."""

    def __init__(self) -> None:
        self._seconds: float | None = None
        self._last: float | None = None

    def step(self) -> None:
        now = time.monotonic()
        if self._last is not None:
            took = now - self._last
            self._seconds = took if self._seconds is None else 0.95 * self._seconds + 0.05 * took
        self._last = now

    def in_words(self) -> str:
        return f"{self._seconds:.2f} s/it" if self._seconds else ""

    def left(self, steps: int) -> float | None:
        return None if self._seconds is None else self._seconds * steps


def summarise(run: RunFolder) -> dict[str, Any]:
    """The last object of `train --json`."""
    facts = run.facts()
    scores = facts.get("scores", {})
    return {
        "event": "summary",
        "run": str(run.path),
        "model": str(run.model),
        "steps": facts.get("steps"),
        "best": {"step": facts.get("best_step"), "scores": scores.get("validation", {})},
        "test": scores.get("test"),
        **{
            name: facts.get(name, {})
            for name in ("intervals", "baselines", "against_tfidf", "verdicts")
        },
        "reason": facts.get("reason"),
        "train_seconds": facts.get("train_seconds"),
        "samples_per_second": facts.get("samples_per_second"),
    }


def example_of(model: Path) -> str:
    """What to give a finished model: a text, two for pairs, one with a mask to fill in."""
    if (facts := read_facts(model)) is None:
        return '"…"'
    task = task_from_json(facts["task"])
    if task.needs_label:
        return '"…" "…"' if task.roles.text_pair else '"…"'
    settings = json.loads((model / "tokenizer_config.json").read_text(encoding="utf-8"))
    mask = settings.get("mask_token") or "[MASK]"
    return f'"… {mask if isinstance(mask, str) else mask["content"]} …"'
