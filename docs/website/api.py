"""The Python API as its users see it: every keyword, and types that link to their entry."""

from __future__ import annotations

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer

__all__ = ["setup"]

_WITHOUT_ENTRY = re.compile(
    r"""
    (collections|datasets|numpy|pathlib|torch|transformers|typing)\..*
    | Path | nn\.Module                        # as annotations write them
    | .*\.(Answers | BadRows | BaselineAnswers | Bin | Calibration | ClassReport
        | Confidence | DataSets | Diagnosis)
    | (.*\.)?(Runner | Task)                   # the inside of the package
    | ComputeMetrics | DataFiles               # aliases, explained where they are used
    """,
    re.VERBOSE,
)
"""Types that are no part of the reference: they are shown without a link."""


def _show_all_keywords(_app: Sphinx) -> None:
    """Show `train` with its keywords: its overloads, for type checkers, have none."""
    analyzer = ModuleAnalyzer.for_module("tunesmith.api.train")
    analyzer.analyze()
    analyzer.overloads.clear()


def _resolve(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.TextElement
) -> nodes.Element | None:
    """Link a name that is written without its module; leave external types without a link."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    name = target.rsplit(".", 1)[-1]
    if node["reftype"] in ("class", "exc"):
        entries = env.domains.python_domain.objects
        matches = {
            (entry.docname, entry.node_id)
            for path, entry in entries.items()
            if path.rsplit(".", 1)[-1] == name and entry.objtype in ("class", "exception", "data")
        }
        if len(matches) == 1:
            page, anchor = matches.pop()
            reference = nodes.reference("", "", content, internal=True)
            if page == node["refdoc"]:
                reference["refid"] = anchor
            else:
                address = app.builder.get_relative_uri(node["refdoc"], page)
                reference["refuri"] = f"{address}#{anchor}"
            return reference
    is_code = node["reftype"] == "obj"  # a name in backticks: an argument, a file, a value
    return content if is_code or _WITHOUT_ENTRY.fullmatch(target) else None


def setup(app: Sphinx) -> None:
    """Register it."""
    app.connect("builder-inited", _show_all_keywords)
    app.connect("missing-reference", _resolve)
