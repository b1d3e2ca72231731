"""The same command with the options that fix what went wrong, ready to be copied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import click

from tunesmith.errors import Problem
from tunesmith.text import shell_quoted

__all__ = ["with_corrected_command"]


def with_corrected_command(
    problems: Sequence[Problem], words: Sequence[str], command: click.Command | None
) -> list[Problem]:
    """The problems, the last of those that options fix with the whole corrected command.

    Args:
        problems: what went wrong.
        words: the command line, without the name of the program.
        command: the one that ran, None if it is not known.
    """
    flags = {problem.flags: None for problem in problems if problem.flags}
    command = _innermost(command, words)
    known = {word for parameter in command.params for word in parameter.opts} if command else set()
    if not flags or any(flag[0] not in known for flag in flags):
        return list(problems)
    end = list(words).index("--") if "--" in words else len(words)
    before = list(words[:end])
    for name, value in flags:
        before = [*_without(before, name), name, value]
    line = " ".join(["tunesmith", *map(shell_quoted, before), *map(shell_quoted, words[end:])])
    told = list(problems)
    last = max(i for i, problem in enumerate(told) if problem.flags)
    fix = "\n".join(part for part in (told[last].fix, line) if part)
    told[last] = replace(told[last], fix=fix)
    return told


def _innermost(command: click.Command | None, words: Sequence[str]) -> click.Command | None:
    """The command that a group ran, such as `show` of `data show`."""
    while isinstance(command, click.Group):
        command = next((command.commands[word] for word in words if word in command.commands), None)
    return command


def _without(words: Sequence[str], name: str) -> list[str]:
    """The words but for an option and its value."""
    kept: list[str] = []
    skips = False
    for word in words:
        if skips:
            skips = False
        elif word == name:
            skips = True
        elif not word.startswith(f"{name}="):
            kept.append(word)
    return kept
