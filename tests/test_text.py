"""Tables for notebooks: what is in the data is never markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from tunesmith.errors import escape_controls
from tunesmith.text import html_table, html_text


class Cells(HTMLParser):
    """Reads a table back: its tags, and the text of each cell."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.cells: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag in ("th", "td"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_any_text_is_shown_as_it_is(texts: list[str]) -> None:
    read = Cells(html_table([{"<b>": text, "n": 1} for text in texts], align_right=["n"]))
    assert read.tags == {"table", "thead", "tbody", "tr", "th", "td"}
    wanted = ["<b>", "n"]
    for text in texts:
        wanted += [escape_controls(text), "1"]
    assert read.cells == wanted
    for text in texts:
        assert not re.search("[<>\"']", html_text(text))


def test_headings_sides_and_a_caption() -> None:
    table = html_table([{"a": "x", "b": 2}], align_right=["b"], caption="<1 row>")
    assert table.startswith("<table><caption>&lt;1 row&gt;</caption><thead><tr><th style=")
    sides = re.findall(r"text-align:(\w+)", table)
    assert sides == ["left", "right", "left", "right"]
    assert "<caption>" not in html_table([{"a": 1}])
    assert html_table([], caption="nothing") == ""
