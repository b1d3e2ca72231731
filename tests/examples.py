"""The examples: their READMEs' commands, run in this process, with what they print.

`python -m tests.examples NAME` prints what the commands of an example print now.
"""

from __future__ import annotations

import io
import os
import re
import runpy
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from tunesmith.cli import main

EXAMPLES = Path(__file__).parents[1] / "examples"
FOLDERS = sorted(path.parent for path in EXAMPLES.glob("*/README.md"))
READMES = ("README.md", "README.zh-CN.md")

_BLOCK = re.compile(
    r"(?P<mark><!-- not run: [^\n]* -->\n)?```sh\n(?P<code>.*?)```\n"
    r"(?:\n```text\n(?P<shown>.*?)```\n)?",
    re.DOTALL,
)
_EXIT_CODE = re.compile(r"# (?:exit code|退出码) (\d+)")


@dataclass(frozen=True)
class Step:
    """A command of a README.

    Attributes:
        words: the command.
        code: the exit code that its comment states, else 0.
    """

    words: tuple[str, ...]
    code: int

    def run(self) -> int:
        """Run it in this process and return its exit code."""
        program, *arguments = self.words
        if program == "tunesmith":
            return main(arguments)
        assert program == "python", self.words
        runpy.run_path(arguments[0], run_name="__main__")
        return 0


@dataclass(frozen=True)
class Block:
    """A block of commands, and what the page shows below it."""

    steps: tuple[Step, ...]
    shown: str | None
    is_run: bool


def blocks(page: Path) -> list[Block]:
    """Return the blocks of commands of a README."""
    return [
        Block(tuple(_steps(match["code"])), match["shown"], match["mark"] is None)
        for match in _BLOCK.finditer(page.read_text(encoding="utf-8"))
    ]


def _steps(code: str) -> Iterator[Step]:
    for line in code.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            stated = _EXIT_CODE.search(line)
            yield Step(tuple(words), int(stated[1]) if stated else 0)


def printed_by(block: Block) -> str:
    """Run the commands of a block; return what they print on both streams.

    Raises:
        AssertionError: a command exits with another code than its README states.
    """
    out = io.StringIO()
    for step in block.steps:
        with redirect_stdout(out), redirect_stderr(out):
            code = step.run()
        assert code == step.code, f"{shlex.join(step.words)}: {code}\n{out.getvalue()}"
    return out.getvalue()


def as_pattern(shown: str) -> re.Pattern[str]:
    """Return what output must match: `...` is any text, decimals are any, spaces are one.

    Decimals are what differs between processors; whole numbers, words and their order do not.
    """
    lines = []
    for line in shown.splitlines():
        parts = re.split(r"(-?\d+\.\d+(?:e-?\d+)?|\s+|\.\.\.)", line.strip())
        lines.append("".join(map(_part, parts)))
    return re.compile(r"\s*\n\s*".join(lines))


def _part(part: str) -> str:
    if part == "...":
        return r"(?:.|\n)*?"
    if re.fullmatch(r"-?\d+\.\d+(e-?\d+)?", part):
        return r"-?\d+\.\d+(?:e-?\d+)?"
    return r"[^\S\n]+" if part.isspace() else re.escape(part)


def copied(folder: Path, target: Path) -> Path:
    """Copy an example without what running it made, with its neighbors that it may read."""
    unwanted = shutil.ignore_patterns("runs", "__pycache__", "*.html")
    shutil.copytree(EXAMPLES, target, ignore=unwanted)
    return target / folder.name


def show() -> None:
    """Print the commands of the example in this folder with what they print."""
    for block in blocks(Path("README.md")):
        if block.is_run:
            print("\n".join(shlex.join(step.words) for step in block.steps))
            print(printed_by(block))


if __name__ == "__main__":
    for example in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as place:
            os.chdir(copied(EXAMPLES / example, Path(place) / "examples"))
            show()
            os.chdir(EXAMPLES)
