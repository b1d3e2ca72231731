"""Text for messages, terminals and notebooks: shortened, quoted, escaped, as an HTML table."""

from __future__ import annotations

import difflib
import heapq
import html
import os
import re
import shlex
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice

from tunesmith.i18n import gettext as _

__all__ = [
    "did_you_mean",
    "escape_controls",
    "html_table",
    "html_text",
    "nearest",
    "quoted",
    "redact",
    "shell_quoted",
    "shortened",
]

_CONTROLS = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories of characters that are not visible but have an effect."""

_HARMLESS = "\u200c\u200d\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2"
"""Exceptions: joiners, which emoji and some scripts need, and Arabic signs."""


def escape_controls(text: str, *, keep: str = "") -> str:
    r"""Replace invisible characters by their JSON escapes, such as "\u001b" and "\u202e".

    These are controls (escape, line breaks), marks of writing direction, characters without width,
    and halves of surrogate pairs. Visible text is unchanged, and JSON keeps its meaning.

    Args:
        text: of the data, or something that contains such text.
        keep: characters to leave alone, such as "\n".
    """
    if text.isprintable():
        return text
    return "".join(
        sign
        if sign.isprintable() or sign in keep or sign in _HARMLESS or not _is_control(sign)
        else _json_escape(sign)
        for sign in text
    )


def _is_control(sign: str) -> bool:
    return unicodedata.category(sign) in _CONTROLS


def _json_escape(sign: str) -> str:
    units = sign.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


_MOST_RANKED = 20_000
"""How many known words are considered."""
_MOST_COMPARED = 64
"""How many of them are compared letter by letter, which takes a hundred times as long."""
_LONGEST_WORD = 120
"""A longer word is no typo, and comparing takes the square of the length."""


def nearest(word: str, known: Iterable[str], *, how_many: int = 1) -> list[str]:
    """Return the known words closest to `word`, best first; empty if none is close. Ignores case.

    Close is a ratio of matching blocks of 0.6 or more, by `difflib`. Of more than 64 known words
    only the 64 that share most letters and pairs of letters are compared.
    """
    folded = word.casefold()
    if len(folded) > _LONGEST_WORD:
        return []
    by_folded = {
        candidate.casefold(): candidate
        for candidate in islice(known, _MOST_RANKED)
        if len(candidate) <= _LONGEST_WORD
    }
    candidates: Iterable[str] = by_folded
    if len(by_folded) > _MOST_COMPARED:
        candidates = _sharing_letters(folded, by_folded)
    close = difflib.get_close_matches(folded, candidates, n=how_many, cutoff=0.6)
    return [by_folded[folded] for folded in close]


def did_you_mean(word: str, known: Iterable[str], *, otherwise: str = "") -> str | None:
    """Return how to fix a name that does not exist: the nearest known one, then `otherwise`."""
    close = nearest(word, known)
    hint = _('did you mean "{name}"?').format(name=close[0]) if close else ""
    return "\n".join(part for part in (hint, otherwise) if part) or None


def _sharing_letters(word: str, known: Iterable[str]) -> list[str]:
    """Return the known words that share most letters and pairs of letters, for their length."""
    parts = {*word, *(word[i : i + 2] for i in range(len(word) - 1))}

    def overlap(candidate: str) -> float:
        return sum(part in candidate for part in parts) / (len(word) + len(candidate) + 1)

    return heapq.nlargest(_MOST_COMPARED, known, key=overlap)


def quoted(words: Sequence[object], *, at_most: int = 20) -> str:
    """Join words in quotes by commas and count the rest: '"a", "b" … (5 more)'."""
    shown = ", ".join(f'"{escape_controls(str(word))}"' for word in words[:at_most])
    if len(words) > at_most:
        shown += " … " + _("({count} more)").format(count=len(words) - at_most)
    return shown


def shell_quoted(argument: object, *, windows: bool = os.name == "nt") -> str:
    """Quote a path or name for a shell, where it needs quotes.

    Args:
        argument: the path or name.
        windows: for cmd and PowerShell, which both take double quotes, instead of POSIX shells.
    """
    text = str(argument)
    if not windows:
        return shlex.quote(text)
    if re.fullmatch(r"[\w.:/\\+-]+", text):
        return text
    # backslashes count only before a quote, the last one included: there two mean one
    return '"' + re.sub(r'(\\*)("|$)', r"\1\1\2", text).replace('"', '\\"') + '"'


def shortened(text: str, *, at_most: int = 80) -> str:
    """Return the text on one line, cut to `at_most` characters."""
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= at_most else one_line[: at_most - 1] + "…"


_TOKEN = re.compile(r"\b(hf|api_org)_[A-Za-z0-9]{8,}")
_USER_OF_URL = re.compile(r"://(?:[^\s/]*:\S*|[^\s/]+)@")
"""User and password of an address, also with characters that should be escaped there."""


def redact(text: str) -> str:
    """Mask Hugging Face access tokens, and users and passwords in addresses."""
    return _USER_OF_URL.sub("://…@", _TOKEN.sub(r"\1_…", text))


_CELL = "padding:2px 10px;text-align:{side};vertical-align:top"


def html_text(text: object) -> str:
    """Escape a text for HTML, controls included."""
    return html.escape(escape_controls(str(text)))


def html_table(
    rows: Sequence[Mapping[str, object]], *, align_right: Collection[str] = (), caption: str = ""
) -> str:
    """Return rows with the same keys as an HTML table; an empty string for no rows.

    Args:
        rows: the keys of the first are the headings.
        align_right: headings of columns of numbers.
        caption: a line above it.
    """
    if not rows:
        return ""

    def cells(tag: str, row: Mapping[str, object]) -> str:
        styles = {
            name: _CELL.format(side="right" if name in align_right else "left") for name in rows[0]
        }
        return "".join(
            f'<{tag} style="{style}">{html_text(row[name])}</{tag}>'
            for name, style in styles.items()
        )

    head = f"<thead><tr>{cells('th', {name: name for name in rows[0]})}</tr></thead>"
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    title = f"<caption>{html_text(caption)}</caption>" if caption else ""
    return f"<table>{title}{head}<tbody>{body}</tbody></table>"
