"""What to say to a command or an option that does not exist: the nearest one that does."""

from __future__ import annotations

from collections.abc import Sequence

import click

from tunesmith.errors import Place, Problem, RecipeError, Severity
from tunesmith.i18n import gettext as _
from tunesmith.recipe import key_close_to, key_named
from tunesmith.recipe.renamed import RENAMED_FLAGS, both_message, renamed_message
from tunesmith.storage import notices
from tunesmith.text import nearest

__all__ = ["Verbs", "unknown_option", "with_new_flags"]


class Verbs(click.Group):
    """A click group with suggestions."""

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with our words."""
        known = self.list_commands(context)
        if args and not args[0].startswith("-") and args[0] not in known:
            close = nearest(args[0], known)
            hint = " " + _('did you mean "{name}"?').format(name=close[0]) if close else ""
            raise click.UsageError(
                _('there is no command "{name}".').format(name=args[0]) + hint, context
            )
        return super().resolve_command(context, args)


def with_new_flags(words: Sequence[str]) -> list[str]:
    """A command line with every flag under its name now; a notice is shown for each old name.

    Raises:
        RecipeError: a flag is there under both names (R125).
    """
    end = words.index("--") if "--" in words else len(words)
    names = [word.partition("=")[0] for word in words[:end]]
    renamed = list(words)
    for old, new in RENAMED_FLAGS.items():
        if old not in names:
            continue
        if new in names:
            fix = _("Remove {name}.").format(name=old)
            raise RecipeError(Problem("R125", both_message(old, new), Place(old), fix=fix))
        message = renamed_message(old, new)
        notices.show_now(Problem("R124", message, Place(old), severity=Severity.NOTE))
        for i, name in enumerate(names):
            if name == old:
                renamed[i] = new + words[i].removeprefix(old)
    return renamed


def unknown_option(error: click.NoSuchOption, words: Sequence[str]) -> Problem:
    """An option that does not exist, with the key of the recipe or the option that was meant.

    Args:
        error: as click raises it.
        words: the command line, to repeat the value that was written behind the option.
    """
    usage = error.ctx.get_usage() if error.ctx else None
    option = error.option_name.lstrip("-")
    takes_sets = error.ctx is not None and any(p.name == "sets" for p in error.ctx.command.params)
    key = key_named(option)
    if key is None and not error.possibilities:
        key = key_close_to(option)
    if key is None or not takes_sets:
        return Problem("R100", error.format_message(), fix=usage)
    meant = f"--set {key}={_value_behind(error.option_name, words)}"
    return Problem(
        "R150",
        _("there is no option {option}").format(option=error.option_name),
        fix=_('did you mean "{name}"?').format(name=meant),
    )


def _value_behind(option: str, words: Sequence[str]) -> str:
    """What was written behind an option, `--option=value` or `--option value`; else "…"."""
    for i, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name == option:
            if equals:
                return value
            if i + 1 < len(words) and not words[i + 1].startswith("--"):
                return words[i + 1]
    return "…"
