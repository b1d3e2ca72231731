"""Markdown that shows text of the data and does nothing with it."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from tunesmith.text import escape_controls

__all__ = ["code", "plain", "table"]

_MARKS = re.compile(r"[\\`*_{}\[\]()#+!|~$@]|(?<=:)/(?=/)|(?<=www)\.", re.IGNORECASE)
"""What changes the text next to it; the last two would make links of bare addresses."""


def plain(text: str) -> str:
    """Return text for a line of Markdown that shows it unchanged."""
    shown = " ".join(escape_controls(text).split())
    return html.escape(_MARKS.sub(r"\\\g<0>", shown), quote=False)


def code(text: str) -> str:
    """Text as inline code, whatever backticks it holds."""
    text = escape_controls(text)
    fence = "`" * (text.count("`") + 1)
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])
