"""Formulas as MathML: no script, and nothing to load."""

from __future__ import annotations

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

__all__ = ["setup"]


def _inline(translator: HTML5Translator, node: nodes.math) -> None:
    formula = tex2mathml(node.astext())
    if len(node.parent) == 1:  # a line of its own
        formula = formula.replace("<math ", '<math displaystyle="true" ', 1)
    translator.body.append(formula)
    raise nodes.SkipNode


def _block(translator: HTML5Translator, node: nodes.math_block) -> None:
    formula = tex2mathml(node.astext(), as_block=True)
    translator.body.append(f'<div class="math" tabindex="0">{formula}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.config.html_math_renderer = "mathml"
