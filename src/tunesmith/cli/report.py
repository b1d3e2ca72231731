"""`tunesmith report`."""

from __future__ import annotations

from typing import Any

import click

from tunesmith.cli.options import common, examples
from tunesmith.cli.runs import ROOT, find_run
from tunesmith.cli.terminal import Terminal
from tunesmith.errors import Place, Problem, RecipeError
from tunesmith.language import gettext as _

__all__ = ["command"]


@click.command(
    "report",
    help=_(
        "Write report.html of a finished run anew, for example in the other language. Training "
        "writes it by itself."
    ),
    epilog=examples("tunesmith report tickets", "tunesmith report runs/tickets --lang zh"),
)
@click.argument("run")
@ROOT
@common
def command(run: str, root: str, **given: Any) -> int:
    """Write it, and say where it lies."""
    terminal = Terminal.of(given)
    folder = find_run(run, root)
    if not folder.is_finished:
        raise RecipeError(
            Problem(
                "C114",
                _("the run is not finished"),
                Place(str(folder.path)),
                fix=_("Run the same train command again to finish it."),
            )
        )
    from tunesmith.report import write_report

    write_report(folder)
    terminal.record({"run": str(folder.path), "report": str(folder.report)})
    terminal.result(str(folder.report))
    return 0
