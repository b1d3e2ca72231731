"""Error codes link to their entry in the reference."""

from __future__ import annotations

import re
from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx

__all__ = ["PAGE", "setup"]

PAGE = "reference/errors"

_CODE = re.compile(r"\b[CDMR]\d{3}\b")

_NOT_LINKED = (nodes.literal_block, nodes.raw, nodes.reference, nodes.title)


def _link(app: Sphinx, tree: nodes.document, page: str) -> None:
    """Link the codes of one page."""
    if page == PAGE or PAGE not in app.env.found_docs:
        return
    address = app.builder.get_relative_uri(page, PAGE)
    for text in list(tree.findall(nodes.Text)):
        if not _CODE.search(text) or any(isinstance(node, _NOT_LINKED) for node in _above(text)):
            continue
        if not isinstance(text.parent, nodes.literal):
            text.parent.replace(text, _parts(text, address))
        elif _CODE.fullmatch(text):
            text.parent.replace_self(_reference(text, address))


def _above(node: nodes.Node) -> Iterator[nodes.Node]:
    while node.parent is not None:
        node = node.parent
        yield node


def _parts(text: str, address: str) -> list[nodes.Node]:
    """Return a text with its codes as links."""
    parts: list[nodes.Node] = []
    end = 0
    for match in _CODE.finditer(text):
        parts += [nodes.Text(text[end : match.start()]), _reference(match[0], address)]
        end = match.end()
    return [*parts, nodes.Text(text[end:])]


def _reference(code: str, address: str) -> nodes.reference:
    target = f"{address}#{code.lower()}"
    return nodes.reference("", "", nodes.literal("", code), internal=True, refuri=target)


def setup(app: Sphinx) -> None:
    """Register it."""
    app.connect("doctree-resolved", _link)
