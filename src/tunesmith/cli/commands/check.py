"""`tunesmith check`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from tunesmith.api.display.terminal import Terminal, padded
from tunesmith.cli.options import examples, layers_from, recipe_options
from tunesmith.cli.suggestions import with_corrected_command
from tunesmith.errors import DataError, Problem, Severity, TunesmithError
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext, split_name

if TYPE_CHECKING:
    from tunesmith.analysis.long_text_pilot import Pilot
    from tunesmith.inputs import ValidatedInputs

__all__ = ["command"]

_ORDER = (Severity.ERROR, Severity.WARNING, Severity.NOTE)
_BAR = 30


@click.command(
    "check",
    help=_(
        "Validate data and recipe without changing anything: bad rows, leakage between splits, "
        "duplicates, classes, lengths. Training runs the same checks first."
    ),
    epilog=examples(
        "tunesmith check tickets.csv",
        "tunesmith check recipe.yaml --strict --json",
        "tunesmith check letters.csv --model bert-base-uncased --pilot",
    ),
)
@click.argument("what", nargs=-1, required=True)
@click.option("--strict", is_flag=True, help=_("Treat warnings as errors."))
@click.option(
    "--pilot",
    is_flag=True,
    help=_("Train briefly on some rows with each way to read long texts, and compare (minutes)."),
)
@click.option(
    "--pilot-rows", type=click.IntRange(min=60), default=400, show_default=True, metavar="N",
    help=_("Rows that a pilot learns; half as many long ones are scored."),
)  # fmt: skip
@recipe_options
def command(
    terminal: Terminal,
    what: tuple[str, ...],
    strict: bool,
    *,
    pilot: bool,
    pilot_rows: int,
    **flags: Any,
) -> int:
    """Check, and print every problem, errors first; the exit code is that of the errors."""
    from tunesmith.inputs import resolve_inputs, validate_inputs

    checked, code = None, 0
    problems: Sequence[Problem]
    try:
        checked = validate_inputs(resolve_inputs(layers_from(what, flags)), audited=True)
        problems = checked.warnings
    except TunesmithError as error:
        context = click.get_current_context()
        problems = with_corrected_command(error.problems, context.obj, context.command)
        code = error.exit_code
    counts = Counter(problem.severity for problem in problems)
    if strict and counts[Severity.WARNING]:
        code = code or DataError.exit_code
    if checked is not None:
        _show(terminal, checked)
    for problem in sorted(problems, key=lambda problem: _ORDER.index(problem.severity)):
        terminal.lines(str(problem))
    terminal.result(_summary(counts))
    tried = _pilot(terminal, checked, pilot_rows) if pilot and checked and not code else None
    terminal.record(
        {
            "is_good": code == 0,
            "counts": {str(severity): counts[severity] for severity in Severity},
            "problems": [problem.as_json() for problem in problems],
            "rows": {name: split.num_rows for name, split in checked.splits.items()}
            if checked
            else None,
            "lengths": asdict(checked.lengths) if checked and checked.lengths else None,
            "pilot": tried.as_json() if tried else None,
        }
    )
    return code


def _show(terminal: Terminal, checked: ValidatedInputs) -> None:
    for split in checked.splits.values():
        count = _("{count} rows").format(count=split.num_rows)
        terminal.result(padded(split_name(split.name), 12) + f"{count}  {split.source.name}")
    for line in checked.notes:
        terminal.result(f"{'':<12}{line}")
    if (lengths := checked.lengths) is None:
        return
    terminal.result(f"{'':<12}{lengths.note}")
    most = max(lengths.histogram.values())
    for top, rows in lengths.histogram.items():
        bar = "#" * -(-rows * _BAR // most)
        terminal.result(f"{'':<12}{top:>6} {rows:>7} {bar}".rstrip())


def _pilot(terminal: Terminal, checked: ValidatedInputs, rows: int) -> Pilot:
    from tunesmith.analysis.long_text_pilot import WAYS, run_pilot

    pilot = run_pilot(checked, rows=rows, say=terminal.say)
    head = _("pilot: {scored} rows of more than {limit} tokens, learned from {train} others")
    terminal.result(head.format(scored=pilot.scored, limit=pilot.limit, train=pilot.train))
    rows_of_table = []
    for way, names in pilot.differences.items():
        one = names[pilot.score]
        interval = one.interval and f"{one.interval.low:+.3f} {one.interval.high:+.3f}"
        rows_of_table.append(
            {
                "": way,
                pilot.score: f"{one.second:.3f}",
                WAYS[0]: f"{one.first:.3f}",
                _("difference"): f"{one.change:+.3f}",
                "95%": interval or "",
                _("tokens"): f"{pilot.tokens[way] / pilot.tokens[WAYS[0]]:.1f} ×",
            }
        )
    terminal.table(rows_of_table)
    terminal.result(
        _("{way} is better: train with --long {way}").format(way=pilot.best)
        if pilot.best != WAYS[0]
        else _("no way is significantly better than {head}").format(head=WAYS[0])
    )
    return pilot


def _summary(counts: Counter[Severity]) -> str:
    errors, warnings = counts[Severity.ERROR], counts[Severity.WARNING]
    if not errors and not warnings:
        return _("no problems")
    return _("{errors}, {warnings}").format(
        errors=ngettext("{count} error", "{count} errors", errors).format(count=errors),
        warnings=ngettext("{count} warning", "{count} warnings", warnings).format(count=warnings),
    )
