"""What the site adds to Sphinx: navigation, links, languages, formulas, Chinese search."""

from __future__ import annotations

from typing import Any

from docs.website import api, error_codes, languages, links, mathml, navigation, pictures, search
from sphinx.application import Sphinx

__all__ = ["setup"]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register every part with Sphinx."""
    for part in (
        api,
        error_codes,
        languages,
        links,
        mathml,
        navigation,
        pictures,
        search,
    ):
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
