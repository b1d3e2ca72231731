"""The command line: parse arguments, call one function, print the result."""

from __future__ import annotations

import atexit
import gettext as stdlib_gettext
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module

import click

from tunesmith.api.display.terminal import Terminal
from tunesmith.cli.commands import COMMANDS
from tunesmith.cli.streams import lost_result, shielded
from tunesmith.cli.suggestions import (
    SuggestingGroup,
    unknown_option,
    with_corrected_command,
    with_new_flags,
)
from tunesmith.errors import Place, Problem, RecipeError, ResourceError, TunesmithError
from tunesmith.i18n import DOMAIN, LANGUAGES, LOCALE_FOLDER, current_language, use_language
from tunesmith.i18n import gettext as _
from tunesmith.jobs import exit_codes
from tunesmith.runs.unexpected import as_known
from tunesmith.storage import notices
from tunesmith.storage.operating_system import expanded

__all__ = ["load_command", "main"]


class _Commands(SuggestingGroup):
    """The group of all commands, which loads the module of one when it is called."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        return load_command(name)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section(_("Commands")):
            formatter.write_dl([(name, _(line)) for name, line in COMMANDS.items()])


def load_command(name: str) -> click.Command:
    """Import the module of a command and return the command."""
    command: click.Command = import_module(f"tunesmith.cli.commands.{name}").command
    return command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code.

    Args:
        arguments: None for those of this process, which then exits with that code.
    """
    if arguments is not None:
        return _main(list(arguments))
    ending = {"code": 70}
    atexit.register(_leave, ending)  # first, so that it is called last
    ending["code"] = _main(expanded(sys.argv[1:]))
    return ending["code"]


def _leave(ending: Mapping[str, int]) -> None:
    """Exit with the code of the command, after every other exit handler.

    Destructors of native libraries, which Python would run next, abort now and then while one of
    their threads still runs: exit code 134 instead of ours.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(ending["code"])


def _main(words: list[str]) -> int:
    _choose_language(words)
    words = _with_leading_options_moved(words)
    options = _before_values(words)
    flags = {"as_json": "--json" in options, "quiet": not {"-q", "--quiet"}.isdisjoint(options)}
    with shielded():
        try:
            terminal = Terminal.of(flags)  # for errors before or outside a command
        except TunesmithError as error:
            Terminal(flags["as_json"]).problems(error.problems)
            return error.exit_code
        with notices.listening(lambda problem: terminal.problems([problem])):
            code = _run(terminal, words)
        terminal.problems(notices.take())
        if code == 0 and (loss := lost_result()) and not _KEEPS_A_RUN.intersection(words[:1]):
            terminal.problems([_lost(loss)])
            return ResourceError.exit_code
        return code


_KEEPS_A_RUN = frozenset({"train", "quickstart"})
"""Commands whose result is a run folder; lost output does not make them fail."""


def _lost(loss: Exception) -> Problem:
    """The error for a result that stdout did not take."""
    reason = getattr(loss, "strerror", None) or str(loss)
    return Problem(
        "C107",
        _("the result could not be written: {reason}").format(reason=reason),
        Place("stdout"),
        fix=_("Free space where the output goes, and run the command again."),
    )


def _run(terminal: Terminal, words: Sequence[str]) -> int:
    """Run one command, print its errors and return the exit code."""
    debug = "--debug" in _before_values(words)
    try:
        from tunesmith.storage.hub import prepare_environment

        if note := prepare_environment():
            terminal.say(note)
        words = with_new_flags(words)
        result = _group().main(
            args=list(words), prog_name="tunesmith", standalone_mode=False, obj=tuple(words)
        )
        return int(result or 0)
    except (KeyboardInterrupt, click.Abort):
        terminal.say(_("stopped"))
        return 130
    except Exception as error:
        if debug and not isinstance(error, click.ClickException):
            terminal.traceback()
        known = _as_known(error, words, debug=debug)
        exit_codes.remember(known)
        if isinstance(error, TunesmithError):
            terminal.problems(with_corrected_command(known.problems, words, _command_of(words)))
        else:
            terminal.problems(known.problems)
        return known.exit_code


def _command_of(words: Sequence[str]) -> click.Command | None:
    name = next((word for word in words if word in COMMANDS), None)
    return load_command(name) if name else None


def _as_known(error: Exception, words: Sequence[str], *, debug: bool) -> TunesmithError:
    """The error with its code; an unexpected exception is reported as a bug (M000)."""
    if isinstance(error, click.NoSuchOption):
        return RecipeError(unknown_option(error, words))
    if isinstance(error, click.ClickException):
        context = error.ctx if isinstance(error, click.UsageError) else None
        fix = context.get_usage() if context else None
        return RecipeError.of("R100", error.format_message(), fix=fix)
    return as_known(error, debug=debug)


def _group() -> click.Group:
    @click.group(
        cls=_Commands,
        help=_("Fine-tune pretrained transformers on your own labeled text."),
        epilog=_("Start with: tunesmith train my.csv"),
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    @click.version_option(package_name="tunesmith")
    @click.option("--lang", type=click.Choice(LANGUAGES), help=_("Language of messages."))
    def group(lang: str | None) -> None:  # `_main` has read and removed a valid --lang
        pass

    return group


def _with_leading_options_moved(words: Sequence[str]) -> list[str]:
    """Move the options that every command takes behind the command, where click expects them.

    `--json`, `-q` and `--debug` before the command move behind it; a valid `--lang`, which
    `_choose_language` has read, is removed.
    """
    before = list(_before_values(words))
    after = list(words[len(before) :])
    for i in reversed(range(len(before))):
        if before[i] == "--lang" and before[i + 1 : i + 2] and before[i + 1] in LANGUAGES:
            del before[i : i + 2]
        elif before[i].startswith("--lang=") and before[i].removeprefix("--lang=") in LANGUAGES:
            del before[i]
    leading: list[str] = []
    while before and before[0] in ("--json", "-q", "--quiet", "--debug"):
        leading.append(before.pop(0))
    return [*before, *leading, *after]


def _before_values(words: Sequence[str]) -> Sequence[str]:
    """The words before `--`; nothing after it is an option."""
    return words[: words.index("--")] if "--" in words else words


def _choose_language(words: Sequence[str]) -> None:
    """Set the language before any command is loaded, for the messages of click, too."""
    chosen = None
    words = _before_values(words)
    for i, word in enumerate(words):
        if word == "--lang" and i + 1 < len(words):
            chosen = words[i + 1]
        elif word.startswith("--lang="):
            chosen = word.removeprefix("--lang=")
    use_language(chosen if chosen in LANGUAGES else None)
    os.environ["LANGUAGE"] = current_language()
    stdlib_gettext.bindtextdomain(DOMAIN, str(LOCALE_FOLDER))
    stdlib_gettext.textdomain(DOMAIN)
