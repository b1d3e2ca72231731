"""`tunesmith train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tunesmith.api.display.progress import Display
from tunesmith.api.display.score_tables import show_spread
from tunesmith.api.display.terminal import Terminal
from tunesmith.cli.commands.dry_run import dry_run
from tunesmith.cli.options import (
    common,
    corrections_option,
    data_options,
    examples,
    layers_from,
    recipe_options,
    set_option,
)
from tunesmith.i18n import gettext as _
from tunesmith.training.device import is_main_process, num_processes

if TYPE_CHECKING:
    from tunesmith.recipe import Layers
    from tunesmith.runs.folder import RunFolder

__all__ = ["command"]


@click.command(
    "train",
    help=_(
        "Fine-tune a model. WHAT is a recipe (.yaml), or data: files, a folder, a Hub data set, "
        "embedded:tickets. Run the same command again to continue a stopped run."
    ),
    epilog=examples(
        "tunesmith train tickets.csv --model bert-base-chinese",
        "tunesmith train recipe.yaml --out runs/first --set train.epochs=1 --dry-run",
    ),
)
@click.argument("what", nargs=-1, required=True)
@click.option("--out", metavar="DIR", help=_("Folder of the run; runs/NAME if not given."))
@click.option(
    "--restart", is_flag=True, help=_("Begin anew; what is in the folder is kept beside it.")
)
@click.option(
    "--seeds", metavar="N", type=click.IntRange(min=2),
    help=_("Train with N seeds, in the folders NAME-seed-…; give mean, deviation and range."),
)  # fmt: skip
@click.option(
    "--dry-run",
    "is_dry",
    is_flag=True,
    help=_("Measure a few steps, tell time, memory and disk of the whole, and write nothing."),
)
@recipe_options
@data_options
@corrections_option
@set_option
@common
def command(
    what: tuple[str, ...],
    *,
    out: str | None,
    restart: bool,
    seeds: int | None,
    is_dry: bool,
    sets: tuple[str, ...],
    **given: Any,
) -> int:
    """Gather the recipe, train, and show what happens."""
    terminal = Terminal.of(given)
    layers = layers_from(what, sets, given)
    if is_dry:
        dry_run(terminal, layers, out=out, named_after=what[0])
        return 0
    if seeds is None:
        _train(terminal, layers, out, what[0], restart=restart)
        return 0
    from tunesmith.runs.seeds import folders_of_seeds, spread_over

    first = layers.recipe().train.seed
    folders = folders_of_seeds(out, named_after=what[0], first=first, count=seeds)
    runs = []
    for seed, folder in folders.items():
        seeded = layers.with_sets(f"train.seed={seed}")
        runs.append(_train(terminal, seeded, folder, what[0], restart=restart))
    show_spread(terminal, runs, spread_over(runs))
    return 0


def _train(
    terminal: Terminal, layers: Layers, out: str | Path | None, named_after: str, *, restart: bool
) -> RunFolder:
    """One run, from its first note to its summary."""
    from tunesmith.runs.signals import StopRequest
    from tunesmith.runs.start import start

    with (
        StopRequest() as stop,
        start(layers, out=out, named_after=named_after, restart=restart) as started,
    ):
        display = Display(terminal, started.run)
        display.begin(started.checked)
        terminal.problems(started.notes)
        if not started.is_finished:
            display.say(_("loading torch and the model …"))
            from tunesmith.runs.prepare import make_job
            from tunesmith.runs.train import conduct

            job = make_job(
                started.checked, num_processes=num_processes(), revision=started.revision
            )
            with display.progress(job.plan, job.notes):
                for event in conduct(job, started.run, stop=stop, on_line=terminal.record):
                    display.take(event)
        if is_main_process() and not started.run.report.is_file():
            from tunesmith.analysis.report import write_report

            write_report(started.run)
        display.end(was_finished=started.is_finished)
        return started.run
