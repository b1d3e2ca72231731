"""What is wrong with a recipe: pydantic's errors, and unusable values, with a key and a fix."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from tunesmith.i18n import gettext as _
from tunesmith.recipe.keys import known_keys, section_at
from tunesmith.recipe.nested import KeyPath
from tunesmith.recipe.renamed import RENAMED
from tunesmith.recipe.settings import description_of
from tunesmith.text import nearest, quoted, shortened

__all__ = ["Described", "describe", "describe_option", "unusable_values"]


@dataclass(frozen=True)
class Described:
    """One error of validation.

    Attributes:
        path: the key it is about.
        remark: a few words for the line with the caret.
        fix: what to do, if the remark does not say it.
    """

    code: str
    path: KeyPath
    message: str
    remark: str = ""
    fix: str | None = None


def describe(detail: Mapping[str, Any]) -> Described:
    """Describe one error of `pydantic.ValidationError.errors()`."""
    path = _key_of(tuple(str(part) for part in detail["loc"]))
    name = shortened(".".join(path))
    kind, value = str(detail["type"]), detail.get("input")
    if kind == "extra_forbidden":
        return _unknown(path)
    if path == ("data",) and kind == "missing":
        path, name = ("data", "train"), "data.train"
    if kind == "missing":
        return Described(
            "R105",
            path,
            _('the key "{name}" is missing').format(name=name),
            fix=_meaning(path),
        )
    if section_at(path) is not None:
        return _not_a_section(path, value)
    reason, remark = _reason(kind, detail.get("ctx") or {}, str(detail["msg"]), value)
    return Described(
        "R104",
        path,
        _("{name} cannot be {value}: {reason}").format(
            name=name, value=_shown(value), reason=reason
        ),
        remark=remark,
        fix=_meaning(path),
    )


def describe_option(detail: Mapping[str, Any], options: type[BaseModel]) -> Described:
    """Describe an error of one key of `options`; the task defines these keys."""
    name = str(detail["loc"][0])
    path = ("options", name)
    if detail["type"] == "extra_forbidden":
        close = nearest(name, options.model_fields)
        return Described(
            "R101",
            path,
            _('unknown key "{name}"').format(name=shortened(".".join(path))),
            _did_you_mean(close[0]) if close else "",
            fix=_known_here(options.model_fields),
        )
    value = detail.get("input")
    reason, remark = _reason(
        str(detail["type"]), detail.get("ctx") or {}, str(detail["msg"]), value
    )
    return Described(
        "R104",
        path,
        _("{name} cannot be {value}: {reason}").format(
            name=".".join(path), value=_shown(value), reason=reason
        ),
        remark,
        fix=f"{name}: {_(options.model_fields[name].description or '')}",
    )


def _key_of(location: KeyPath) -> KeyPath:
    """Return the path of the key, without pydantic's parts for branches of a union and items."""
    for length in range(1, len(location) + 1):
        if section_at(location[:length]) is None:
            return location[:length]
    return location


def _unknown(path: KeyPath) -> Described:
    name, leaf, parent = shortened(".".join(path)), path[-1], path[:-1]
    message = _('unknown key "{name}"').format(name=name)
    siblings = {key[-1] for key in known_keys() if key[:-1] == parent}
    elsewhere = sorted(".".join(key) for key in known_keys() if key[-1] == leaf)
    by_leaf = {key[-1]: ".".join(key) for key in sorted(known_keys()) if len(key) > 1}
    if leaf in RENAMED:
        remark = RENAMED[leaf].remark(leaf)
    elif close := nearest(leaf, siblings):
        remark = _did_you_mean(close[0])
    elif elsewhere:
        remark = _("it belongs under {name}").format(name=elsewhere[0])
    elif close := nearest(leaf, by_leaf):
        remark = _did_you_mean(by_leaf[close[0]])
    else:
        return Described("R101", path, message, fix=_known_here(siblings))
    return Described("R101", path, message, remark)


def _did_you_mean(name: str) -> str:
    return _('did you mean "{name}"?').format(name=name)


def _known_here(names: Iterable[str]) -> str:
    return _("Known here: {names}.").format(names=", ".join(sorted(names)) or "-")


def _not_a_section(path: KeyPath, value: object) -> Described:
    name = ".".join(path)
    fix = _known_here(key[-1] for key in known_keys() if key[:-1] == path)
    if path == ("train",) and isinstance(value, str):
        fix = _("The file of training rows is data.train.")
    return Described(
        "R104",
        path,
        _("{name} holds keys of its own and cannot be {value}").format(
            name=name, value=_shown(value)
        ),
        fix=fix,
    )


def _reason(kind: str, context: Mapping[str, Any], message: str, value: object) -> tuple[str, str]:
    """Return why a value does not fit, and a remark."""
    if kind == "literal_error":
        choices = [
            part.strip().strip("'")
            for part in str(context.get("expected", "")).replace(" or ", ", ").split(",")
        ]
        close = nearest(str(value), choices)
        remark = _did_you_mean(close[0]) if close else ""
        return _("choose from {choices}").format(choices=", ".join(choices)), remark
    if kind == "value_error":
        return str(context.get("error", message)), ""
    limits = {
        "greater_than": (_("it must be more than {limit}"), "gt"),
        "greater_than_equal": (_("it must be at least {limit}"), "ge"),
        "less_than": (_("it must be less than {limit}"), "lt"),
        "less_than_equal": (_("it must be at most {limit}"), "le"),
    }
    if kind in limits:
        words, key = limits[kind]
        return words.format(limit=context.get(key)), ""
    reasons = {
        "int_type": _("it must be a whole number"),
        "int_from_float": _("it must be a whole number"),
        "float_type": _("it must be a number"),
        "finite_number": _("it must be a finite number"),
        "bool_type": _("it must be true or false"),
        "string_type": _("it must be text"),
        "tuple_type": _("it must be a list"),
        "string_too_short": _("it must not be empty"),
        "too_short": _("it must not be empty"),
        "string_too_long": _("it is too long"),
    }
    return reasons.get(kind, message), ""


def _shown(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return quoted([shortened(value)]) if isinstance(value, str) else shortened(str(value))


def _meaning(path: KeyPath) -> str | None:
    section = section_at(path[:-1])
    description = description_of(section, path[-1]) if section else ""
    return f"{path[-1]}: {_(description)}" if description else None


_MOST_CHARACTERS = 10_000
_MOST_BITS = 1024
"""Bits of an integer: those of the largest float."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_UNDECODED = re.compile("[\udc80-\udcff]")
"""How Python writes a byte of a file's name that is not UTF-8."""

_OF_FILES = frozenset(
    {
        ("model",), ("data", "train"), ("data", "validation"), ("data", "test"),
        ("data", "corrections"),
    }
)  # fmt: skip
"""Keys that name files: no name contains U+0000, and some are not UTF-8."""


def unusable_values(
    values: Mapping[str, object], prefix: KeyPath = ()
) -> Iterator[tuple[KeyPath, str]]:
    """Yield the path of each value that no key can take, and what is wrong with it.

    Args:
        values: nested plain values.
        prefix: the path of these values.
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
    """Return what is wrong with the name of a file, or with the names in a list."""
    names = value if isinstance(value, list | tuple) else [value]
    if any(isinstance(name, str) and "\0" in name for name in names):
        return _("the character U+0000")
    return _first_unusable([_UNDECODED.sub("", n) if isinstance(n, str) else n for n in names])


def _first_unusable(value: object) -> str | None:
    """Return what is wrong with a value or the items of a list; mappings are checked by key."""
    if isinstance(value, list | tuple):
        reasons = (_first_unusable(item) or _within(item) for item in value)
        return next((what for what in reasons if what), None)
    return _unusable(value)


def _within(item: object) -> str | None:
    """Return what is wrong with a mapping within a list."""
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
