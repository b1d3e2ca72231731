"""CONTRIBUTING.md lists every file that a change touches: its lists are compared with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import doc_twins, words
from tests.doc_names import Names, unknown_names

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "tunesmith"
PAGES = {"en": ROOT / "CONTRIBUTING.md", "zh": ROOT / "CONTRIBUTING.zh-CN.md"}
COMMUNITY = ("CONTRIBUTING.md", "CONTRIBUTING.zh-CN.md", "SECURITY.md", "CODE_OF_CONDUCT.md")
EXAMPLES = {
    "A task": ("text_regression", r"text_regression|TextRegression"),
    "A file format": ("excel", r"excel_reader"),
    "A metric": ("mean_squared_error", r"\"mean_squared_error"),
    "A command": ("doctor", r'"doctor"'),
    "An error code": ("D119", r'D119"'),
}
"""By heading: what NAME is in the example, and what the files that belong to it contain."""


def sections(page: Path) -> dict[str, list[str]]:
    """The files in the first column of the table below each heading of level three."""
    tables: dict[str, list[str]] = {}
    for part in page.read_text(encoding="utf-8").split("\n### ")[1:]:
        title, _line, text = part.partition("\n")
        files = re.findall(r"^\| `([^`]+)` \|", text.split("\n## ")[0], re.MULTILINE)
        if files:
            tables[title] = files
    return tables


LISTS = sections(PAGES["en"])


def test_every_list_has_an_example() -> None:
    assert LISTS.keys() == EXAMPLES.keys()


@pytest.mark.parametrize("title", EXAMPLES)
def test_listed_files_exist(title: str) -> None:
    for name in LISTS[title]:
        assert (ROOT / name.replace("NAME", EXAMPLES[title][0])).is_file(), name


@pytest.mark.parametrize("title", EXAMPLES)
def test_no_file_is_missing_from_a_list(title: str) -> None:
    name, pattern = EXAMPLES[title]
    listed = {ROOT / each.replace("NAME", name) for each in LISTS[title]}
    using = {path for path in sources() if re.search(pattern, path.read_text(encoding="utf-8"))}
    assert using
    assert sorted(using - listed) == [], f'list these files under "{title}" in CONTRIBUTING.md'


def sources() -> list[Path]:
    return [*SOURCE.rglob("*.py"), *(ROOT / "docs" / "generate").rglob("*.py")]


@pytest.mark.parametrize("name", COMMUNITY)
def test_links_and_names_exist(name: str) -> None:
    page = ROOT / name
    assert doc_twins.links(page)
    assert doc_twins.broken_links(page) == []
    text = re.sub(r"`[^`]*(?:NAME|X)[^`]*`", "", page.read_text(encoding="utf-8"))
    assert unknown_names(text, Names(ROOT)) == []


def test_both_languages_say_the_same() -> None:
    assert list(doc_twins.differences(PAGES["en"], PAGES["zh"])) == []


def test_both_languages_list_the_same_files_and_commands() -> None:
    assert list(sections(PAGES["zh"]).values()) == list(LISTS.values())
    code = {name: page.read_text(encoding="utf-8").split("```") for name, page in PAGES.items()}
    commands = {
        name: [line.partition("#")[0].strip() for part in parts[1::2] for line in part.splitlines()]
        for name, parts in code.items()
    }
    assert commands["en"] == commands["zh"]
    for name, page in PAGES.items():
        text = page.read_text(encoding="utf-8")
        targets = set(re.findall(r"`make ([a-z-]+)`", text))
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert {"check", "test", "docs"} <= targets
        assert all(f"\n{target}:" in makefile for target in targets), name


def test_words_that_the_glossary_replaces_are_found() -> None:
    page = (ROOT / "docs" / "terms.md").read_text(encoding="utf-8")
    table = page.split("<!-- glossary -->")[1].split("<!-- /glossary -->")[0]
    rows = re.findall(r"^\| (.+) \| (`.+`) \|$", table, re.MULTILINE)
    assert len(rows) > 15
    for write, instead_of in rows:
        assert list(words.in_text(write)) == [], write
        for phrase in re.findall(r"`([^`]+)`", instead_of):
            assert list(words.in_text(phrase)), f"{phrase}: tests/words.py does not find it"
