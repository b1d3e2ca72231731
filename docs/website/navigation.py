"""Navigation from the lists and tables of links in index pages.

An index page lists the pages below it, as any reader of the repository sees them. Sphinx needs the
same list as a `toctree`; it is added here, so that pages have no Sphinx-only syntax.
"""

from __future__ import annotations

import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

__all__ = ["is_index", "pages_listed", "setup"]

_ITEM = re.compile(r"^\s*(?:[*-]|\d+\.|\|)\s+\[[^\]]+\]\((?P<path>[^)#:]+\.md)\)", re.MULTILINE)
"""An item of a list, or a row of a table, that begins with a link to a page."""


def is_index(page: str) -> bool:
    """Return whether a page lists the pages below it."""
    return page.rsplit("/", 1)[-1] == "index" or page == "contributing"


def pages_listed(text: str, page: str, root: Path) -> list[str]:
    """Return the pages of the same language that an index page lists, in order.

    Args:
        text: of the index page.
        page: its path below `root`, without suffix.
        root: the pages of its language.
    """
    listed = []
    folder = (root / page).parent
    for match in _ITEM.finditer(text):
        path = Path(match["path"])
        target = (folder / path).resolve()
        if target.is_file() and target.is_relative_to(root.resolve()):
            name = target.relative_to(root.resolve()).with_suffix("").as_posix()
            if name not in (*listed, page):
                listed.append(name)
    return listed


def _add_toctree(app: Sphinx, page: str, source: list[str]) -> None:
    if not is_index(page):
        return
    root = Path(app.srcdir)
    excluded = tuple(f"{pattern}/" for pattern in app.config.exclude_patterns)
    listed = [name for name in pages_listed(source[0], page, root) if not name.startswith(excluded)]
    if listed:
        entries = "\n".join(f"/{name}" for name in listed)
        source[0] += f"\n\n```{{toctree}}\n:hidden:\n\n{entries}\n```\n"


def _show_cards(_app: Sphinx, tree: nodes.document, page: str) -> None:
    """Show the list of the front page as cards: a title, and below it what it is about."""
    lists = list(tree.findall(nodes.bullet_list)) if page == "index" else []
    if not lists:
        return
    lists[-1]["classes"].append("cards")
    for paragraph in list(lists[-1].findall(nodes.paragraph)):
        title, *about = paragraph.children
        if about:
            text = "".join(node.astext() for node in about).lstrip(":： ")
            paragraph.children = [title]
            paragraph.parent += nodes.paragraph("", text[0].upper() + text[1:])


def setup(app: Sphinx) -> None:
    """Register the navigation."""
    app.connect("source-read", _add_toctree)
    app.connect("doctree-resolved", _show_cards)
