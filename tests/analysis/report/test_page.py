"""The page: one file, nothing fetched, nothing run, whatever the data says."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest

from tests.hostile import HOSTILE, Elements
from tunesmith.analysis.report.page import (
    Cell,
    Figure,
    Listed,
    Page,
    Section,
    Table,
    Words,
    render,
)
from tunesmith.text import escape_controls


def page_of(text: str) -> str:
    cell = [[Cell(text), Cell(text, "long"), Cell("1", "number")]]
    return render(
        Page(
            title=text,
            lead=text,
            headline=text,
            tone="good",
            language="en",
            figures=[Figure(text, text, text)],
            sections=[
                Section(
                    text,
                    [Words(text), Listed([text]), Words(text, "code"), Table([text], cell, text)],
                )
            ],
            footer=text,
        )
    )


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_element_is_born_of_data(text: str) -> None:
    plain, result = Elements(page_of("plain")), Elements(page_of(text))
    assert not result.faults
    assert result.tags == plain.tags
    assert {name for name, _value in result.attributes} == {n for n, _value in plain.attributes}
    assert not {name for name, _value in result.attributes if name.startswith("on")}
    assert escape_controls(page_of(text), keep="\n\t") == page_of(text)
    assert escape_controls(text, keep="\n\t") in result.words


def test_nothing_is_fetched_and_nothing_runs() -> None:
    result = Elements(page_of("plain"))
    assert "script" not in result.tags
    links = [value for name, value in result.attributes if name in ("href", "src", "action")]
    assert all(str(link).startswith("#") for link in links)
    policy = next(
        str(v) for n, v in result.attributes if n == "content" and "default-src" in str(v)
    )
    assert policy.startswith("default-src 'none'")


def test_the_policy_knows_the_style() -> None:
    html = page_of("plain")
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"sha256-{digest}" in html.replace("&#43;", "+")
