"""`tunesmith eject`."""

from __future__ import annotations

import click

from tunesmith.api.display.terminal import Terminal
from tunesmith.cli.options import ROOT, common, examples, find_run
from tunesmith.errors import Severity
from tunesmith.i18n import gettext as _
from tunesmith.storage.disk import as_path

__all__ = ["command"]

_RUN_WITH = {"trainer": "python", "loop": "python", "accelerate": "accelerate launch"}
"""Each style, and the command that runs its script."""


@click.command(
    "eject",
    help=_(
        "Write a run as a plain script of torch and transformers, with the same rows, losses and "
        "scores."
    ),
    epilog=examples(
        "tunesmith eject tickets --style loop --out train_tickets.py",
        "tunesmith eject runs/tickets --style accelerate --out lesson.ipynb",
    ),
)
@click.argument("run")
@click.option(
    "--style", type=click.Choice(list(_RUN_WITH)), default="trainer", show_default=True,
    help=_("transformers' Trainer, a hand-written loop, or that loop with Accelerate."),
)  # fmt: skip
@click.option(
    "-o", "--out", metavar="FILE",
    help=_("Script or notebook (.ipynb); default: name of the run and style."),
)  # fmt: skip
@click.option("--notebook", is_flag=True, help=_("Write a notebook."))
@click.option("--strict", is_flag=True, help=_("Fail if any part of the run cannot be reproduced."))
@click.option("--force", is_flag=True, help=_("Replace existing files."))
@ROOT
@common
def command(
    terminal: Terminal,
    run: str,
    style: str,
    out: str | None,
    root: str,
    *,
    notebook: bool,
    strict: bool,
    force: bool,
) -> int:
    """Write the script, and print how to run it."""
    from tunesmith.interop.eject.write import eject, left_out_problem

    folder = find_run(run, root)
    path = as_path(out or f"{folder.name}_{style}.py")
    if notebook:
        path = path.with_suffix(".ipynb")
    done = eject(folder, path, style=style, strict=strict, force=force)
    terminal.problems(
        left_out_problem(*part, severity=Severity.WARNING) for part in done.left_out.items()
    )
    terminal.result(str(done.path))
    for file in done.files:
        terminal.result(str(file))
    terminal.record(
        {
            "run": str(folder.path),
            "style": style,
            "path": str(done.path),
            "files": [str(file) for file in done.files],
            "left_out": dict(done.left_out),
        }
    )
    program = "jupyter notebook" if done.path.suffix == ".ipynb" else _RUN_WITH[style]
    terminal.say(_("from this folder   {command}").format(command=f"{program} {done.path}"))
    return 0
