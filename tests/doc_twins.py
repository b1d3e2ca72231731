"""Pages of the documentation in two languages: what a Chinese page shares with the English one.

Both have the same headings, tables, links and code. Only comments in code and the texts that a
command is run on may differ, so that the code of a Chinese page needs no second run.
"""

from __future__ import annotations

import io
import re
import shlex
import textwrap
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS, ZH = ROOT / "docs", ROOT / "docs" / "zh"
BLOCK = re.compile(
    r"(?P<mark><!-- not run: [^\n]* -->\n)?"
    r"^ *(?P<fence>```+)(?P<kind>[\w{}-]*)\n(?P<code>.*?)^ *(?P=fence)$",
    re.DOTALL | re.MULTILINE,
)
NUMBER = re.compile(r"(?<=\| )[-+]?\d[\d.,]*%?(?= \|)")
"""A cell of a table that is a number."""
TEXT = "<text>"
"""Placeholder for a text in a command, such as one to predict."""


@dataclass(frozen=True)
class Block:
    """A block of code: its language, whether the tests run it, and its text."""

    kind: str
    runs: bool
    code: str

    @property
    def essence(self) -> object:
        """What is the same in both languages."""
        if self.kind == "sh":
            return commands(self.code)
        return python_words(self.code) if self.kind == "python" else None


def code_blocks(page: Path) -> list[Block]:
    """The blocks of code of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(match["kind"], match["mark"] is None, textwrap.dedent(match["code"]))
        for match in BLOCK.finditer(text)
    ]


def twin(page: Path) -> Path:
    """The same page in the other language, whether it exists or not."""
    if page.name.endswith(".zh-CN.md"):
        return page.with_name(page.name.replace(".zh-CN", ""))
    if page.is_relative_to(ZH):
        return DOCS / page.relative_to(ZH)
    if page.is_relative_to(DOCS):
        return ZH / page.relative_to(DOCS)
    return page.with_name(page.name.replace(".md", ".zh-CN.md"))


def is_chinese(page: Path) -> bool:
    """Whether a page is Chinese, by its place."""
    return page.name.endswith(".zh-CN.md") or page.is_relative_to(ZH)


def commands(code: str) -> list[list[str]]:
    """The words of each line of shell code, without comments, with placeholders for texts."""
    lines = (shlex.split(line, comments=True) for line in code.splitlines())
    return [
        [
            TEXT if _is_text(word) and not before.startswith("-") else word
            for before, word in zip(["", *words], words, strict=False)
        ]
        for words in lines
        if words
    ]


def _is_text(word: str) -> bool:
    is_file = re.search(r"\.\w+$", word)
    return not is_file and (" " in word or not word.isascii())


def python_words(code: str) -> list[str]:
    """The tokens of Python code, without comments and empty lines."""
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    return [token.string for token in tokens if token.type not in (tokenize.COMMENT, tokenize.NL)]


def has_same_code(page: Path, other: Path) -> bool:
    """Whether all code that runs is equal, so that running one of the pages tests both."""
    return not list(_code_differences(page, other))


def _code_differences(page: Path, other: Path) -> Iterator[str]:
    first, second = code_blocks(page), code_blocks(other)
    if len(first) != len(second):
        yield f"blocks of code: {len(first)} and {len(second)}"
    for own, others in zip(first, second, strict=False):
        if own.essence != others.essence or (own.kind, own.runs) != (others.kind, others.runs):
            yield f"code:\n{own.code}and\n{others.code}"


def differences(page: Path, other: Path) -> Iterator[str]:
    """What one language of a page has and the other one lacks."""
    own, others = _outline(page), _outline(other)
    for name, first in own.items():
        if first != others[name]:
            yield f"{name}: {first} and {others[name]}"
    yield from _code_differences(page, other)


def _outline(page: Path) -> dict[str, list[object]]:
    """The levels of headings, the size and numbers of each table, and the pages linked to."""
    prose = BLOCK.sub("", page.read_text(encoding="utf-8"))
    plain = re.sub(r"`[^`\n]*`", "", prose).replace(r"\|", "")
    tables = [table.splitlines() for table in re.findall(r"(?:^\|.*\|\n?)+", plain, re.MULTILINE)]
    return {
        "headings": [len(mark) for mark in re.findall(r"^(#+) ", prose, re.MULTILINE)],
        "tables": [(len(rows), rows[0].count("|") - 1) for rows in tables],
        "numbers": [number for rows in tables for row in rows for number in NUMBER.findall(row)],
        "links": sorted({_linked(page, target) for target in links(page)}),
    }


def links(page: Path) -> list[str]:
    """The files that a page links to, each with its anchor."""
    targets = re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", page.read_text(encoding="utf-8")))
    return [target for target in targets if not re.match(r"\w+:", target)]


def _linked(page: Path, target: str) -> str:
    """A linked file by its English path; links between both languages of a page are equal."""
    file = _file(page, target)
    if file == twin(page.resolve()):
        return "the other language"
    return (twin(file) if is_chinese(file) else file).relative_to(ROOT).as_posix()


def _file(page: Path, target: str) -> Path:
    name = target.partition("#")[0]
    return (page.parent / name).resolve() if name else page.resolve()


def broken_links(page: Path) -> list[str]:
    """Links of a page to files or headings that do not exist."""
    broken = []
    for target in links(page):
        file, anchor = _file(page, target), target.partition("#")[2]
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(target)
    return broken


def foreign_links(page: Path) -> list[str]:
    """Links of a Chinese page to an English one that has a Chinese twin."""
    return [
        target
        for target in links(page)
        if (file := _file(page, target)).suffix == ".md"
        and not is_chinese(file)
        and (other := twin(file)).exists()
        and other != page.resolve()
    ]


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page, as GitHub and MyST make them."""
    prose = BLOCK.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title) for title in titles)
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in plain}
