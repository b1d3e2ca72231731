"""Texts and numbers that no key of a recipe can take, whichever layer they come from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tunesmith.i18n import gettext as _
from tunesmith.recipe.nested import KeyPath

__all__ = ["unusable_values"]

_MOST_CHARACTERS = 10_000
_MOST_BITS = 1024
"""Of integers: those of the largest float."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_UNDECODED = re.compile("[\udc80-\udcff]")
"""How Python writes a byte of a file's name that is not UTF-8."""

_OF_FILES = frozenset(
    {
        ("model",), ("data", "train"), ("data", "validation"), ("data", "test"),
        ("data", "corrections"),
    }
)  # fmt: skip
"""Keys that name files: no name holds U+0000, and some are not UTF-8."""


def unusable_values(
    values: Mapping[str, object], prefix: KeyPath = ()
) -> Iterator[tuple[KeyPath, str]]:
    """The path of each key that holds something unusable, and what that is, in words.

    Args:
        values: nested plain values.
        prefix: where they are.
    """
    for key, value in values.items():
        path = (*prefix, str(key))
        if path in _OF_FILES:
            what = _unusable_file(value)
        else:
            what = _unusable(str(key)) or _first_unusable(value)
        if what is not None:
            yield path, what
        elif isinstance(value, Mapping):
            yield from unusable_values(value, path)


def _unusable_file(value: object) -> str | None:
    """What is unusable of the name of a file, or of the names in a list."""
    names = value if isinstance(value, list | tuple) else [value]
    if any(isinstance(name, str) and "\0" in name for name in names):
        return _("the character U+0000")
    return _first_unusable([_UNDECODED.sub("", n) if isinstance(n, str) else n for n in names])


def _first_unusable(value: object) -> str | None:
    """What is unusable of a value, or of the items of a list; mappings are looked at by key."""
    if isinstance(value, list | tuple):
        found = (_first_unusable(item) or _within(item) for item in value)
        return next((what for what in found if what), None)
    return _unusable(value)


def _within(item: object) -> str | None:
    """What is unusable of a mapping within a list."""
    if not isinstance(item, Mapping):
        return None
    return next((what for _path, what in unusable_values(item)), None)


def _unusable(value: object) -> str | None:
    if isinstance(value, str):
        if len(value) > _MOST_CHARACTERS:
            return _("a text of {count} characters; at most {limit} are read").format(
                count=len(value), limit=_MOST_CHARACTERS
            )
        if _SURROGATE.search(value):
            return _("half of a character (lone surrogate)")
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return _("a number of more than 300 digits")
    return None
