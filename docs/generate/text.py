"""Texts of the generated pages in both languages, and Markdown tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.i18n import current_language

__all__ = ["Text", "cell", "prose", "table"]

_PROSE = Path(__file__).parent / "prose"


@dataclass(frozen=True)
class Text:
    """A text of a page that is not in the package."""

    english: str
    chinese: str

    @property
    def text(self) -> str:
        """The one in the language in use."""
        return self.chinese if current_language() == "zh" else self.english

    def __str__(self) -> str:
        return self.text

    def format(self, **values: object) -> str:
        """The text with values filled in."""
        return self.text.format(**values)


def prose(name: str) -> str:
    """What `prose/NAME.en.txt` or its Chinese twin holds, without line ends behind it."""
    return (_PROSE / f"{name}.{current_language()}.txt").read_text(encoding="utf-8").rstrip("\n")


_FLAG = re.compile(r"(?<![`\w-])--[a-z][\w-]*")


def cell(text: str) -> str:
    """A text for a cell of a table, on one line: flags as code, signs with a meaning escaped."""
    text = " ".join(text.split()).replace("|", "\\|").replace("*", "\\*")
    parts = text.split("`")
    parts[::2] = [_FLAG.sub(r"`\g<0>`", part) for part in parts[::2]]
    return "`".join(parts)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
