"""The page: text, tables and charts as one self-contained HTML file.

No script, nothing to fetch, and a content policy that says so. Text of data is escaped by the
template; a chart is markup because `charts` escaped its text. Control characters of the whole page
are escaped at the end, so that no text changes the direction of the text around it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import ClassVar

from markupsafe import Markup

from tunesmith.text import escape_controls

__all__ = ["Cell", "Charts", "Figure", "Listed", "Page", "Section", "Table", "Words", "render"]


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph; of the kind "code" preformatted text."""

    text: str
    kind: str = "words"


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of sentences."""

    kind: ClassVar[str] = "list"
    items: Sequence[str]


@dataclass(frozen=True, slots=True)
class Charts:
    """Charts, made by `charts`, next to each other where there is room."""

    kind: ClassVar[str] = "charts"
    charts: Sequence[Markup]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of a table; `kind` is "number", "long" for texts of the data, or nothing.

    In a confusion matrix "head", and "right d0" to "wrong d5" by the fraction of the row.
    """

    text: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows below a head; `style` is "confusion" or nothing."""

    kind: ClassVar[str] = "table"
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    style: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One important number, in large type."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page."""

    title: str
    parts: Sequence[Words | Listed | Charts | Table]


@dataclass(frozen=True, slots=True)
class Page:
    """All that is shown, in the order it is shown.

    Attributes:
        title: the name of the run.
        headline: how good the model is, one sentence.
        tone: of the headline: "good", "bad" or "neutral".
        lead: what was trained on what.
        language: of all words, as HTML spells it.
        figures: numbers, the most important first.
        sections: the rest.
        footer: the last line.
    """

    title: str
    headline: str
    tone: str
    lead: str
    language: str
    figures: Sequence[Figure]
    sections: Sequence[Section]
    footer: str


def render(page: Page) -> str:
    """Return the page as HTML."""
    style = _part("page.css")
    digest = hashlib.sha256(style.encode()).digest()
    html = _template().render(
        page=page,
        style=Markup(style),
        style_hash="sha256-" + base64.b64encode(digest).decode(),
    )
    return escape_controls(str(html), keep="\n\t")


def _part(name: str) -> str:
    return files("tunesmith.analysis.report").joinpath(name).read_text(encoding="utf-8")


@cache
def _template():  # type: ignore[no-untyped-def]  # jinja2 is loaded late
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(_part("page.html"))
