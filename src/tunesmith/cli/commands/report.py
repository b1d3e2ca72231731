"""`tunesmith report`."""

from __future__ import annotations

from typing import Any

import click

from tunesmith.api.display.terminal import Terminal
from tunesmith.cli.commands.runs import find_run
from tunesmith.cli.options import ROOT, common, examples
from tunesmith.i18n import gettext as _
from tunesmith.runs.folder import refuse_unfinished

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
    refuse_unfinished(folder)
    from tunesmith.analysis.report import write_report

    write_report(folder)
    terminal.problems(folder.history().problems(folder.log))
    terminal.record({"run": str(folder.path), "report": str(folder.report)})
    terminal.result(str(folder.report))
    return 0
