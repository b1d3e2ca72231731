"""Values that nobody set, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping

from tunesmith.errors import Problem
from tunesmith.recipe import KeyPath, Layers

__all__ = ["Automatic", "at_key", "joined"]


class Automatic:
    """Values suggested for keys that nobody set."""

    def __init__(self, layers: Layers) -> None:
        self._layers = layers
        self.values: dict[str, object] = {}
        self.reasons: dict[KeyPath, str] = {}

    def suggest(self, path: KeyPath, value: object, reason: str) -> None:
        """Set a value unless a person did."""
        if self._layers.holds(*path):
            return
        section = self.values
        for part in path[:-1]:
            inner = section.setdefault(part, {})
            assert isinstance(inner, dict)  # noqa: S101 - built here, two levels deep
            section = inner
        section[path[-1]] = value
        self.reasons[path] = reason


def joined(first: Mapping[str, object], second: Mapping[str, object]) -> dict[str, object]:
    """Nested values, the second above the first."""
    joined = dict(first)
    for key, value in second.items():
        inner = joined.get(key)
        if isinstance(inner, Mapping) and isinstance(value, Mapping):
            joined[key] = {**inner, **value}
        else:
            joined[key] = value
    return joined


def at_key(problem: Problem, layers: Layers) -> Problem:
    """A task names the key that does not fit; people look for its line."""
    path = str(problem.place).split(".")
    return layers.problem(problem.code, problem.message, *path, fix=problem.fix)
