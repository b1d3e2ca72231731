"""Nested values by path: read, set, remove, merge."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

__all__ = ["KeyPath", "flatten", "lookup", "merge", "put", "without"]

KeyPath = tuple[str, ...]


def flatten(values: Mapping[str, object], prefix: KeyPath = ()) -> Iterator[KeyPath]:
    """The path of every value that is not itself a section; sections hold no other sections."""
    for key, value in values.items():
        path = (*prefix, str(key))
        if isinstance(value, Mapping) and not prefix:
            yield from flatten(value, path)
        else:
            yield path


def lookup(values: Mapping[str, object], path: KeyPath) -> tuple[bool, object]:
    """Whether there is a value at a path, and the value."""
    value: object = values
    for part in path:
        if not isinstance(value, Mapping) or part not in value:
            return False, None
        value = value[part]
    return True, value


def put(values: dict[str, object], path: KeyPath, value: object) -> None:
    """Set the value at a path, in place; what is not a section on the way is replaced by one."""
    for part in path[:-1]:
        inner = values.setdefault(part, {})
        if not isinstance(inner, dict):
            inner = values[part] = {}
        values = inner
    values[path[-1]] = value


def without(values: Mapping[str, object], paths: Collection[KeyPath]) -> dict[str, object]:
    """A copy without the values at some paths."""
    remaining: dict[str, object] = {}
    for key, value in values.items():
        inner = {path[1:] for path in paths if path[0] == key}
        if () not in inner:
            remaining[key] = without(value, inner) if isinstance(value, Mapping) else value
    return remaining


def merge(below: dict[str, object], above: Mapping[str, object]) -> None:
    """Overlay values on others, in place, section by section."""
    for key, value in above.items():
        under = below.get(key)
        if isinstance(value, Mapping):
            fresh: dict[str, object] = dict(under) if isinstance(under, Mapping) else {}
            merge(fresh, value)
            below[key] = fresh
        else:
            below[key] = value
