"""Links that leave a language: to a page of the other one, or to a file of the repository."""

from __future__ import annotations

import os
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from docs.website.languages import CHINESE, DOCS, ENGLISH, path_to_twin
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

__all__ = ["repository", "setup", "target_of"]

ROOT = DOCS.parent


@cache
def repository() -> str:
    """Return the address of the repository."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["urls"]["Source"]).rstrip("/")


def target_of(link: str, page: Path, root: Path) -> str | None:
    """Return the address that a relative link has on the site; None if Sphinx knows it.

    Args:
        link: as it is in the page, to a file, with or without an anchor.
        page: the file of the page.
        root: the pages of its language; for English these are all but `docs/zh`.
    """
    path, sharp, anchor = link.partition("#")
    file = Path(os.path.normpath(page.parent / path))
    in_language = file.is_relative_to(root) and not (
        root == DOCS and file.is_relative_to(DOCS / "zh")
    )
    if in_language or not path or not file.exists():
        return None
    if file.is_relative_to(DOCS) and file.suffix == ".md":
        return path.removesuffix(".md") + ".html" + sharp + anchor
    kind = "tree" if file.is_dir() else "blob"
    return f"{repository()}/{kind}/main/{file.relative_to(ROOT).as_posix()}{sharp}{anchor}"


class LeavingLinks(SphinxTransform):
    """Turn links that MyST takes for downloads or missing pages into ordinary ones."""

    default_priority = 5

    def apply(self, **_options: Any) -> None:
        """Replace them in one page."""
        page = Path(self.env.doc2path(self.env.docname))
        root = Path(self.env.srcdir)
        for node in list(self.document.findall(_is_link)):
            link = node["reftarget"]
            if node.get("refdomain") == "doc":  # relative to the root of the language
                link = os.path.relpath(root / f"{link}.md", page.parent)
            if node.get("reftargetid"):
                link += f"#{node['reftargetid']}"
            target = target_of(link, page, root)
            if target is None:
                continue
            if len(node.parent) == 1 and target == f"{_twin_of(page, root)}.html":
                node.parent.parent.remove(node.parent)  # a line with nothing but the switch
            else:
                reference = nodes.reference("", "", refuri=target)
                for child in node.children:
                    reference += child
                    reference[-1]["classes"] = []
                node.replace_self(reference)


def _twin_of(page: Path, root: Path) -> str:
    name = page.relative_to(root).with_suffix("").as_posix()
    return path_to_twin(name, ENGLISH if root == DOCS else CHINESE)


def _is_link(node: nodes.Node) -> bool:
    is_reference = isinstance(node, addnodes.download_reference | addnodes.pending_xref)
    return is_reference and node.get("reftype") == "myst"  # type: ignore[attr-defined]


def setup(app: Sphinx) -> None:
    """Register the links."""
    app.add_transform(LeavingLinks)
