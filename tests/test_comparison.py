"""The comparison page: what it claims is proved, and both languages claim the same.

A row is `| title[^note] | ours | Trainer | AutoGluon | SetFit |`; its footnote names the proof of
our cell and a source for each of the others.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = {"en": ROOT / "docs" / "comparison.md", "zh": ROOT / "docs" / "zh" / "comparison.md"}
VERDICTS = {"yes": "yes", "partly": "partly", "no": "no", "是": "yes", "部分": "partly", "否": "no"}
OTHERS = ("Trainer", "AutoGluon", "SetFit")
SOURCE = re.compile(
    r"\b(?:src/transformers|autogluon/multimodal|autogluon/common|setfit|sentence_transformers)"
    r"/[\w/]+\.(?:py|yaml)|https://[^)\s]+"
)
"""A file of a wheel or of a repository, or a page."""
CELL = re.compile(r"(?:\[(\w+)\]\(([^)]+)\)|(\w+))$")


@dataclass(frozen=True)
class Row:
    """A row of a table, without its language.

    Args:
        note: the label of its footnote; empty in the short table.
        title: what is compared.
        link: where our cell links to.
        verdicts: ours and the others', in English.
    """

    note: str
    title: str
    link: str
    verdicts: tuple[str, ...]


def row_of(line: str) -> Row | None:
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    if len(cells) != 5 or cells[1] in ("Tunesmith", "---"):
        return None
    title = re.fullmatch(r"(.+?)(?:\[\^(\w+)\])?", cells[0])
    matches = [CELL.match(cell) for cell in cells[1:]]
    assert title is not None and all(matches), line
    words = [match[1] or match[3] for match in matches if match is not None]
    assert matches[0] is not None and matches[0][2], f"our cell has no link: {line}"
    return Row(title[2] or "", title[1], matches[0][2], tuple(VERDICTS[word] for word in words))


@cache
def tables(lang: str) -> tuple[list[Row], list[Row]]:
    """The short table and the full ones."""
    text = PAGES[lang].read_text(encoding="utf-8")
    rows = [row for line in text.splitlines() if line.startswith("|") and (row := row_of(line))]
    return [row for row in rows if not row.note], [row for row in rows if row.note]


@cache
def notes(lang: str) -> dict[str, dict[str, str]]:
    """By footnote: what it says of each tool."""
    text = PAGES[lang].read_text(encoding="utf-8")
    parts = re.findall(r"^\[\^(\w+)\]: (.*(?:\n    .*)*)", text, re.MULTILINE)
    return {
        label: dict(re.findall(r"\*\*(\w+)\*\*(?:: |：)(.+)", content)) for label, content in parts
    }


def proofs(lang: str, label: str) -> list[tuple[str, str]]:
    return re.findall(r"\[([^\]]+)\]\(([^)#]+)[^)]*\)", notes(lang)[label]["Tunesmith"])


@pytest.mark.parametrize("lang", PAGES)
def test_our_cells_are_proved(lang: str) -> None:
    """Each links to the first proof of its footnote; tests that are named exist."""
    _short, rows = tables(lang)
    for row in rows:
        cited = proofs(lang, row.note)
        assert row.link == cited[0][1], row.title
        for name, link in cited:
            path = (PAGES[lang].parent / link).resolve()
            assert path.is_file(), f"{row.title}: {link}"
            if "::" in name:
                file, test = name.split("::")
                assert path == ROOT / file, f"{row.title}: {name}"
                assert test in functions_of(path), f"{row.title}: {name}"


@cache
def functions_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("lang", PAGES)
def test_every_cell_of_others_has_a_source(lang: str) -> None:
    _short, rows = tables(lang)
    assert {row.note for row in rows} == set(notes(lang)), "a footnote for each row"
    assert len(rows) == len({row.note for row in rows}) >= 25
    for row in rows:
        said = notes(lang)[row.note]
        assert tuple(said) == ("Tunesmith", *OTHERS), row.title
        for tool in OTHERS:
            assert SOURCE.search(said[tool]), f"{row.title}: {tool} has no source"


def test_names_in_transformers_exist() -> None:
    """Files and names that the page cites are in the installed version."""
    (package,) = importlib.util.find_spec("transformers").submodule_search_locations  # type: ignore[union-attr]
    checked = 0
    for label, said in notes("en").items():
        files = re.findall(r"\bsrc/transformers/([\w/]+\.py)", said["Trainer"])
        text = "".join((Path(package) / file).read_text(encoding="utf-8") for file in files)
        for name in re.findall(r"`(\w+)`", said["Trainer"]):
            assert re.search(rf"\b{name}\b", text), f"{label}: {name}"
            checked += 1
    assert checked > 30


def test_both_languages_have_the_same_rows_and_sources() -> None:
    for english, chinese in zip(tables("en"), tables("zh"), strict=True):
        assert [row.note for row in english] == [row.note for row in chinese]
        assert [row.verdicts for row in english] == [row.verdicts for row in chinese]
    for label, said in notes("en").items():
        other = notes("zh")[label]
        assert without_pages(proofs("en", label)) == without_pages(proofs("zh", label)), label
        for tool in OTHERS:
            assert set(cited(said[tool])) == set(cited(other[tool])), f"{label}: {tool}"


def without_pages(links: list[tuple[str, str]]) -> list[str]:
    return [name for name, link in links if not link.endswith(".md")]


def cited(text: str) -> list[str]:
    return SOURCE.findall(text) + re.findall(r"`([^`]+)`", text)


@pytest.mark.parametrize("lang", PAGES)
def test_the_short_table_is_of_the_same_rows(lang: str) -> None:
    """It has the titles, links and verdicts of the full tables, and says what is missing."""
    short, rows = tables(lang)
    full = {row.title: (row.link, row.verdicts) for row in rows}
    assert 10 <= len(short) <= 15
    assert {row.title: (row.link, row.verdicts) for row in short}.items() <= full.items()
    assert sum(row.verdicts[0] != "yes" for row in short) >= 6
    assert sum(row.verdicts[0] != "yes" for row in rows) >= 8
    assert sum(row.verdicts[0] == "no" and "yes" in row.verdicts for row in rows) >= 6


def test_the_version_is_that_of_the_constraints() -> None:
    """A newer transformers is read again before the page speaks of it."""
    (version,) = re.findall(r"^transformers==(.+)$", (ROOT / "constraints.txt").read_text(), re.M)
    for page in PAGES.values():
        assert f"[transformers {version}]" in page.read_text(encoding="utf-8")
