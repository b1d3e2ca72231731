"""Every error, warning and note of the package: its messages and fixes, taken from the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TypeGuard

from docs.generate.bindings import Source
from docs.generate.templates import Scope, Template, Texts

__all__ = ["SOURCE", "Codes", "Use", "package_codes"]

SOURCE = Path(__file__).parents[2] / "src" / "tunesmith"

_CODE = re.compile(r"[A-Z]\d{3}")
_CONSTRUCTORS = {
    "of": (0, 1, 4, 2),
    "Problem": (0, 1, 4, 2),
    "Finding": (0, 1, 2, None),
    "Described": (0, 2, 4, None),
    "Rejected": (1, 2, None, 0),
}
"""Calls that make a problem: the positions of code, message, fix and place."""
_FALLBACK = {"Finding": "DataError", "Rejected": "DataError", "Described": "RecipeError"}
"""What is raised for these, which a reader of rows or of the recipe collects."""
_RETURNED_DEPTH = 4


@dataclass(frozen=True)
class Use:
    """One place in the code that reports a problem.

    Attributes:
        code: of the problem.
        module: that reports it.
        line: of the call.
        messages: what is wrong, as templates.
        fixes: what to do, as templates.
        severities: "error", "warning", "note", as far as the place decides it.
        exceptions: finds the classes of the error that is raised for it.
        has_place: whether a file, row or key is named.
        has_fix: whether it says what to do, also where only a run knows the words.
    """

    code: str
    module: str
    line: int
    messages: tuple[Template, ...]
    fixes: tuple[Template, ...]
    severities: frozenset[str]
    exceptions: Callable[[], frozenset[str]]
    has_place: bool
    has_fix: bool


@cache
def package_codes() -> Codes:
    """The codes of the package, found once per process."""
    return Codes()


class Codes:
    """The codes of a source tree."""

    def __init__(self, folder: Path = SOURCE) -> None:
        """Parse the modules."""
        self.texts = Texts(folder)

    @cached_property
    def uses(self) -> dict[str, list[Use]]:
        """Every use by its code, in order."""
        by_code: dict[str, list[Use]] = {}
        for source in self.texts.sources:
            for node in source.nodes:
                if isinstance(node, ast.Call):
                    for use in self._uses_of(source, node):
                        by_code.setdefault(use.code, []).append(use)
        return dict(sorted(by_code.items()))

    @cached_property
    def exit_codes(self) -> dict[str, int]:
        """The exit code of each class of errors."""
        bases: dict[str, list[str]] = {}
        own: dict[str, int] = {}
        for source in self.texts.sources:
            for node in source.nodes:
                if not isinstance(node, ast.ClassDef):
                    continue
                bases[node.name] = [b.id for b in node.bases if isinstance(b, ast.Name)]
                for line in node.body:
                    match line:
                        case ast.Assign(
                            targets=[ast.Name(id="exit_code")], value=ast.Constant(value=int(code))
                        ):
                            own[node.name] = code

        def code_of(name: str) -> int | None:
            if name in own:
                return own[name]
            return next((c for base in bases.get(name, []) if (c := code_of(base))), None)

        return {name: code for name in bases if (code := code_of(name)) is not None}

    def _uses_of(self, source: Source, call: ast.Call) -> Iterator[Use]:
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        name = call.func.id if isinstance(call.func, ast.Name) else name
        scope = Scope(source, source.function_of(call))
        if name in _CONSTRUCTORS:
            yield from self._made(call, name, scope)
            return
        if name == "replace":
            yield from self._replaced(call, scope)
            return
        arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
        if not any(_is_code(each) or _is_named_code(each) for each in arguments):
            return
        known = self.texts.function_named(name, source, parameter="code")
        if known is None or known[1].name in _CONSTRUCTORS:
            return
        inner_source, function = known
        inner = Scope(inner_source, function, self.texts.arguments_of(function, call, scope))
        for node in ast.walk(function):
            if isinstance(node, ast.Call):
                made = node.func.id if isinstance(node.func, ast.Name) else ""
                if made in _CONSTRUCTORS:
                    yield from self._made(node, made, inner, at=(source, call))

    def _made(
        self,
        call: ast.Call,
        name: str,
        scope: Scope,
        at: tuple[Source, ast.Call] | None = None,
    ) -> Iterator[Use]:
        """The uses of a constructor; inside of a helper they are those of the call `at`."""
        places = _CONSTRUCTORS[name]
        code, message, fix = (
            _argument(call, position, word)
            for position, word in zip(places, ("code", "message", "fix"), strict=False)
        )
        if name == "Rejected":
            message = _argument(call, places[1], "reason")
        if code is None:
            return
        codes = self._codes(code, scope, direct=at is None)
        if not codes:
            return
        origin, outer = at or (scope.source, call)
        severity = _argument(call, None, "severity")
        remark = name == "Described" and _argument(call, 3, "remark")
        has_place = _argument(call, places[3], "place") is not None or name == "Finding"
        for one in codes:
            yield Use(
                one,
                origin.name,
                outer.lineno,
                tuple(self._one_of(message, scope, code, one)),
                tuple(self._one_of(fix, scope, code, one)),
                frozenset(self._severities(severity, scope)),
                lambda: frozenset(self._raised(origin, outer, name)),
                has_place,
                has_fix=fix is not None or name == "Rejected" or bool(remark),
            )

    def _replaced(self, call: ast.Call, scope: Scope) -> Iterator[Use]:
        """`replace(problem, code=…, message=…)`."""
        by_name = {keyword.arg: keyword.value for keyword in call.keywords}
        if "code" not in by_name or not _is_code(by_name["code"]):
            return
        code = by_name["code"]
        assert isinstance(code, ast.Constant)
        yield Use(
            str(code.value),
            scope.source.name,
            call.lineno,
            tuple(self.texts.of(by_name.get("message"), scope)),
            tuple(self.texts.of(by_name.get("fix"), scope)),
            frozenset(self._severities(by_name.get("severity"), scope)),
            lambda: frozenset(self._raised(scope.source, call, "replace")),
            has_place=True,
            has_fix="fix" in by_name,
        )

    def _codes(self, value: ast.expr, scope: Scope, *, direct: bool) -> list[str]:
        """The codes that an argument can be.

        A parameter of a helper is followed only from its calls, or to its default.
        """
        if direct and isinstance(value, ast.Name) and scope.function is not None:
            spec = scope.function.args
            if value.id in [one.arg for one in (*spec.args, *spec.kwonlyargs)]:
                defaults = dict(zip(spec.kwonlyargs, spec.kw_defaults, strict=True))
                value = next(
                    (d for p, d in defaults.items() if p.arg == value.id and d is not None), value
                )
                if isinstance(value, ast.Name):
                    return []
        if isinstance(value, ast.Attribute) and value.attr == "code":
            return list(self._stored(scope.source)) if direct else []
        texts = ["".join(piece.text for piece in text) for text in self.texts.of(value, scope)]
        return [text for text in texts if _CODE.fullmatch(text)]

    def _one_of(
        self, value: ast.expr | None, scope: Scope, code: ast.expr, one: str
    ) -> list[Template]:
        """The texts for one of several codes, where code and text are chosen together."""
        while isinstance(code, ast.Name) and code.id in scope.bindings:
            if value is not None and not _is_bound(value, scope):
                return self.texts.of(value, scope)
            outer = scope.bindings[code.id]
            value = scope.bindings[value.id].value if _is_bound(value, scope) else value
            code, scope = outer.value, outer.scope
        if isinstance(code, ast.Attribute):
            return self._by_key(value, scope, one)
        match code, value:
            case ast.IfExp(), ast.IfExp():
                same = isinstance(code.body, ast.Constant) and code.body.value == one
                return self.texts.of(value.body if same else value.orelse, scope)
            case (
                ast.Name(id=left),
                ast.Call(func=ast.Attribute(value=ast.Name(id=right), attr="format"))
                | ast.Name(id=right),
            ) if scope.function is not None:
                pairs = _assigned_together(scope.function, left, right)
                texts = [t for c, m in pairs if c == one for t in self.texts.of(m, scope)]
                return texts or self.texts.of(value, scope)
        return self.texts.of(value, scope)

    def _stored(self, source: Source) -> dict[str, str]:
        """The codes that a module has names for: `COLLAPSED, LEVEL = "M135", "M136"`."""
        by_code = {}
        for line in source.tree.body:
            match line:
                case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                    for name, value in zip(names, values, strict=True):
                        if isinstance(name, ast.Name) and isinstance(value, ast.Constant):
                            by_code[str(value.value)] = name.id
        return {code: name for code, name in by_code.items() if _CODE.fullmatch(code)}

    def _by_key(self, value: ast.expr | None, scope: Scope, one: str) -> list[Template]:
        """The texts for a code in tables with its name as the key, else those that quote it."""
        name = self._stored(scope.source)[one]
        tables = [
            {key.id: text for key, text in zip(t.keys, t.values, strict=True) if _is_name(key)}
            for line in scope.source.tree.body
            for t in ast.walk(line)
            if isinstance(t, ast.Dict)
        ]
        own = [table[name] for table in tables if name in table]
        texts = self.texts.of(value, scope)
        words = {_plain(text).split(":")[0] for each in own for text in self.texts.of(each, scope)}
        return [t for t in texts if any(w in _plain(t) for w in words)]

    def _severities(self, value: ast.expr | None, scope: Scope) -> Iterator[str]:
        match value:
            case None:
                yield "error"
            case ast.Attribute(value=ast.Name(id="Severity"), attr=name):
                yield name.lower()
            case ast.IfExp():
                yield from self._severities(value.body, scope)
                yield from self._severities(value.orelse, scope)
            case ast.Name(id=name) if name in scope.bindings:
                bound = scope.bindings[name]
                yield from self._severities(bound.value, bound.scope)
            case ast.Name(id=name) if scope.function is not None:
                for outer, call in self.texts.calls_of(scope.function, scope.source):
                    bound = self.texts.arguments_of(scope.function, call, outer).get(name)
                    if bound is not None:
                        yield from self._severities(bound.value, bound.scope)

    def _raised(self, source: Source, call: ast.Call, name: str) -> Iterator[str]:
        """The classes of errors that a problem ends up in."""
        if isinstance(call.func, ast.Attribute) and call.func.attr == "of":
            base = call.func.value
            yield base.id if isinstance(base, ast.Name) else ""
            return
        if name in _FALLBACK:
            yield _FALLBACK[name]
            return
        yield from self._carriers(source, call, 0)

    def _carriers(self, source: Source, node: ast.AST, depth: int) -> Iterator[str]:
        """The errors around a node, or around the calls of the function that returns it."""
        current: ast.AST | None = node
        while (current := source.parents.get(current) if current else None) is not None:
            if isinstance(current, ast.Call) and isinstance(current.func, ast.Name | ast.Attribute):
                name = _name(current.func)
                if name in self.exit_codes:
                    yield name
                    return
                if name == "__init__":
                    scope = source.parents.get(source.function_of(current) or current)
                    if isinstance(scope, ast.ClassDef):
                        yield scope.name
                        return
            if isinstance(current, ast.FunctionDef):
                break
        if current is None or depth >= _RETURNED_DEPTH:
            return
        assert isinstance(current, ast.FunctionDef)
        if current in self._known_carriers:
            yield from self._known_carriers[current]
            return
        names = self._raised_in(current)
        if not names:
            self._known_carriers[current] = ()  # a function that calls itself
            for scope, outer in self.texts.calls_of(current, source):
                names += self._carriers(scope.source, outer, depth + 1)
        self._known_carriers[current] = tuple(dict.fromkeys(names))
        yield from self._known_carriers[current]

    @cached_property
    def _known_carriers(self) -> dict[ast.FunctionDef, tuple[str, ...]]:
        return {}

    def _raised_in(self, function: ast.FunctionDef) -> list[str]:
        """The errors that a function raises with problems it has collected."""
        return [
            name
            for inner in ast.walk(function)
            if isinstance(inner, ast.Raise)
            and isinstance(inner.exc, ast.Call)
            and (name := _name(inner.exc.func)) in self.exit_codes
            and not any(isinstance(argument, ast.Call) for argument in inner.exc.args)
        ]


def _plain(text: Template) -> str:
    return "".join(piece.plural or piece.text for piece in text)


def _is_name(key: ast.expr | None) -> TypeGuard[ast.Name]:
    return isinstance(key, ast.Name)


def _is_bound(value: ast.expr | None, scope: Scope) -> TypeGuard[ast.Name]:
    return isinstance(value, ast.Name) and value.id in scope.bindings


def _name(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def _is_code(value: ast.AST | None) -> bool:
    return (
        isinstance(value, ast.Constant)
        and isinstance(value.value, str)
        and _CODE.fullmatch(value.value) is not None
    )


def _is_named_code(value: ast.expr) -> bool:
    return isinstance(value, ast.Name) and value.id == "code"


def _argument(call: ast.Call, position: int | None, name: str) -> ast.expr | None:
    """An argument by its name or position."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    if position is not None and position < len(call.args):
        value = call.args[position]
        return None if isinstance(value, ast.Starred) else value
    return None


def _assigned_together(
    function: ast.FunctionDef, left: str, right: str
) -> Iterator[tuple[str, ast.expr]]:
    """`code, message = "D209", "…"`: the code, and the text that goes with it."""
    for node in ast.walk(function):
        match node:
            case ast.Assign(
                targets=[ast.Tuple(elts=[ast.Name(id=one), ast.Name(id=two)])],
                value=ast.Tuple(elts=[ast.Constant(value=str(code)), value]),
            ) if (one, two) == (left, right):
                yield code, value
