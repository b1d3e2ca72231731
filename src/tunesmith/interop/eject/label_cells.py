"""The label column of a batch as what the model learns: one expression, tried on every row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.data.rows import Row, Source
from tunesmith.interop.eject.cells import WIDTH, fitted, literal
from tunesmith.tasks import Task

__all__ = ["Expression", "answer_expression"]


@dataclass(frozen=True, slots=True)
class Expression:
    """What a script computes from a batch `rows`, with LABEL and LABELS at hand.

    Attributes:
        each: the answer of one row, or the name of a whole column.
        loop: over the rows; empty for a whole column.
    """

    each: str
    loop: str = ""

    def assigned_to(self, target: str, *, indent: int) -> list[str]:
        """The assignment, laid out as ruff does it."""
        if not self.loop:
            return [f"{target} = {self.each}"]
        lines = fitted(f"{target} = [", f"{self.each} {self.loop}", "]", indent=indent)
        if all(len(line) + 4 * indent <= WIDTH for line in lines):
            return lines
        return [lines[0], f"    {self.each}", f"    {self.loop}", lines[-1]]


_Candidate = tuple[Expression, Callable[[Mapping[str, Any]], object]]
"""An expression, and the same for the values of one row."""


def answer_expression(task: Task, sources: Iterable[Source] | None) -> Expression | None:
    """The plainest expression that gives the answer of every row, None if there is none.

    Args:
        task: fitted.
        sources: the rows; None for rows that hold the answers under "label", in words.
    """
    candidates = _BY_TASK.get(task.name)
    if candidates is None:
        return None
    if sources is None:
        return candidates(task, "label")[0][0]
    listed = list(sources)
    for expression, answer in candidates(task, task.roles.label):
        if all(
            _holds(answer, row, task)
            for source in listed
            for chunk in source.chunks(task.roles.columns)
            for row in chunk
        ):
            return expression
    return None


def _holds(answer: Callable[[Mapping[str, Any]], object], row: Row, task: Any) -> bool:
    """Whether an expression gives a row's answer, which is what the row's stratum is."""
    wanted = task.stratum(row)
    try:
        found = answer(row.values)
        if task.name == "text-classification":
            wanted = task.labels.index(wanted)
        elif task.name == "multi-label-classification":
            wanted = [name in wanted for name in task.labels]
        return bool(found == wanted)
    except (ValueError, TypeError, AttributeError, KeyError):
        return False


def _classes(task: Any, label: Any) -> list[_Candidate]:
    labels = list(task.labels)
    return [
        (
            Expression("LABELS.index(name)", "for name in rows[LABEL]"),
            lambda row: labels.index(row[label]),
        ),
        (
            Expression("rows[LABEL]"),
            lambda row: row[label] if type(row[label]) is int else None,
        ),
        (
            Expression("LABELS.index(str(value))", "for value in rows[LABEL]"),
            lambda row: labels.index(str(row[label])),
        ),
    ]


def _sets(task: Any, label: Any) -> list[_Candidate]:
    labels = list(task.labels)
    if isinstance(label, tuple):
        loop = "for values in zip(*(rows[name] for name in LABELS))"
        return [
            (
                Expression(f"[float(value == {literal(yes)}) for value in values]", loop),
                lambda row, yes=yes: [row[name] == yes for name in labels],  # type: ignore[misc]
            )
            for yes in ("1", 1, "true", "yes")
        ]
    loop = "for tags in rows[LABEL]"
    found: list[_Candidate] = [
        (
            Expression("[float(name in tags) for name in LABELS]", loop),
            lambda row: [isinstance(row[label], list) and name in row[label] for name in labels],
        ),
        (
            Expression("[float(name == tags) for name in LABELS]", loop),
            lambda row: [name == row[label] for name in labels],
        ),
    ]
    if task.separator:
        split = f"tags.split({literal(task.separator)})"
        found.append(
            (
                Expression(f"[float(name in {split}) for name in LABELS]", loop),
                lambda row: [name in row[label].split(task.separator) for name in labels],
            )
        )
    return found


def _numbers(task: Any, label: Any) -> list[_Candidate]:
    return [
        (
            Expression("float(value)", "for value in rows[LABEL]"),
            lambda row: float(row[label]),
        )
    ]


_BY_TASK: Mapping[str, Callable[[Any, Any], list[_Candidate]]] = {
    "text-classification": _classes,
    "multi-label-classification": _sets,
    "text-regression": _numbers,
}
