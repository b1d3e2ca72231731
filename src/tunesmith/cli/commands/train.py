"""`tunesmith train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tunesmith.api.display.progress import Display
from tunesmith.api.display.score_tables import show_spread
from tunesmith.api.display.terminal import Terminal, padded
from tunesmith.cli.options import corrections_option, examples, layers_from, recipe_options
from tunesmith.errors import Problem, Severity
from tunesmith.i18n import gettext as _
from tunesmith.remote.location import Location
from tunesmith.training.device import is_main_process, num_processes
from tunesmith.training.peers import joined

if TYPE_CHECKING:
    from tunesmith.recipe import Layers
    from tunesmith.runs.dry_run import Estimate
    from tunesmith.runs.folder import RunFolder

__all__ = ["command", "train_one"]


@click.command(
    "train",
    help=_(
        "Fine-tune a model. WHAT is a recipe (.yaml), or data: files, a folder, a Hub data set or "
        "embedded:tickets. Run the same command again to continue a stopped run."
    ),
    epilog=examples(
        "tunesmith train tickets.csv --model bert-base-chinese",
        "tunesmith train recipe.yaml --out runs/first --set train.epochs=1 --dry-run",
    ),
)
@click.argument("what", nargs=-1, required=True)
@click.option("--out", metavar="DIR", help=_("Folder of the run; default: runs/NAME."))
@click.option("--restart", is_flag=True, help=_("Start from scratch; the old folder is renamed."))
@click.option(
    "--seeds", metavar="N", type=click.IntRange(min=2),
    help=_("Train with N seeds, in folders NAME-seed-…; report mean, deviation and range."),
)  # fmt: skip
@click.option(
    "--dry-run",
    "is_dry",
    is_flag=True,
    help=_("Measure a few steps and estimate time, memory and disk; write nothing."),
)
@click.option(
    "--remote",
    metavar="URL",
    help=_(
        "Copy of the run folder in a store, such as s3://BUCKET/PATH: fetched first, then kept up "
        "to date, so that any machine continues."
    ),
)
@corrections_option
@recipe_options
def command(
    terminal: Terminal,
    what: tuple[str, ...],
    *,
    out: str | None,
    restart: bool,
    seeds: int | None,
    is_dry: bool,
    remote: str | None,
    **flags: Any,
) -> int:
    """Gather the recipe, then train or estimate, and show progress."""
    with joined():  # before a recipe that may be missing here alone
        location = None if remote is None else Location.read(remote)
        return _command(
            terminal, what, out, flags,
            restart=restart, seeds=seeds, is_dry=is_dry, remote=location,
        )  # fmt: skip


def _command(
    terminal: Terminal,
    what: tuple[str, ...],
    out: str | None,
    flags: dict[str, Any],
    *,
    restart: bool,
    seeds: int | None,
    is_dry: bool,
    remote: Location | None,
) -> int:
    layers = layers_from(what, flags)
    if is_dry:
        _dry_run(terminal, layers, out=out, named_after=what[0], remote=remote)
        return 0
    if seeds is None:
        train_one(terminal, layers, out, what[0], restart=restart, remote=remote)
        return 0
    from tunesmith.runs.seeds import folders_of_seeds, spread_over

    first = layers.recipe().train.seed
    folders = folders_of_seeds(out, named_after=what[0], first=first, count=seeds)
    runs = []
    for seed, folder in folders.items():
        seeded = layers.with_sets(f"train.seed={seed}")
        below = None if remote is None else remote.below(f"seed-{seed}")
        runs.append(train_one(terminal, seeded, folder, what[0], restart=restart, remote=below))
    if is_main_process():
        show_spread(terminal, runs, spread_over(runs))
    return 0


def train_one(
    terminal: Terminal,
    layers: Layers,
    out: str | Path | None,
    named_after: str,
    *,
    restart: bool,
    remote: Location | None = None,
) -> RunFolder:
    """Train one run, from its first notes to its summary."""
    from tunesmith.runs.signals import StopRequest
    from tunesmith.runs.start import start

    with (
        StopRequest() as stop,
        start(layers, out=out, named_after=named_after, restart=restart, remote=remote) as started,
    ):
        display = Display(terminal, started.run)
        display.begin(started.checked)
        if started.remote is not None and (text := started.remote.describe()):
            display.say(text)
        terminal.problems(started.notes)
        if not started.is_finished:
            display.say(_("loading torch and the model …"))
            from tunesmith.runs.prepare import prepare_run
            from tunesmith.runs.train import train_run

            job = prepare_run(
                started.checked, num_processes=num_processes(), revision=started.revision
            )
            with display.progress(job.plan, job.notes):
                for event in train_run(
                    job, started.run,
                    stop=stop, on_line=terminal.record, remote=started.remote,
                ):  # fmt: skip
                    display.take(event)
        if is_main_process() and not started.run.report.is_file():
            from tunesmith.analysis.report import write_report

            write_report(started.run)
        display.end(was_finished=started.is_finished)
        return started.run


def _dry_run(
    terminal: Terminal,
    layers: Layers,
    *,
    out: str | None,
    named_after: str,
    remote: Location | None,
) -> None:
    """Measure a few steps and print the plan; nothing is left, here or in the store."""
    from tunesmith.inputs import resolve_inputs, validate_inputs
    from tunesmith.runs.signals import StopRequest
    from tunesmith.runs.start import look_up_model, run_folder

    run = run_folder(out, named_after=named_after)
    display = Display(terminal, run)
    speed = None
    if remote is not None and is_main_process():
        from tunesmith.runs.remote_folder import upload_speed

        speed = upload_speed(remote)
    with StopRequest() as stop:
        look_up_model(layers)
        checked = validate_inputs(resolve_inputs(layers))
        display.begin(checked)
        display.say(_("loading torch and the model …"))
        from tunesmith.runs.dry_run import estimate
        from tunesmith.runs.prepare import prepare_run

        job = prepare_run(checked, num_processes=num_processes())
        for note in job.notes:
            display.say(f"  {note}")
        plan = estimate(job, run.path, stop=stop)
    terminal.problems([*plan.warnings, *_unsteady(plan)])
    for name, line in _plan_lines(plan).items():
        terminal.result(padded(name, 11) + line)
    if speed is not None:
        size = 4 * plan.parameters + 8 * plan.trained  # in float32, with both moments
        line = _("{size} per checkpoint, {speed} per second: {seconds}").format(
            size=_size(size), speed=_size(int(speed)), seconds=_duration(size / speed)
        )
        terminal.result(padded(_("remote"), 11) + line)
    terminal.record({"event": "plan", **plan.as_json(), "upload_bytes_per_second": speed})
    terminal.say(_("nothing was written to {path}").format(path=run.path))


def _unsteady(plan: Estimate) -> list[Problem]:
    """A warning if the measured times vary too much for an estimate."""
    if not plan.is_unsteady:
        return []
    message = _(
        "timings are too noisy to estimate the run: slow steps took {spread:.1f} times as long as "
        "fast ones of the same size"
    ).format(spread=plan.spread)
    fix = _("The machine is busy: try again when it is idle.")
    return [Problem("M139", message, fix=fix, severity=Severity.WARNING)]


def _plan_lines(plan: Estimate) -> dict[str, str]:
    """A line each for plan, device, measured speed, estimated time, and memory and disk."""
    from tunesmith.training.fast.waiting import describe

    rows = ", ".join(f"{name} {count:,}" for name, count in plan.rows.items())
    weights = _("{count:.1f} million weights, {share:.0%} of them trained").format(
        count=plan.parameters / 1e6, share=plan.trained / plan.parameters
    )
    batches = _("batch size {rows}, micro-batches of {fewer}").format(
        rows=plan.batch_size, fewer=plan.micro_batch_size
    )
    engine = ": ".join(
        str(plan.engine[key]) for key in ("name", "layout", "reason") if plan.engine.get(key)
    )
    memory = _("unknown") if plan.peak_bytes is None else _size(plan.peak_bytes)
    memory = _("{part} of {whole}").format(part=memory, whole=_size(plan.memory_bytes))
    return {
        _("plan"): f"{plan.model} · {weights} · {rows}",
        _("device"): f"{plan.device}, {plan.precision} · {batches} · {engine}",
        **({_("threads"): describe()} if plan.device == "cpu" else {}),
        _("measured"): _(
            "{usual:.3f} s per step, from {steps} steps · largest micro-batch {largest:.3f} s"
        ).format(usual=plan.step_seconds, steps=plan.measured_steps, largest=plan.largest_seconds),
        _("estimate"): _(
            "{steps} steps {train} + {evaluations} evaluations {evaluation} + saving {saving} = "
            "{total}"
        ).format(
            steps=plan.total_steps,
            train=_duration(plan.train_seconds),
            evaluations=plan.evaluations,
            evaluation=_duration(plan.evaluation_seconds),
            saving=_duration(plan.saving_seconds),
            total=_("too noisy") if plan.is_unsteady else _duration(plan.seconds),
        ),
        _("needed"): _("memory {memory} · disk at most {disk}, {free} free").format(
            memory=memory, disk=_size(plan.disk_bytes), free=_size(plan.free_bytes)
        ),
    }


def _duration(seconds: float) -> str:
    """A duration in at most two units, such as 4 m 20 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours} h {minutes} m"
    return f"{minutes} m {whole % 60} s" if minutes else f"{whole} s"


def _size(count: int) -> str:
    """A number of bytes in MB or GB."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
