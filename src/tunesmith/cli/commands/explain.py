"""`tunesmith explain`."""

from __future__ import annotations

import click

from tunesmith.api.display.terminal import Terminal
from tunesmith.cli.options import common, examples
from tunesmith.errors import RecipeError
from tunesmith.explanations import Explanation, explanations
from tunesmith.i18n import gettext as _
from tunesmith.text import nearest

__all__ = ["command"]


@click.command(
    "explain",
    help=_(
        "Explain error codes: what each means, its cause, what to do and the exit code. Without a "
        "code, list all of them."
    ),
    epilog=examples("tunesmith explain D203", "tunesmith explain R104 M111 --json"),
)
@click.argument("codes", nargs=-1)
@common
def command(terminal: Terminal, codes: tuple[str, ...]) -> int:
    """Print each explanation, or the list."""
    known = explanations()
    chosen = [_named(code.upper()) for code in codes] or list(known.values())
    for i, each in enumerate(chosen):
        explained = each.translated()
        if not codes:
            terminal.result(f"{explained.code}  {explained.title}")
            continue
        lines = ["", *_lines(explained)] if i else _lines(explained)
        for line in lines:
            terminal.result(line)
    terminal.record({"codes": [each.translated().as_json() for each in chosen]})
    return 0


def _named(code: str) -> Explanation:
    """The explanation of a code.

    Raises:
        RecipeError: there is no such code (R205).
    """
    known = explanations()
    if code in known:
        return known[code]
    begun = [each for each in known if each.startswith(code)]
    similar = ", ".join(nearest(code, known, how_many=3) or begun[:3])
    fix = _("Similar codes: {names}. `tunesmith explain` lists all.").format(names=similar)
    raise RecipeError.of(
        "R205",
        _('there is no code "{code}"').format(code=code),
        fix=fix if similar else _("`tunesmith explain` lists all codes."),
    )


def _lines(explained: Explanation) -> list[str]:
    ends = _("The command ends with exit code {code}.").format(code=explained.exit_code)
    if not explained.exit_code:
        ends = _("A warning or note: the command goes on.")
    return [
        f"{explained.code}: {explained.title}",
        "",
        explained.cause,
        "",
        _("What to do: {fix}").format(fix=explained.fix),
        ends,
    ]
