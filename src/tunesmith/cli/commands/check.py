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
    epilog=examples("tunesmith check tickets.csv", "tunesmith check recipe.yaml --strict --json"),
)
@click.argument("what", nargs=-1, required=True)
@click.option("--strict", is_flag=True, help=_("Treat warnings as errors."))
@recipe_options
def command(terminal: Terminal, what: tuple[str, ...], strict: bool, **flags: Any) -> int:
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
    terminal.record(
        {
            "is_good": code == 0,
            "counts": {str(severity): counts[severity] for severity in Severity},
            "problems": [problem.as_json() for problem in problems],
            "rows": {name: split.num_rows for name, split in checked.splits.items()}
            if checked
            else None,
            "lengths": asdict(checked.lengths) if checked and checked.lengths else None,
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


def _summary(counts: Counter[Severity]) -> str:
    errors, warnings = counts[Severity.ERROR], counts[Severity.WARNING]
    if not errors and not warnings:
        return _("no problems")
    return _("{errors}, {warnings}").format(
        errors=ngettext("{count} error", "{count} errors", errors).format(count=errors),
        warnings=ngettext("{count} warning", "{count} warnings", warnings).format(count=warnings),
    )
