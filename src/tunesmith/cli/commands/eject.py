"""`tunesmith eject`."""

from __future__ import annotations

from typing import Any

import click

from tunesmith.api.display.terminal import Terminal
from tunesmith.cli.commands.runs import find_run
from tunesmith.cli.options import ROOT, common, examples
from tunesmith.errors import Place, Problem, Severity
from tunesmith.i18n import gettext as _
from tunesmith.storage.disk import as_path

__all__ = ["command"]

_VERBS = {"trainer": "python", "loop": "python", "accelerate": "accelerate launch"}
"""The styles, and what runs a script of each."""


@click.command(
    "eject",
    help=_(
        "Write a run as a plain script of torch and transformers: the same rows, losses and scores."
    ),
    epilog=examples(
        "tunesmith eject tickets --style loop --out train_tickets.py",
        "tunesmith eject runs/tickets --style accelerate --out lesson.ipynb",
    ),
)
@click.argument("run")
@click.option(
    "--style", type=click.Choice(list(_VERBS)), default="trainer", show_default=True,
    help=_("How it trains: transformers' Trainer, a loop by hand, or that loop under Accelerate."),
)  # fmt: skip
@click.option(
    "-o", "--out", metavar="FILE",
    help=_("The script, or a notebook (.ipynb); else the run's name and the style."),
)  # fmt: skip
@click.option("--notebook", is_flag=True, help=_("Write a notebook."))
@click.option(
    "--strict", is_flag=True, help=_("Refuse a run of which something has no plain equal.")
)
@click.option("--force", is_flag=True, help=_("Replace files that are there."))
@ROOT
@common
def command(
    run: str, style: str, out: str | None, root: str, *, notebook: bool, strict: bool, force: bool,
    **given: Any,
) -> int:  # fmt: skip
    """Write it, and say how to run it."""
    from tunesmith.interop.eject.write import eject

    terminal = Terminal.of(given)
    folder = find_run(run, root)
    path = as_path(out or f"{folder.name}_{style}.py")
    if notebook:
        path = path.with_suffix(".ipynb")
    done = eject(folder, path, style=style, strict=strict, force=force)
    terminal.problems(
        Problem(
            "R121",
            _("no plain equal: {reason}").format(reason=found.reason),
            Place(found.key),
            severity=Severity.WARNING,
        )
        for found in done.left_out
    )
    terminal.result(str(done.path))
    for beside in done.beside:
        terminal.result(str(beside))
    terminal.record(
        {
            "run": str(folder.path),
            "style": style,
            "path": str(done.path),
            "beside": [str(beside) for beside in done.beside],
            "left_out": {found.key: found.reason for found in done.left_out},
        }
    )
    verb = "jupyter notebook" if path.suffix == ".ipynb" else _VERBS[style]
    terminal.say(_("from this folder   {command}").format(command=f"{verb} {done.path}"))
    return 0
