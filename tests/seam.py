"""The rule of the seam: only tasks know which tasks exist, and only output kinds their kinds.

Everything else asks the task, so that a new task works with every command. The functions return
violations of the rule, a line each.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from tests.house import Module, Tree

OWNERS = ("tasks/", "metrics/output_kinds.py", "metrics/concrete_kinds.py")
"""The files that may tell tasks and kinds of output apart."""
KINDS = {"classes", "labels", "numbers"}
"""How kinds of output were written as text."""
ASK = "ask the task, or its output kind, instead"


def task_branches(tree: Tree) -> list[str]:
    """Every place outside the owners that tells tasks apart."""
    names = set(task_names(tree))
    classes = set(owned_classes(tree))
    return [
        line
        for module in tree.modules
        if not module.relative.as_posix().startswith(OWNERS)
        for line in _branches(module, names, classes)
    ]


def task_names(tree: Tree) -> Iterator[str]:
    """The names of all tasks: the keys of `TASKS` in tasks/__init__.py."""
    for table in _tables(tree):
        yield from _texts_of(key for key in table.keys if key)


def _tables(tree: Tree) -> Iterator[ast.Dict]:
    """The table `TASKS`: from the name of a task to "module:class"."""
    for module in tree.in_package("tasks"):
        for node in module.tree.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "TASKS":
                assert isinstance(node.value, ast.Dict)
                yield node.value


def owned_classes(tree: Tree) -> Iterator[str]:
    """Task classes, each of `TASKS` with all it inherits, and the classes of output kinds."""
    for module in tree.modules:
        if module.relative.as_posix() == OWNERS[1]:
            yield from (node.name for node in module.tree.body if isinstance(node, ast.ClassDef))
    bases: dict[str, list[str]] = {"Task": []}
    waiting = ["Task"]
    for table in _tables(tree):
        waiting += [text.partition(":")[2] for text in _texts_of(table.values)]
    for module in tree.in_package("tasks"):
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef):
                bases[node.name] = [_last(base) for base in node.bases]
    seen = {"Protocol", "Generic"}
    while waiting:
        if (name := waiting.pop()) not in seen and name in bases:
            seen.add(name)
            waiting += bases[name]
            yield name


def _branches(module: Module, names: set[str], classes: set[str]) -> Iterator[str]:
    for node in module.nodes():
        if isinstance(node, ast.Constant) and node.value in names:
            yield module.at(node, f'names the task "{node.value}"; {ASK}')
        elif isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
            if any(_is_task_field(operand, "name") for operand in operands):
                yield module.at(node, f"compares the name of a task; {ASK}")
            elif any(_is_task_field(operand, "kind") for operand in operands) or (
                any(_last(operand) == "kind" for operand in operands)
                and KINDS & set(_texts_of(operands))
            ):
                yield module.at(node, f"compares a kind of output; {ASK}")
            elif any(_names_a_class(operand, classes) for operand in operands):
                yield module.at(node, f"compares the class of a task or kind; {ASK}")
        elif isinstance(node, ast.Subscript):
            if _is_key(node.slice):
                yield module.at(node, f"looks up a task in a table; {ASK}")
        elif isinstance(node, ast.Call):
            yield from _calls(module, node, classes)
        elif isinstance(node, ast.MatchClass) and _last(node.cls) in classes:
            yield module.at(node, f"matches the class {_last(node.cls)}; {ASK}")


def _calls(module: Module, node: ast.Call, classes: set[str]) -> Iterator[str]:
    called = _last(node.func)
    if called in ("isinstance", "issubclass") and len(node.args) > 1:
        if _names_a_class(node.args[1], classes):
            yield module.at(node, f"tests for {ast.unparse(node.args[1])}; {ASK}")
    elif called in ("getattr", "hasattr") and node.args and _is_task(node.args[0]):
        yield module.at(
            node, f"{called} on a task; declare it in the protocol of tasks/protocol.py"
        )
    elif called == "get" and node.args and _is_key(node.args[0]):
        yield module.at(node, f"looks up a task in a table; {ASK}")


def _is_task(node: ast.AST) -> bool:
    """Whether an expression is a task, by its name: `task`, `old_task`, `job.task`."""
    name = _last(node)
    return name == "task" or name.endswith("_task")


def _is_task_field(node: ast.AST, field: str) -> bool:
    """Whether it is a field of a task: `task.name`, `job.task.kind`."""
    return isinstance(node, ast.Attribute) and node.attr == field and _is_task(node.value)


def _is_key(node: ast.AST) -> bool:
    """Whether it would look up a task in a table."""
    return _is_task_field(node, "name") or _is_task_field(node, "kind")


def _names_a_class(node: ast.AST, classes: set[str]) -> bool:
    """Whether it is one of the classes, or a tuple or union with one."""
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    if isinstance(node, ast.BinOp):
        parts = [node.left, node.right]
        return any(_names_a_class(part, classes) for part in parts)
    return any(_last(part) in classes for part in parts)


def _last(node: ast.AST | None) -> str:
    """The last name of a dotted one; "" for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _texts_of(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        yield from _texts(node)


def _texts(node: ast.AST) -> Iterator[str]:
    """The text that a literal is, or that it has as items."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Tuple | ast.List | ast.Set):
        yield from _texts_of(node.elts)
