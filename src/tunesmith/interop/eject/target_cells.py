"""The labels of a batch as targets: an expression, tried on every row before it is written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tunesmith.data.rows import Row
from tunesmith.interop.eject.cells import WIDTH, fitted
from tunesmith.tasks import ScriptParts, TargetExpression

__all__ = ["Batch", "target_assignment", "target_expression"]

Batch = tuple[Sequence[object], Sequence[Row]]
"""Labels as the script reads them, one for each row, and the rows as the run read them."""


def target_assignment(expression: TargetExpression, variable: str, *, indent: int) -> list[str]:
    """Return the assignment of the targets to a variable, formatted as ruff does it."""
    if not expression.loop:
        return [f"{variable} = {expression.each}"]
    inside = f"{expression.each} {expression.loop}"
    lines = fitted(f"{variable} = [", inside, "]", indent=indent)
    if all(len(line) + 4 * indent <= WIDTH for line in lines):
        return lines
    return [lines[0], f"    {expression.each}", f"    {expression.loop}", lines[-1]]


def target_expression(parts: ScriptParts, batches: Iterable[Batch]) -> TargetExpression | None:
    """Return the first expression that gives the target of every row, None if there is none.

    Args:
        parts: of the task.
        batches: all rows.
    """
    if parts.targets is None:
        return None
    candidates = list(parts.targets.expressions)
    for labels, rows in batches:
        try:
            targets = parts.targets.targets_of(rows).tolist()
        except (ValueError, KeyError):  # a row without a label
            return None
        candidates = [one for one in candidates if _targets(one, labels) == targets]
    return candidates[0] if candidates else None


def _targets(expression: TargetExpression, labels: Sequence[object]) -> list[object] | None:
    """Return what an expression computes; None if it does not apply to these labels."""
    kind = expression.value_type
    if kind is not None and any(type(label) is not kind for label in labels):
        return None
    try:
        return [expression.target_of(label) for label in labels]
    except (ValueError, TypeError, AttributeError):
        return None
