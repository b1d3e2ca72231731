"""`tunesmith train --dry-run`: what a run would take, measured, and nothing kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunesmith.api.display.progress import Display
from tunesmith.api.display.terminal import Terminal, padded
from tunesmith.errors import Problem, Severity
from tunesmith.i18n import gettext as _
from tunesmith.inputs import check, look
from tunesmith.recipe import Layers
from tunesmith.runs.signals import StopRequest
from tunesmith.runs.start import look_up_model, run_folder
from tunesmith.training.device import num_processes

if TYPE_CHECKING:
    from tunesmith.runs.dry_run import Estimate

__all__ = ["dry_run"]


def dry_run(terminal: Terminal, layers: Layers, *, out: str | None, named_after: str) -> None:
    """Measure and print the plan."""
    run = run_folder(out, named_after=named_after)
    display = Display(terminal, run)
    with StopRequest() as stop:
        look_up_model(layers)
        checked = check(look(layers))
        display.begin(checked)
        display.say(_("loading torch and the model …"))
        from tunesmith.runs.dry_run import estimate
        from tunesmith.runs.prepare import make_job

        job = make_job(checked, num_processes=num_processes())
        for note in job.notes:
            display.say(f"  {note}")
        found = estimate(job, run.path, stop=stop)
    terminal.problems([*found.warnings, *_unsteady(found)])
    for name, words in _lines(found).items():
        terminal.result(padded(name, 11) + words)
    terminal.record({"event": "plan", **found.as_json()})
    terminal.say(_("nothing was written to {path}").format(path=run.path))


def _unsteady(found: Estimate) -> list[Problem]:
    """A warning where the times that were measured tell nothing."""
    if not found.is_unsteady:
        return []
    message = _(
        "the times are too unsteady to tell how long the run takes: slow steps took {spread:.1f} "
        "times as long as fast ones of the same size"
    ).format(spread=found.spread)
    fix = _("Something else works on this machine: try again when it is idle.")
    return [Problem("M139", message, fix=fix, severity=Severity.WARNING)]


def _lines(found: Estimate) -> dict[str, str]:
    """A line each for what, where, how fast, how long and how much."""
    rows = ", ".join(f"{name} {count:,}" for name, count in found.rows.items())
    weights = _("{count:.1f} million weights, {share:.0%} of them train").format(
        count=found.parameters / 1e6, share=found.trained / found.parameters
    )
    cut = _("{rows} rows a step, {fewer} at once").format(
        rows=found.batch_size, fewer=found.micro_batch_size
    )
    engine = ": ".join(
        str(found.engine[key]) for key in ("name", "layout", "reason") if found.engine.get(key)
    )
    memory = _("unknown") if found.peak_bytes is None else _size(found.peak_bytes)
    if found.memory_bytes is not None:
        memory = _("{part} of {whole}").format(part=memory, whole=_size(found.memory_bytes))
    return {
        _("plan"): f"{found.model} · {weights} · {rows}",
        _("device"): f"{found.device}, {found.precision} · {cut} · {engine}",
        _("measured"): _(
            "{usual:.3f} s a step, from {steps} steps · largest micro-batch {largest:.3f} s"
        ).format(
            usual=found.step_seconds, steps=found.measured_steps, largest=found.largest_seconds
        ),
        _("estimate"): _(
            "{steps} steps {train} + {evaluations} evaluations {evaluation} + saving {saving} = "
            "{total}"
        ).format(
            steps=found.total_steps,
            train=_duration(found.train_seconds),
            evaluations=found.evaluations,
            evaluation=_duration(found.evaluation_seconds),
            saving=_duration(found.saving_seconds),
            total=_("too unsteady to tell") if found.is_unsteady else _duration(found.seconds),
        ),
        _("needed"): _("memory {memory} · disk at most {disk}, {free} free").format(
            memory=memory, disk=_size(found.disk_bytes), free=_size(found.free_bytes)
        ),
    }


def _duration(seconds: float) -> str:
    """Two units at most, in the signs of every language: 4 m 20 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours} h {minutes} m"
    return f"{minutes} m {whole % 60} s" if minutes else f"{whole} s"


def _size(count: int) -> str:
    """Bytes as people say them."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
