"""A script as cells of notes and code: one file, or a notebook. Formatted as ruff does it."""

from __future__ import annotations

import ast
import json
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from unicodedata import east_asian_width

__all__ = ["WIDTH", "Cell", "Script", "assignment", "block", "fitted", "literal", "stacked"]

WIDTH = 100
"""Columns of a line."""

_STANDARD = (
    "collections", "contextlib", "copy", "csv", "fnmatch", "gzip", "itertools", "json", "math",
    "os", "re", "string", "unicodedata",
)  # fmt: skip
_FROM = {
    "accelerate": ("Accelerator",),
    "accelerate.utils": ("DataLoaderConfiguration",),
    "datasets": ("Dataset", "DatasetDict", "concatenate_datasets", "load_dataset"),
    "scipy.stats": ("pearsonr", "spearmanr"),
    "sklearn.metrics": (
        "accuracy_score", "f1_score", "matthews_corrcoef", "mean_squared_error",
        "ndcg_score", "precision_score", "recall_score",
    ),
    "torch.nn.functional": (
        "binary_cross_entropy_with_logits", "cross_entropy", "mse_loss",
    ),
    "torch.utils.data": ("DataLoader", "RandomSampler"),
    "transformers": (
        "AutoModelForMaskedLM", "AutoModelForMultipleChoice", "AutoModelForQuestionAnswering",
        "AutoModelForSequenceClassification", "AutoModelForTokenClassification",
        "AutoTokenizer", "BatchEncoding", "DataCollatorForMultipleChoice",
        "DataCollatorForTokenClassification",
        "DataCollatorWithPadding", "EarlyStoppingCallback", "Trainer", "TrainerCallback",
        "TrainingArguments", "get_scheduler",
    ),
    "transformers.modeling_outputs": ("SequenceClassifierOutput",),
}  # fmt: skip
_WHOLE = {"np": "import numpy as np", "torch": "import torch"}
_DEFINITIONS = ast.FunctionDef | ast.ClassDef
_HOMES = {name: module for module, names in _FROM.items() for name in names}


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of a script.

    Attributes:
        title: a heading.
        code: whole statements; may be empty.
        notes: what it does and why, as paragraphs.
    """

    title: str
    code: str
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Script:
    """A script; its imports follow from the names that it uses.

    Attributes:
        title: a line.
        notes: paragraphs above the code.
        cells: in order.
    """

    title: str
    notes: Sequence[str]
    cells: Sequence[Cell]

    def as_text(self) -> str:
        """Return one Python file, with the notes as comments."""
        paragraphs = [self.title, *self.notes]
        docstring = "\n\n".join(_wrap(text, WIDTH) for text in paragraphs)
        parts = []
        for cell in self.cells:
            lines = [f"# {'-' * 3} {cell.title} {'-' * 3}"]
            for text in cell.notes:
                lines += ["#", *(f"# {line}" for line in _wrap(text, WIDTH - 2).splitlines())]
            parts.append(stacked("\n".join(lines), cell.code))
        head = f'"""{docstring}\n"""\n\n{self._imports()}\n\n'
        return head + "\n\n\n".join(parts) + "\n"

    def as_notebook(self) -> str:
        """Return a Jupyter notebook, nbformat 4.5, with the notes as Markdown."""
        cells = [_markdown(f"# {self.title}", self.notes), _code_cell(self._imports())]
        for cell in self.cells:
            cells.append(_markdown(f"## {cell.title}", cell.notes))
            if cell.code:
                cells.append(_code_cell(cell.code))
        numbered = [{"id": f"cell-{number}", **cell} for number, cell in enumerate(cells)]
        notebook = {
            "cells": numbered,
            "metadata": {
                "kernelspec": {
                    "display_name": "Python 3",
                    "language": "python",
                    "name": "python3",
                },
                "language_info": {"name": "python"},
            },
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"

    def _imports(self) -> str:
        tree = ast.parse("\n".join(cell.code for cell in self.cells))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        standard = [f"import {name}" for name in _STANDARD if name in names]
        used: dict[str, list[str]] = defaultdict(list)
        for name in sorted(names & _HOMES.keys()):
            used[_HOMES[name]].append(name)
        others = [line for name, line in _WHOLE.items() if name in names]
        others += [_from_import(module, names) for module, names in sorted(used.items())]
        return "\n\n".join("\n".join(group) for group in (standard, others) if group)


def _from_import(module: str, names: Sequence[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= WIDTH:
        return line
    return f"from {module} import (\n" + "".join(f"    {name},\n" for name in names) + ")"


def _wrap(text: str, width: int) -> str:
    return textwrap.fill(text.replace("\\", "/").replace('"""', "'''"), width)


def _markdown(heading: str, notes: Sequence[str]) -> dict[str, object]:
    text = "\n\n".join([heading, *notes])
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def _code_cell(code: str) -> dict[str, object]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": code.splitlines(keepends=True),
    }


def stacked(*parts: str | None) -> str:
    """Join pieces of code, with two blank lines around functions and classes."""
    text = ""
    for part in (part.strip("\n") for part in parts if part):
        around = (ast.parse(text).body[-1:], ast.parse(part).body[:1])
        is_apart = any(isinstance(node, _DEFINITIONS) for side in around for node in side)
        text += ("\n\n\n" if is_apart else "\n\n") * bool(text) + part
    return text


def block(*lines: str | bool | Iterable[str] | None, indent: int = 0) -> str:
    """Join lines of code; lists of lines are flattened, false values left out."""
    code: list[str] = []
    for line in lines:
        if isinstance(line, str):
            code += line.splitlines() or [""]
        elif line and not isinstance(line, bool):
            code += [part for text in line for part in text.splitlines()]
    return textwrap.indent("\n".join(code), " " * 4 * indent)


def fitted(opening: str, inside: str, closing: str, *, indent: int = 0) -> list[str]:
    """Return a call or list on one line if it fits, else with its inside on a separate line.

    Args:
        opening: up to the bracket.
        inside: the arguments.
        closing: from the bracket on.
        indent: of the code around it, in steps of four columns.
    """
    if _width(opening + inside + closing) + 4 * indent <= WIDTH:
        return [opening + inside + closing]
    return [opening, f"    {inside}", closing]


def assignment(name: str, value: object, comment: str = "") -> str:
    """Return `NAME = value`, formatted as ruff does it.

    Args:
        name: of the constant.
        value: plain values, lists and dicts of such.
        comment: follows on the same line; left out if it does not fit.
    """
    line = f"{name} = {literal(value)}"
    if _width(line) <= WIDTH:
        with_comment = f"{line}  # {comment}"
        return with_comment if comment and _width(with_comment) <= WIDTH else line
    if isinstance(value, list | Mapping):
        return f"{name} = {_multiline(value, 0)}"
    text = literal(value)
    return f"{name} = (\n    {text}\n)" if _width(text) + 4 <= WIDTH else line


def _multiline(value: object, indent: int) -> str:
    """Return a list or dict with one item per line."""
    if not isinstance(value, list | Mapping) or not value:
        return literal(value)
    inner, outer = " " * 4 * (indent + 1), " " * 4 * indent
    if isinstance(value, Mapping):
        items = [f"{literal(key)}: {_multiline(item, indent + 1)}" for key, item in value.items()]
    else:
        items = [_multiline(item, indent + 1) for item in value]
    opening, closing = "{}" if isinstance(value, Mapping) else "[]"
    return f"{opening}\n" + "".join(f"{inner}{item},\n" for item in items) + outer + closing


def literal(value: object) -> str:
    """Return a value on one line; strings in double quotes unless single ones escape less."""
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    return repr(value).replace("e+", "e") if isinstance(value, float) else repr(value)


def _string(text: str) -> str:
    quote = "'" if text.count('"') > text.count("'") else '"'
    body = "".join(
        repr(letter)[1:-1] if not letter.isprintable() else letter
        for letter in text.replace("\\", "\\\\")
    )
    return quote + body.replace(quote, "\\" + quote) + quote


def _width(text: str) -> int:
    """Columns; Chinese characters take two."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)
