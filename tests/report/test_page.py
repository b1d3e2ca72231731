"""The page: one file, nothing fetched, nothing run, whatever the data says."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from tunesmith.report.page import (
    Cell,
    Code,
    Figure,
    Listed,
    Page,
    Section,
    Table,
    Words,
    render,
)

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><script>alert(1)</script>",
    "</title><svg onload=alert(1)>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "' onmouseover='alert(1)",
    "<!-- --><base href=//evil>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "</pre></section><form action=//evil>",
    "\u202egnp.exe\u202c",
    "\x00\x08\x1b[31mred",
]


def page_of(text: str) -> str:
    cell = [[Cell(text), Cell(text, "long"), Cell("1", "number")]]
    return render(
        Page(
            title=text,
            lead=text,
            language="en",
            figures=[Figure(text, text, text)],
            verdicts=[text],
            sections=[
                Section(text, [Words(text), Listed([text]), Code(text), Table([text], cell, text)])
            ],
            footer=text,
        )
    )


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def seen(text: str) -> Seen:
    parser = Seen()
    parser.feed(page_of(text))
    return parser


@pytest.mark.parametrize("text", HOSTILE)
def test_no_element_is_born_of_data(text: str) -> None:
    plain, found = seen("plain"), seen(text)
    assert found.tags == plain.tags
    assert {name for name, _value in found.attributes} == {n for n, _value in plain.attributes}
    assert not {name for name, _value in found.attributes if name.startswith("on")}


def test_nothing_is_fetched_and_nothing_runs() -> None:
    found = seen("plain")
    assert "script" not in found.tags
    links = [value for name, value in found.attributes if name in ("href", "src", "action")]
    assert all(str(link).startswith("#") for link in links)
    policy = next(str(v) for n, v in found.attributes if n == "content" and "default-src" in str(v))
    assert policy.startswith("default-src 'none'")


def test_the_policy_knows_the_style() -> None:
    html = page_of("plain")
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"sha256-{digest}" in html.replace("&#43;", "+")
