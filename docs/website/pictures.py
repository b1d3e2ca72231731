"""Pictures in two versions: `NAME-light.svg` is shown on light pages, `NAME-dark.svg` on dark ones.

Pages name both in `<picture>`, as GitHub shows it, or only the light one.
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

__all__ = ["setup"]

_PICTURE = re.compile(
    r'<picture>\s*<source[^>]*>\s*<img(?=[^>]* alt="(?P<alt>[^"]*)")(?=[^>]* src="(?P<src>[^"]+)")'
    r"[^>]*>\s*</picture>"
)


class Pictures(SphinxTransform):
    """Turn pictures into two images, of which the theme shows one."""

    default_priority = 5

    def apply(self, **_options: Any) -> None:
        """Replace those of one page."""
        for raw in list(self.document.findall(nodes.raw)):
            if match := _PICTURE.search(raw.astext()):
                alt = html.unescape(match["alt"])
                raw.replace_self(nodes.image(uri=match["src"], alt=alt))
        folder = Path(self.env.doc2path(self.env.docname)).parent
        for light in list(self.document.findall(nodes.image)):
            dark = light["uri"].replace("-light.", "-dark.")
            if dark != light["uri"] and (folder / dark).is_file():
                both = nodes.inline("", "", classes=["picture"])
                light.replace_self(both)
                light["classes"].append("only-light")
                both += light
                both += nodes.image(uri=dark, alt=light.get("alt", ""), classes=["only-dark"])


def setup(app: Sphinx) -> None:
    """Register them."""
    app.add_transform(Pictures)
