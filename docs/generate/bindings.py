"""What a name in a module can be bound to where it is used, read from the syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

__all__ = ["Bound", "Source", "reaching", "top_level"]


@dataclass(frozen=True)
class Source:
    """A module of the package, parsed."""

    name: str
    tree: ast.Module

    @cached_property
    def parents(self) -> Mapping[ast.AST, ast.AST]:
        """The node around each node."""
        return {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node."""
        return list(ast.walk(self.tree))

    def function_of(self, node: ast.AST) -> ast.FunctionDef | None:
        """The function that a node is in."""
        current: ast.AST | None = node
        while (current := self.parents.get(current) if current else None) is not None:
            if isinstance(current, ast.FunctionDef):
                return current
        return None


def top_level(tree: ast.Module, name: str) -> Iterator[ast.expr]:
    """The expressions that a module binds to a name."""
    for line in tree.body:
        match line:
            case ast.Assign(targets=[ast.Name(id=target)]) if target == name:
                yield line.value
            case ast.AnnAssign(target=ast.Name(id=target)) if target == name and line.value:
                yield line.value
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                for target, value in zip(targets, values, strict=True):
                    if isinstance(target, ast.Name) and target.id == name:
                        yield value


Bound = tuple[ast.expr, str]
"""An expression, and whether it replaces what was there ("set") or is put behind it: always ("add")
or perhaps ("may add")."""


def reaching(source: Source, use: ast.AST, name: str) -> list[Bound]:
    """What a name can be bound to where it is used, in order."""
    bound: list[Bound] = []
    current = use
    while (parent := source.parents.get(current)) is not None:
        if isinstance(parent, ast.GeneratorExp | ast.ListComp | ast.SetComp | ast.DictComp):
            for part in parent.generators:
                match part:
                    case ast.comprehension(target=ast.Name(id=target), iter=ast.Tuple(elts=values)):
                        if target == name:
                            return [(value, "set") for value in values]
        for block in _blocks(parent):
            if current in block:
                before = block[: block.index(current)]
                new, is_complete = _bound_by(before, name)
                bound = new + bound
                if is_complete:
                    return bound
        match parent:
            case ast.For(target=ast.Name(id=target), iter=ast.Tuple(elts=values)):
                if target == name:
                    return [*((value, "set") for value in values), *bound]
            case ast.FunctionDef():
                break
        current = parent
    return bound


def _blocks(node: ast.AST) -> list[list[ast.stmt]]:
    """The lists of statements in a statement."""
    blocks = [getattr(node, name, []) for name in ("body", "orelse", "finalbody")]
    return [block for block in blocks if isinstance(block, list) and block]


def _bound_by(lines: list[ast.stmt], name: str) -> tuple[list[Bound], bool]:
    """What statements bind a name to, and whether nothing earlier is left of it."""
    bound: list[Bound] = []
    for line in reversed(lines):
        new, is_complete = _bound_by_one(line, name)
        bound = new + bound
        if is_complete:
            return bound, True
    return bound, False


def _bound_by_one(line: ast.stmt, name: str) -> tuple[list[Bound], bool]:
    match line:
        case ast.Assign(targets=[ast.Name(id=target)]) if target == name:
            return [(line.value, "set")], True
        case ast.AnnAssign(target=ast.Name(id=target)) if target == name and line.value:
            return [(line.value, "set")], True
        case ast.AugAssign(target=ast.Name(id=target)) if target == name:
            return [(line.value, "add")], False
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
            for target, value in zip(targets, values, strict=False):
                if isinstance(target, ast.Name) and target.id == name:
                    return [(value, "set")], True
        case ast.Expr(
            value=ast.Call(func=ast.Attribute(value=ast.Name(id=target), attr="append"))
        ) if target == name and isinstance(line.value, ast.Call):
            return [(line.value.args[0], "set")], False
    bound: list[Bound] = []
    branches = []
    for block in (*_blocks(line), *(h.body for h in getattr(line, "handlers", []))):
        if isinstance(block[-1], ast.Return | ast.Raise | ast.Continue):
            branches.append(True)
            continue
        new, is_complete = _bound_by(block, name)
        bound += [(value, "may add" if mode == "add" else mode) for value, mode in new]
        branches.append(is_complete)
    has_else = isinstance(line, ast.If) and bool(line.orelse)
    is_plain = isinstance(line, ast.With)
    return bound, bool(branches) and all(branches) and (has_else or is_plain)
