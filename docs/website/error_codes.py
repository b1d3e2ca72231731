"""Error codes in backticks link to their entry in the reference."""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx

__all__ = ["PAGE", "setup"]

PAGE = "reference/errors"

_CODE = re.compile(r"[CDMR]\d{3}")


def _link(app: Sphinx, tree: nodes.document, page: str) -> None:
    """Link the codes of one page."""
    if page == PAGE or PAGE not in app.env.found_docs:
        return
    address = app.builder.get_relative_uri(page, PAGE)
    for literal in list(tree.findall(nodes.literal)):
        code = literal.astext()
        if _CODE.fullmatch(code) and not isinstance(literal.parent, nodes.reference):
            reference = nodes.reference("", "", internal=True, refuri=f"{address}#{code.lower()}")
            literal.replace_self(reference)
            reference += literal


def setup(app: Sphinx) -> None:
    """Register it."""
    app.connect("doctree-resolved", _link)
