"""What to type instead: new names of flags, the nearest command or key, a corrected command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import click

from tunesmith.errors import Place, Problem, RecipeError, Severity
from tunesmith.i18n import gettext as _
from tunesmith.recipe import key_close_to, key_named
from tunesmith.recipe.renamed import RENAMED_FLAGS, both_message, renamed_message
from tunesmith.storage import notices
from tunesmith.text import did_you_mean, shell_quoted

__all__ = ["SuggestingGroup", "unknown_option", "with_corrected_command", "with_new_flags"]


class SuggestingGroup(click.Group):
    """A click group that suggests the nearest command."""

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve as click does, but with our message for an unknown command."""
        known = self.list_commands(context)
        if args and not args[0].startswith("-") and args[0] not in known:
            message = _('there is no command "{name}".').format(name=args[0])
            hint = did_you_mean(args[0], known)
            raise click.UsageError(f"{message} {hint}" if hint else message, context)
        return super().resolve_command(context, args)


def with_new_flags(words: Sequence[str]) -> list[str]:
    """Replace renamed flags of a command line by their current names, and show a notice for each.

    Raises:
        RecipeError: a flag is present under both names (R125).
    """
    end = words.index("--") if "--" in words else len(words)
    names = [word.partition("=")[0] for word in words[:end]]
    renamed = list(words)
    for old, new in RENAMED_FLAGS.items():
        if old not in names:
            continue
        if new in names:
            fix = _("Remove {name}.").format(name=old)
            raise RecipeError.of("R125", both_message(old, new), Place(old), fix=fix)
        message = renamed_message(old, new)
        notices.show_now(Problem("R124", message, Place(old), severity=Severity.NOTE))
        for i, name in enumerate(names):
            if name == old:
                renamed[i] = new + words[i].removeprefix(old)
    return renamed


def unknown_option(error: click.NoSuchOption, words: Sequence[str]) -> Problem:
    """Describe an option that does not exist, with the recipe key or the option that was meant.

    Args:
        error: as click raises it.
        words: the command line, to repeat the value that follows the option.
    """
    usage = error.ctx.get_usage() if error.ctx else None
    option = error.option_name.lstrip("-")
    takes_sets = error.ctx is not None and any(p.name == "sets" for p in error.ctx.command.params)
    key = key_named(option)
    if key is None and not error.possibilities:
        key = key_close_to(option)
    if key is None or not takes_sets:
        return Problem("R100", error.format_message(), fix=usage)
    meant = f"--set {key}={_value_after(error.option_name, words)}"
    return Problem(
        "R150",
        _("there is no option {option}").format(option=error.option_name),
        fix=_('did you mean "{name}"?').format(name=meant),
    )


def _value_after(option: str, words: Sequence[str]) -> str:
    """The value of an option, `--option=value` or `--option value`; "…" if there is none."""
    for i, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name == option:
            if equals:
                return value
            if i + 1 < len(words) and not words[i + 1].startswith("--"):
                return words[i + 1]
    return "…"


def with_corrected_command(
    problems: Sequence[Problem], words: Sequence[str], command: click.Command | None
) -> list[Problem]:
    """Add the whole corrected command line to the last of the problems that options fix.

    Args:
        problems: what went wrong.
        words: the command line, without the name of the program.
        command: the command that ran, None if unknown.
    """
    flags = {problem.flags: None for problem in problems if problem.flags}
    command = _innermost(command, words)
    known = {word for parameter in command.params for word in parameter.opts} if command else set()
    if not flags or any(flag[0] not in known for flag in flags):
        return list(problems)
    end = list(words).index("--") if "--" in words else len(words)
    before = list(words[:end])
    for name, value in flags:
        before = [*_without_option(before, name), name, value]
    line = " ".join(["tunesmith", *map(shell_quoted, before), *map(shell_quoted, words[end:])])
    last = max(i for i, problem in enumerate(problems) if problem.flags)
    fix = "\n".join(part for part in (problems[last].fix, line) if part)
    return [*problems[:last], replace(problems[last], fix=fix), *problems[last + 1 :]]


def _innermost(command: click.Command | None, words: Sequence[str]) -> click.Command | None:
    """The command that a group ran, such as `show` of `data show`."""
    while isinstance(command, click.Group):
        command = next((command.commands[word] for word in words if word in command.commands), None)
    return command


def _without_option(words: Sequence[str], name: str) -> list[str]:
    """The words without an option and its value."""
    rest: list[str] = []
    skips = False
    for word in words:
        if skips:
            skips = False
        elif word == name:
            skips = True
        elif not word.startswith(f"{name}="):
            rest.append(word)
    return rest
