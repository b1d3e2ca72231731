"""`tunesmith report`."""

from __future__ import annotations

import click

from tunesmith.api.display.terminal import Terminal
from tunesmith.cli.options import ROOT, common, examples, find_run
from tunesmith.i18n import gettext as _
from tunesmith.runs.folder import refuse_unfinished

__all__ = ["command"]


@click.command(
    "report",
    help=_(
        "Rewrite report.html of a finished run, for example in another language. Training writes "
        "it automatically."
    ),
    epilog=examples("tunesmith report tickets", "tunesmith report runs/tickets --lang zh"),
)
@click.argument("run")
@ROOT
@common
def command(terminal: Terminal, run: str, root: str) -> int:
    """Write the report and print its path."""
    folder = find_run(run, root)
    refuse_unfinished(folder)
    from tunesmith.analysis.report import write_report

    write_report(folder)
    terminal.problems(folder.history().problems(folder.log))
    terminal.record({"run": str(folder.path), "report": str(folder.report)})
    terminal.result(str(folder.report))
    return 0
