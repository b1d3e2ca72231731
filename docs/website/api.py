"""The Python API as its users see it: every keyword, and types that link to their entry."""

from __future__ import annotations

import re
from typing import Any

from docs.website.languages import language_of
from docutils import nodes
from docutils.parsers.rst.states import Inliner
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.domains.python import PyObject, PyXRefRole
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer

__all__ = ["setup"]

_WITHOUT_ENTRY = re.compile(
    r"""
    (collections|datasets|numpy|pathlib|torch|transformers|typing)\..*
    | Dataset | DatasetDict | Path | nn\.Module     # as annotations write them
    | array | ComputeMetrics | DataFiles            # explained where they are used
    | .*\.(Answers | BadRows | BaselineAnswers | Bin | Calibration | ClassReport | Confidence
        | DataSets | Diagnosis | Metric)            # the inside of the package
    | (.*\.)?(Runner | Task)
    """,
    re.VERBOSE,
)
"""Types that are no part of the reference: they are shown without a link."""

_NAME = re.compile(r"[A-Za-z_][\w.]*")
"""A name of Python, with or without its module."""


def _code(
    role: str, rawtext: str, text: str, line: int, inliner: Inliner, *_options: Any, **_more: Any
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """Read what is in backticks: a name links to its entry, if it has one."""
    if _NAME.fullmatch(text):
        return PyXRefRole()("py:obj", rawtext, text, line, inliner)
    return [nodes.literal(rawtext, text)], []


def _name_attributes(app: Sphinx) -> None:
    """Set the heading of a list of attributes, which Sphinx calls variables."""
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = language_of(app.tags).attributes


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
    app.add_role("name", _code)
    app.connect("builder-inited", _name_attributes)
    app.connect("builder-inited", _show_all_keywords)
    app.connect("missing-reference", _resolve)
