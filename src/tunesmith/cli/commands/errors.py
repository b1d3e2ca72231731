"""`tunesmith errors`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tunesmith.api.display.terminal import Terminal
from tunesmith.cli.options import ROOT, OutputFile, common, examples, find_run
from tunesmith.errors import Problem, Severity
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext, split_name
from tunesmith.text import shell_quoted, shortened

if TYPE_CHECKING:
    from tunesmith.analysis.label_errors import ErrorAnalysis, RowError

__all__ = ["command"]

_BRIEF, _LONG = 5, 20
"""How many of each are shown: with others, and alone."""

_WIDTH = 60


@click.command(
    "errors",
    help=_(
        "Show what a finished run gets wrong: the rows with the highest loss, the labels it "
        "confuses, and rows whose labels are probably wrong. Training rows are predicted by models "
        "that have not seen them (cross-validation)."
    ),
    epilog=examples(
        "tunesmith errors runs/tickets --suspect --top 30",
        "tunesmith errors runs/tickets --export corrections.csv",
    ),
)
@click.argument("run")
@click.option("--worst", is_flag=True, help=_("Rows with the highest loss."))
@click.option("--confused", is_flag=True, help=_("Which labels are confused with which."))
@click.option("--suspect", is_flag=True, help=_("Rows that are probably mislabeled."))
@click.option("--slices", is_flag=True, help=_("Scores by class, length, language and file."))
@click.option("--top", type=click.IntRange(min=1), help=_("How many of each to show."))
@click.option(
    "--split", type=click.Choice(["validation", "test", "train"]), help=_("Only these rows.")
)
@click.option(
    "--export",
    metavar="FILE",
    type=OutputFile(),
    help=_("CSV to correct by hand: rows that are probably mislabeled, or those of --worst."),
)
@click.option("--force", is_flag=True, help=_("Replace the file of --export if it exists."))
@ROOT
@common
def command(
    terminal: Terminal,
    run: str,
    top: int | None,
    split: str | None,
    export: Path | None,
    *,
    force: bool,
    root: str,
    **sections: bool,
) -> int:
    """Analyze errors, print them, export rows to correct."""
    from tunesmith.analysis.label_errors import examine
    from tunesmith.storage import atomic

    if export is not None:  # a table corrected by hand is hours of work
        atomic.refuse_existing([export], force=force, option="--export")
    chosen = [name for name in _SECTIONS if sections[name]] or list(_SECTIONS)
    if split in (None, "train"):
        terminal.say(_("predicting the training rows by cross-validation …"))
    examined = examine(find_run(run, root), split)
    terminal.problems(examined.warnings)
    if "suspect" in chosen and not examined.finds_label_errors:
        chosen.remove("suspect")
        terminal.say(_("label errors cannot be found from answers of this kind"))
    count = top or (_BRIEF if len(chosen) > 1 else _LONG)
    record: dict[str, object] = {"run": run}
    for name in chosen:
        record[name] = _SECTIONS[name](terminal, examined, count)
    if export is not None:
        only_worst = chosen == ["worst"] or not examined.finds_label_errors
        selected = examined.worst(count) if only_worst else examined.suspect(top)
        rows = examined.export(selected, export)
        record["export"] = {"file": str(export), "rows": rows}
        for line in _export_notes(export, rows):
            terminal.say(line)
    terminal.record(record)
    return 0


def _worst(terminal: Terminal, examined: ErrorAnalysis, top: int) -> list[dict[str, object]]:
    rows = examined.worst(top)
    _title(terminal, examined, _("worst of the {split} rows"))
    terminal.table([_as_line(row, _("prediction"), row.predicted) for row in rows])
    return [row.as_json() for row in rows]


def _confused(terminal: Terminal, examined: ErrorAnalysis, top: int) -> list[dict[str, object]]:
    confusions = examined.confused(top)
    if confusions:
        _title(terminal, examined, _("confused in the {split} rows"))
    terminal.table(
        [
            {
                _("label"): confusion.gold,
                _("prediction"): confusion.predicted,
                _("rows"): confusion.count,
                _("example"): str(confusion.worst.place),
            }
            for confusion in confusions
        ],
        align_right=[_("rows")],
    )
    return [confusion.as_json() for confusion in confusions]


def _suspect(terminal: Terminal, examined: ErrorAnalysis, top: int) -> list[dict[str, object]]:
    suspects = examined.suspect()
    terminal.problems(weak := examined.weak_answers())
    if weak and len(weak) == len(examined.answered):
        terminal.result(_("least reliable labels"))
    else:
        _report_suspects(terminal, examined, suspects)
    terminal.table([_as_line(row, _("suggested"), str(row.suggested)) for row in suspects[:top]])
    return [row.as_json() for row in suspects[:top]]


def _report_suspects(
    terminal: Terminal, examined: ErrorAnalysis, suspects: Sequence[RowError]
) -> None:
    splits = [split for split in examined.answered if any(row.split == split for row in suspects)]
    message = ngettext(
        "{count} row of {splits} is probably mislabeled",
        "{count} rows of {splits} are probably mislabeled",
        len(suspects),
    ).format(count=len(suspects), splits=", ".join(map(split_name, splits or examined.answered)))
    terminal.result(message)
    if suspects:
        fix = _("tunesmith errors {run} --export corrections.csv writes them for you to correct.")
        fix = fix.format(run=shell_quoted(examined.run.path))
        terminal.problems([Problem("D411", message, fix=fix, severity=Severity.NOTE)])


def _slices(terminal: Terminal, examined: ErrorAnalysis, top: int) -> list[dict[str, object]]:
    parts = examined.slices()[:top]
    if not parts:
        terminal.result(_("no slice has enough rows to be scored apart"))
        return []
    _title(terminal, examined, _("worst slices of the {split} rows"))
    score = _("correct") if examined.kind.higher_is_better else _("mean error")
    lines = []
    for part in parts:
        by, value = part.describe()
        lines.append(
            {_("by"): by, _("value"): value, _("rows"): part.rows, score: f"{part.score:.3f}"}
        )
    terminal.table(lines, align_right=[_("rows"), score])
    return [part.as_json() for part in parts]


_SECTIONS = {"worst": _worst, "confused": _confused, "suspect": _suspect, "slices": _slices}


def _title(terminal: Terminal, examined: ErrorAnalysis, title: str) -> None:
    terminal.result(title.format(split=split_name(examined.held_out.split)))


def _as_line(row: RowError, heading: str, answer: str) -> dict[str, object]:
    return {
        _("place"): str(row.place),
        _("label"): row.gold,
        heading: answer,
        _("loss") if row.share is None else _("p(label)"): (
            f"{row.loss:.3g}" if row.share is None else f"{row.share:.3f}"
        ),
        _("text"): shortened(row.text, at_most=_WIDTH),
    }


def _export_notes(file: Path, rows: int) -> list[str]:
    written = ngettext("{count} row in {file}", "{count} rows in {file}", rows)
    return [
        written.format(count=rows, file=file),
        _(
            "Enter the right label, or `remove`, in its column `correct`; then train with "
            "--corrections {file} and another --out."
        ).format(file=file),
    ]
