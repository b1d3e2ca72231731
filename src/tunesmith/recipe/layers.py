"""Layers: where each value of a recipe comes from, and which one wins.

    --set a.b=c  >  flag  >  environment  >  file  >  preset  >  automatic  >  default

All problems of all layers are reported at once, each at its place: line and caret for a file, the
flag or the variable for the others.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import ValidationError

from tunesmith.errors import Place, Problem, RecipeError, Severity, first_problems
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.recipe.document import Document, read_document, read_scalar
from tunesmith.recipe.nested import KeyPath, flatten, lookup, merge, put, without
from tunesmith.recipe.problems import Described, describe, unusable_values
from tunesmith.recipe.renamed import RENAMED_KEYS, both_message, new_path, renamed_message
from tunesmith.recipe.settings import DEFAULT_PRESET, PRESETS, Recipe
from tunesmith.text import nearest, shortened

__all__ = ["Layer", "Layers", "Origin", "gather"]

PREFIX = "TUNESMITH_"
RESERVED = frozenset({"TUNESMITH_LANG", "TUNESMITH_CACHE", "TUNESMITH_CACHE_SIZE"})

_MOST_REPORTED = 40
"""At most so many findings about one recipe are reported."""
_DEEPEST = 8
"""Keys between dots; the settings have two levels, options one more."""

KINDS = (
    N_("default"),
    N_("automatic"),
    N_("preset"),
    N_("recipe"),
    N_("environment"),
    N_("flag"),
    N_("set"),
)
"""From weakest to strongest."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from: the kind of layer, and the place or reason in it."""

    kind: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{_(self.kind)}: {self.detail}" if self.detail else _(self.kind)


@dataclass(frozen=True)
class Layer:
    """Values of one kind of origin.

    Attributes:
        kind: one of `KINDS`.
        values: nested plain values.
        details: the flag, variable or reason of each path, for messages.
    """

    kind: str
    values: Mapping[str, object]
    details: Mapping[KeyPath, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Layers:
    """A recipe in the making.

    Attributes:
        layers: weakest first.
        document: the file it was read from, if any.
        notices: a note for each key that was set under its old name.
    """

    layers: tuple[Layer, ...]
    document: Document | None = None
    notices: tuple[Problem, ...] = ()

    def with_automatic(
        self, values: Mapping[str, object], reasons: Mapping[KeyPath, str]
    ) -> Layers:
        """Return a copy with values suggested by the data, below the preset."""
        automatic = Layer("automatic", values, reasons)
        others = (layer for layer in self.layers if layer.kind != "automatic")
        return replace(self, layers=_sorted((*others, automatic)))

    def with_sets(self, *sets: str) -> Layers:
        """Return a copy with more `--set` arguments, above everything else."""
        return replace(self, layers=_sorted((*self.layers, _from_sets(sets))))

    def value(self, *path: str) -> object:
        """Return the winning value at a path before validation, or None if no layer has one."""
        for layer in reversed(self.layers):
            is_set, value = lookup(layer.values, path)
            if is_set:
                return value
        return None

    def holds(self, *path: str) -> bool:
        """Return whether any layer has a value at a path, null included."""
        return any(lookup(layer.values, path)[0] for layer in self.layers)

    def without(self, *path: str) -> Layers:
        """Return a copy without any value at a path."""
        layers = (replace(layer, values=without(layer.values, {path})) for layer in self.layers)
        return replace(self, layers=tuple(layers))

    def origin(self, *path: str) -> Origin:
        """Return where the winning value at a path comes from."""
        for layer in reversed(self.layers):
            if lookup(layer.values, path)[0]:
                detail = layer.details.get(path, "")
                if layer.kind == "recipe" and self.document:
                    detail = str(self.document.place(path) or self.document.name)
                return Origin(layer.kind, detail)
        return Origin("default")

    def problem(
        self,
        code: str,
        message: str,
        *path: str,
        fix: str | None = None,
        remark: str = "",
        of_key: bool = False,
    ) -> Problem:
        """Return a problem with the value (or the key) at `path`, at the place it comes from."""
        place = self.place_of(*path, of_key=of_key)
        if self.origin(*path).kind == "recipe" and self.document:
            evidence = self.document.excerpt(path, of_key=of_key, remark=remark)
            return Problem(code, message, place, evidence, fix)
        fix = "\n".join(part for part in (remark, fix) if part) or None
        return Problem(code, message, place, fix=fix)

    def place_of(self, *path: str, of_key: bool = False) -> Place | None:
        """Return where the value (or the key) at `path` comes from; None if from the data."""
        origin = self.origin(*path)
        if origin.kind == "recipe" and self.document:
            return self.document.place(path, of_key=of_key)
        return Place(origin.detail) if origin.detail and origin.kind != "automatic" else None

    def recipe(self) -> Recipe:
        """Merge and validate the recipe.

        Raises:
            RecipeError: every unknown key (R101), value that does not fit (R104) and missing key
                (R105) of all layers, each at its place.
        """
        merged = self._merged()
        if problems := first_problems(self._unusable(merged)):
            raise RecipeError(problems)
        try:
            return Recipe.model_validate(merged)
        except ValidationError as error:
            first: dict[KeyPath, Described] = {}
            details = error.errors(include_url=False)
            for detail in details[:_MOST_REPORTED]:  # a union reports once per branch; one will do
                described = describe(detail)
                first.setdefault(described.path, described)
            problems = [self._problem_of(described) for described in first.values()]
            raise RecipeError(sorted(problems, key=_by_place)) from None

    def without_nulls(self, paths: Iterable[KeyPath]) -> Layers:
        """Return a copy in which those of `paths` that are null are not set."""
        null = {path for path in paths if self.holds(*path) and self.value(*path) is None}
        if not null:
            return self
        return replace(
            self,
            layers=tuple(
                replace(layer, values=without(layer.values, null)) for layer in self.layers
            ),
        )

    def _unusable(self, merged: Mapping[str, object]) -> Iterator[Problem]:
        """Yield a problem for each text or number that no key can take."""
        for path, what in unusable_values(merged):
            yield self.problem(
                "R139",
                _("{name} contains {what}").format(name=shortened(".".join(path)), what=what),
                *path,
                fix=_("Write the value again with ordinary characters."),
            )

    def _merged(self) -> dict[str, object]:
        merged: dict[str, object] = {}
        for layer in self.layers:
            merge(merged, layer.values)
        return merged

    def _problem_of(self, described: Described) -> Problem:
        return self.problem(
            described.code,
            described.message,
            *described.path,
            fix=described.fix,
            remark=described.remark,
            of_key=described.code == "R101",
        )

    def with_new_names(self) -> Layers:
        """Return a copy with every key under its new name, and a notice for each old one.

        Raises:
            RecipeError: a layer sets a key under both names (R125).
        """
        layers, notices, problems = [], [], []
        for layer in self.layers:
            values = dict(layer.values)
            for old, new in RENAMED_KEYS.items():
                is_set, value = lookup(values, old)
                if not is_set:
                    continue
                names = ".".join(old), ".".join(new)
                here = replace(self, layers=(layer,))
                message, place = renamed_message(*names), here.place_of(*old, of_key=True)
                notices.append(Problem("R124", message, place, severity=Severity.NOTE))
                if lookup(values, new)[0]:
                    fix = _("Remove {name}.").format(name=names[0])
                    problems.append(
                        here.problem("R125", both_message(*names), *old, fix=fix, of_key=True)
                    )
                values = without(values, {old})
                put(values, new, value)
            details = {new_path(path): detail for path, detail in layer.details.items()}
            layers.append(Layer(layer.kind, values, details))
        if problems:
            raise RecipeError(problems)
        document = self.document.with_paths(new_path) if self.document else None
        return Layers(tuple(layers), document, tuple(notices))


def gather(
    *,
    file: Path | None = None,
    flags: Mapping[KeyPath, tuple[str, object]] | None = None,
    sets: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    recipe: Recipe | None = None,
) -> Layers:
    """Gather all layers but the automatic one.

    Args:
        file: a recipe file.
        flags: the name of the flag and its value, by path.
        sets: arguments of `--set`, `a.b=value`; the value is read as YAML.
        environment: None for `os.environ`; `TUNESMITH_TRAIN__EPOCHS=1` sets train.epochs.
        recipe: values from Python instead of a file; only those that were set count.

    Raises:
        RecipeError: an unreadable file, a malformed `--set` or an unknown preset.
    """
    document = read_document(file) if file is not None else None
    layers = [_from_environment(os.environ if environment is None else environment)]
    if document is not None:
        layers.append(Layer("recipe", document.values))
    if recipe is not None:
        values = recipe.model_dump(exclude_unset=True)
        layers.append(
            Layer("recipe", values, dict.fromkeys(flatten(values), _("given from Python")))
        )
    layers.append(_from_flags(flags or {}))
    layers.append(_from_sets(sets))
    gathered = Layers(_sorted(layers), document).with_new_names()
    if not gathered.holds("preset"):
        gathered = replace(
            gathered,
            layers=_sorted((*gathered.layers, Layer("default", {"preset": DEFAULT_PRESET}))),
        )
    name = gathered.value("preset")
    if name is None:
        return gathered
    if not isinstance(name, str):
        gathered.recipe()  # reports what a preset must be
    if name not in PRESETS:
        close = nearest(str(name), PRESETS)
        raise RecipeError(
            gathered.problem(
                "R104",
                _('there is no preset "{name}"').format(name=shortened(str(name))),
                "preset",
                remark=_('did you mean "{name}"?').format(name=close[0]) if close else "",
                fix=_("Presets: {names}.").format(names=", ".join(PRESETS)),
            )
        )
    preset = Layer(
        "preset", PRESETS[str(name)], dict.fromkeys(flatten(PRESETS[str(name)]), str(name))
    )
    return replace(gathered, layers=_sorted((*gathered.layers, preset)))


def _by_place(problem: Problem) -> tuple[int, str]:
    place = problem.place
    return (place.line or 0, str(place)) if place else (0, "")


def _from_environment(environment: Mapping[str, str]) -> Layer:
    values: dict[str, object] = {}
    details = {}
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in RESERVED:
            path = tuple(name.removeprefix(PREFIX).lower().split("__", maxsplit=_DEEPEST))
            put(values, path, read_scalar(environment[name]))
            details[path] = name
    return Layer("environment", values, details)


def _from_flags(flags: Mapping[KeyPath, tuple[str, object]]) -> Layer:
    values: dict[str, object] = {}
    for path, (_name, value) in flags.items():
        put(values, path, value)
    return Layer("flag", values, {path: name for path, (name, _value) in flags.items()})


def _from_sets(sets: Sequence[str]) -> Layer:
    values: dict[str, object] = {}
    details: dict[KeyPath, str] = {}
    problems = []
    for written in sets:
        key, equals, value = written.partition("=")
        path = tuple(part.strip() for part in key.split("."))
        if not equals or not all(path) or len(path) > _DEEPEST:
            problems.append(
                Problem(
                    "R108",
                    _('"{written}" is not KEY=VALUE').format(written=shortened(written)),
                    Place("--set"),
                    fix=_("Write for example --set train.epochs=1"),
                )
            )
            continue
        put(values, path, read_scalar(value))
        details[path] = f"--set {shortened(written)}"
    if problems:
        raise RecipeError(first_problems(problems))
    return Layer("set", values, details)


def _sorted(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    return tuple(sorted(layers, key=lambda layer: KINDS.index(layer.kind)))
