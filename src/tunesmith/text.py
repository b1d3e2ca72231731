"""Tables for notebooks: plain HTML, with every text of the data escaped."""

from __future__ import annotations

import html
from collections.abc import Collection, Mapping, Sequence

from tunesmith.errors import escape_controls

__all__ = ["html_table", "html_text"]

_CELL = "padding:2px 10px;text-align:{side};vertical-align:top"


def html_text(text: object) -> str:
    """A text as HTML shows it: nothing in it is markup, and nothing steers."""
    return html.escape(escape_controls(str(text)))


def html_table(
    rows: Sequence[Mapping[str, object]], *, align_right: Collection[str] = (), caption: str = ""
) -> str:
    """Rows with the same keys as a table; nothing for no rows.

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
