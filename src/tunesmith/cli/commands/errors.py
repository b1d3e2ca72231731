"""`tunesmith errors`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tunesmith.api.display.terminal import Terminal
from tunesmith.cli.commands.runs import find_run
from tunesmith.cli.options import ROOT, OutputFile, common, examples
from tunesmith.errors import Problem, Severity
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext, split_name
from tunesmith.text import shell_quoted, shortened

if TYPE_CHECKING:
    from tunesmith.analysis.label_errors import ErrorAnalysis, RowError

__all__ = ["command"]

_BRIEF, _LONG = 5, 20
"""How many of each are shown beside others, and alone."""

_WIDTH = 60


@click.command(
    "errors",
    help=_(
        "What a finished run gets wrong: the worst rows, the labels it confuses, and the rows "
        "whose labels are probably wrong themselves. Training rows are judged by models that have "
        "not seen them."
    ),
    epilog=examples(
        "tunesmith errors runs/tickets --suspect --top 30",
        "tunesmith errors runs/tickets --export corrections.csv",
    ),
)
@click.argument("run")
@click.option("--worst", is_flag=True, help=_("The rows with the highest loss."))
@click.option("--confused", is_flag=True, help=_("Which labels are taken for which."))
@click.option("--suspect", is_flag=True, help=_("The rows that are probably mislabelled."))
@click.option("--slices", is_flag=True, help=_("The scores by class, length, language and file."))
@click.option("--top", type=click.IntRange(min=1), help=_("How many of each to show."))
@click.option(
    "--split", type=click.Choice(["validation", "test", "train"]), help=_("Only these rows.")
)
@click.option(
    "--export",
    metavar="FILE",
    type=OutputFile(),
    help=_("Write a table to fill in (CSV): the rows probably mislabelled, or those of --worst."),
)
@click.option("--force", is_flag=True, help=_("Replace the file of --export if it exists."))
@ROOT
@common
def command(
    run: str,
    top: int | None,
    split: str | None,
    export: Path | None,
    *,
    force: bool,
    root: str,
    **given: Any,
) -> int:
    """Examine, show, export."""
    from tunesmith.analysis.label_errors import examine
    from tunesmith.storage import atomic

    terminal = Terminal.of(given)
    if export is not None:  # a table that a person has filled in is hours of work
        atomic.refuse_existing([export], force=force, option="--export")
    kinds = [name for name in _KINDS if given[name]] or list(_KINDS)
    if split in (None, "train"):
        terminal.say(_("judging the training rows by models that have not seen them …"))
    examined = examine(find_run(run, root), split)
    terminal.problems(examined.warnings)
    count = top or (_BRIEF if len(kinds) > 1 else _LONG)
    record: dict[str, object] = {"run": run}
    for kind in kinds:
        record[kind] = _KINDS[kind](terminal, examined, count)
    if export is not None:
        judged = examined.worst(count) if kinds == ["worst"] else examined.suspect(top)
        rows = examined.export(judged, export)
        record["export"] = {"file": str(export), "rows": rows}
        for line in _export_notes(export, rows):
            terminal.say(line)
    terminal.record(record)
    return 0


def _worst(terminal: Terminal, examined: ErrorAnalysis, top: int) -> list[dict[str, object]]:
    found = examined.worst(top)
    terminal.result(
        _("worst of the {split} rows").format(split=split_name(examined.held_out.split))
    )
    terminal.table([_as_line(row, _("answer"), row.predicted) for row in found])
    return [row.as_json() for row in found]


def _confused(terminal: Terminal, examined: ErrorAnalysis, top: int) -> list[dict[str, object]]:
    found = examined.confused(top)
    if found:
        terminal.result(
            _("confused in the {split} rows").format(split=split_name(examined.held_out.split))
        )
    terminal.table(
        [
            {
                _("label"): confusion.gold,
                _("answer"): confusion.predicted,
                _("rows"): confusion.count,
                _("such as"): str(confusion.worst.place),
            }
            for confusion in found
        ],
        align_right=[_("rows")],
    )
    return [confusion.as_json() for confusion in found]


def _suspect(terminal: Terminal, examined: ErrorAnalysis, top: int) -> list[dict[str, object]]:
    found = examined.suspect()
    terminal.problems(weak := examined.weak_answers())
    if weak and len(weak) == len(examined.answered):
        terminal.result(_("most doubtful labels"))
    else:
        _tell_suspects(terminal, examined, found)
    terminal.table([_as_line(row, _("rather"), str(row.suggested)) for row in found[:top]])
    return [row.as_json() for row in found[:top]]


def _tell_suspects(terminal: Terminal, examined: ErrorAnalysis, found: Sequence[RowError]) -> None:
    splits = [split for split in examined.answered if any(row.split == split for row in found)]
    message = ngettext(
        "{count} row of {splits} is probably mislabelled",
        "{count} rows of {splits} are probably mislabelled",
        len(found),
    ).format(count=len(found), splits=", ".join(map(split_name, splits or examined.answered)))
    terminal.result(message)
    if found:
        fix = _("tunesmith errors {run} --export corrections.csv writes them for you to correct.")
        fix = fix.format(run=shell_quoted(examined.run.path))
        terminal.problems([Problem("D406", message, fix=fix, severity=Severity.NOTE)])


def _slices(terminal: Terminal, examined: ErrorAnalysis, top: int) -> list[dict[str, object]]:
    found = examined.slices()[:top]
    if found:
        terminal.result(
            _("worst slices of the {split} rows").format(split=split_name(examined.held_out.split))
        )
    score = _("right") if examined.kind.higher_is_better else _("mean error")
    lines = []
    for part in found:
        by, value = part.in_words()
        lines.append(
            {
                _("by"): by,
                _("value"): value,
                _("rows"): part.rows,
                score: f"{part.score:.3f}",
            }
        )
    terminal.table(lines, align_right=[_("rows"), score])
    return [part.as_json() for part in found]


_KINDS = {"worst": _worst, "confused": _confused, "suspect": _suspect, "slices": _slices}


def _as_line(row: RowError, of_answer: str, answer: str) -> dict[str, object]:
    is_number = row.share is None
    return {
        _("place"): str(row.place),
        _("label"): row.gold,
        of_answer: answer,
        _("squared error") if is_number else _("p(label)"): f"{row.loss:.3g}"
        if is_number
        else f"{row.share:.3f}",
        _("text"): shortened(row.text, at_most=_WIDTH),
    }


def _export_notes(file: Path, rows: int) -> list[str]:
    written = ngettext("{count} row in {file}", "{count} rows in {file}", rows)
    return [
        written.format(count=rows, file=file),
        _(
            "Write the right label, or `remove`, into its column `correct`; then train with "
            "--corrections {file} and another --out."
        ).format(file=file),
    ]
