"""Texts of the code as templates: which messages an expression can be, found without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path

from docs.generate.bindings import Source, reaching, top_level

__all__ = ["Binding", "Piece", "Scope", "Template", "Texts"]

_DEEPEST = 6
"""Calls and names that are followed for one text."""
_MOST = 12
"""Texts of one expression; more would confuse a reader."""


@dataclass(frozen=True)
class Piece:
    """A part of a text: translated by the catalog unless it is a sign or a number."""

    text: str
    plural: str | None = None
    is_translated: bool = True


Template = tuple[Piece, ...]


@dataclass(frozen=True)
class Scope:
    """Where an expression is evaluated: a function of a module, with what its parameters are."""

    source: Source
    function: ast.FunctionDef | None = None
    bindings: Mapping[str, Binding] = field(default_factory=dict)


@dataclass(frozen=True)
class Binding:
    """An argument, and where it was passed."""

    value: ast.expr
    scope: Scope


def _called(call: ast.Call) -> str:
    """The last name of what is called."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


class Texts:
    """The texts of a source tree."""

    def __init__(self, folder: Path, package: str = "tunesmith") -> None:
        """Parse every module below a folder."""
        self.sources = [
            Source(_dotted(path.relative_to(folder), package), _parsed(path))
            for path in sorted(folder.rglob("*.py"))
        ]

    @cached_property
    def functions(self) -> dict[str, list[tuple[Source, ast.FunctionDef]]]:
        """Every function by its name."""
        by_name: dict[str, list[tuple[Source, ast.FunctionDef]]] = {}
        for source in self.sources:
            for node in source.nodes:
                if isinstance(node, ast.FunctionDef):
                    by_name.setdefault(node.name, []).append((source, node))
        return by_name

    @cached_property
    def calls(self) -> dict[str, list[tuple[Source, ast.Call]]]:
        """Every call by the last name of what it calls."""
        by_name: dict[str, list[tuple[Source, ast.Call]]] = {}
        for source in self.sources:
            for node in source.nodes:
                if isinstance(node, ast.Call) and (name := _called(node)):
                    by_name.setdefault(name, []).append((source, node))
        return by_name

    def function_named(
        self, name: str, source: Source, *, parameter: str | None = None
    ) -> tuple[Source, ast.FunctionDef] | None:
        """The function that a name means in a module; None if that is not clear.

        Args:
            name: as it is called.
            source: the module.
            parameter: one that the function has.
        """
        candidates = [
            each
            for each in self.functions.get(name, [])
            if parameter is None or parameter in [one.arg for one in _parameters(each[1])]
        ]
        own = [each for each in candidates if each[0] is source]
        if len(own) == 1:
            return own[0]
        return candidates[0] if len(candidates) == 1 else None

    def calls_of(
        self, function: ast.FunctionDef, source: Source
    ) -> Iterator[tuple[Scope, ast.Call]]:
        """The calls of a function, each with the scope that it is in."""
        for origin, call in self.calls.get(function.name, []):
            if function.name.startswith("_") and origin is not source:
                continue
            yield Scope(origin, origin.function_of(call)), call

    def arguments_of(
        self, function: ast.FunctionDef, call: ast.Call, scope: Scope
    ) -> dict[str, Binding]:
        """The arguments of a call by the names of the function's parameters."""
        spec = function.args
        positional = [*spec.posonlyargs, *spec.args]
        if positional and positional[0].arg in ("self", "cls"):
            positional = positional[1:]
        bound = {
            parameter.arg: Binding(value, scope)
            for parameter, value in zip(reversed(positional), reversed(spec.defaults), strict=False)
        }
        bound |= {
            parameter.arg: Binding(value, scope)
            for parameter, value in zip(spec.kwonlyargs, spec.kw_defaults, strict=True)
            if value is not None
        }
        for parameter, value in zip(positional, call.args, strict=False):
            if isinstance(value, ast.Starred):
                break
            bound[parameter.arg] = Binding(value, scope)
        bound |= {
            keyword.arg: Binding(keyword.value, scope)
            for keyword in call.keywords
            if keyword.arg is not None
        }
        return bound

    def of(self, value: ast.expr | None, scope: Scope, depth: int = 0) -> list[Template]:
        """The texts that an expression can be; none for what is not known before it runs."""
        if value is None or depth > _DEEPEST:
            return []
        texts: list[Template]
        match value:
            case ast.Constant(value=str(text)):
                texts = [(Piece(text, is_translated=False),)] if text else []
            case ast.IfExp():
                texts = self.of(value.body, scope, depth) + self.of(value.orelse, scope, depth)
            case ast.BoolOp():
                texts = [text for part in value.values for text in self.of(part, scope, depth)]
            case ast.BinOp(op=ast.Add()):
                texts = self._joined([value.left, value.right], scope, depth)
            case ast.JoinedStr():
                texts = self._joined(value.values, scope, depth)
            case ast.FormattedValue():
                known = (
                    [] if _is_name_of_split(value.value) else self.of(value.value, scope, depth + 1)
                )
                texts = known or [_unknown(value.value)]
            case ast.Call():
                texts = self._called(value, scope, depth)
            case ast.Name():
                texts = self._named(value, scope, depth)
            case ast.Subscript(value=ast.Name(id=name)):
                texts = self._values(name, scope, depth)
            case _:
                texts = []
        return list(dict.fromkeys(texts))[:_MOST]

    def _joined(self, parts: list[ast.expr], scope: Scope, depth: int) -> list[Template]:
        """Texts one after another; a part that is unknown is left out of a sum."""
        choices = [texts for part in parts if (texts := self.of(part, scope, depth))]
        return [tuple(p for text in texts for p in text) for texts in product(*choices)][:_MOST]

    def _called(self, call: ast.Call, scope: Scope, depth: int) -> list[Template]:
        name = _called(call)
        if name in ("_", "N_", "gettext", "gettext_noop"):
            texts = self.of(call.args[0], scope, depth + 1)
            return [tuple(Piece(p.text, p.plural) for p in text) for text in texts]
        if name == "did_you_mean":
            hint = [(Piece('did you mean "{name}"?'),)]
            others = [k.value for k in call.keywords if k.arg == "otherwise"]
            return hint + (self.of(others[0], scope, depth + 1) if others else [])
        if name == "ngettext":
            forms = [one.value for one in call.args[:2] if isinstance(one, ast.Constant)]
            return [(Piece(str(forms[0]), str(forms[1])),)] if len(forms) == 2 else []
        if isinstance(call.func, ast.Attribute):
            whole = call.func.value
            if name == "format":
                return self.of(whole, scope, depth)
            if name == "join" and isinstance(whole, ast.Constant):
                return self._list(call.args[0], str(whole.value), scope, depth)
            if isinstance(whole, ast.Name) and whole.id in ("self", "cls"):
                return self._returned(call, name, scope, depth)
            return []
        return self._returned(call, name, scope, depth)

    def _list(self, value: ast.expr, sign: str, scope: Scope, depth: int) -> list[Template]:
        """The texts of a list that is joined: together if it is written out, else one by one."""
        if isinstance(value, ast.Tuple | ast.List):
            parts: list[ast.expr] = []
            for element in value.elts:
                parts += [*([ast.Constant(sign)] if parts else []), element]
            return self._joined(parts, scope, depth)
        return self._named(value, scope, depth) if isinstance(value, ast.Name) else []

    def _returned(self, call: ast.Call, name: str, scope: Scope, depth: int) -> list[Template]:
        known = self.function_named(name, scope.source)
        if known is None:
            return []
        source, function = known
        inner = Scope(source, function, self.arguments_of(function, call, scope))
        returns = [
            node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Return) and node.value is not None
        ]
        return [text for value in returns for text in self.of(value, inner, depth + 1)]

    def _named(self, use: ast.Name, scope: Scope, depth: int) -> list[Template]:
        """What a name of a function, a parameter or a module is bound to where it is used."""
        name, texts = use.id, list[Template]()
        reached = reaching(scope.source, use, name) if scope.function else []
        for value, mode in reached:
            new = self.of(value, scope, depth + 1)
            if mode == "set":
                texts += new
            else:
                longer = [(*old, *more) for old in texts for more in new]
                texts = longer if mode == "add" else texts + longer
        if reached or scope.function is None:
            return texts or self._of_module(name, scope, depth)
        if name in scope.bindings:
            bound = scope.bindings[name]
            return self.of(bound.value, bound.scope, depth + 1)
        if name not in [one.arg for one in _parameters(scope.function)]:
            return self._of_module(name, scope, depth)
        for outer, call in self.calls_of(scope.function, scope.source):
            bound_here = self.arguments_of(scope.function, call, outer).get(name)
            if bound_here is not None:
                texts += self.of(bound_here.value, bound_here.scope, depth + 1)
        return texts

    def _of_module(self, name: str, scope: Scope, depth: int) -> list[Template]:
        """What a name at the top of a module is bound to."""
        top = Scope(scope.source)
        return [
            text
            for value in top_level(scope.source.tree, name)
            for text in self.of(value, top, depth + 1)
        ]

    def _values(self, name: str, scope: Scope, depth: int) -> list[Template]:
        """The texts of a table of the module, or of the function."""
        return [
            text
            for value in top_level(scope.source.tree, name)
            if isinstance(value, ast.Dict)
            for each in value.values
            for text in self.of(each, scope, depth + 1)
        ]


def _is_name_of_split(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and _called(value) == "split_name"


def _parameters(function: ast.FunctionDef) -> list[ast.arg]:
    spec = function.args
    return [*spec.posonlyargs, *spec.args, *spec.kwonlyargs]


def _unknown(value: ast.expr) -> Template:
    """A placeholder for a value that only a run knows."""
    while isinstance(value, ast.BoolOp) or (isinstance(value, ast.Call) and value.args):
        value = value.values[0] if isinstance(value, ast.BoolOp) else value.args[0]
    name = value.attr if isinstance(value, ast.Attribute) else getattr(value, "id", "value")
    return (Piece(f"{{{name}}}", is_translated=False),)


def _dotted(path: Path, package: str) -> str:
    return ".".join((package, *path.with_suffix("").parts)).removesuffix(".__init__")


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))
