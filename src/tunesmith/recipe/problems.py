"""What is wrong with a recipe, in words: pydantic's findings retold for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel

from tunesmith.i18n import gettext as _
from tunesmith.recipe.nested import KeyPath
from tunesmith.recipe.renamed import RENAMED
from tunesmith.recipe.settings import Recipe
from tunesmith.text import nearest, quoted, shortened

__all__ = ["Described", "describe", "describe_option", "known_keys", "section_at"]


@dataclass(frozen=True)
class Described:
    """One finding in words.

    Attributes:
        path: the key it is about.
        remark: a few words that fit beside a caret.
        fix: what to do, if the remark does not say it.
    """

    code: str
    path: KeyPath
    message: str
    remark: str = ""
    fix: str | None = None


@cache
def known_keys() -> frozenset[KeyPath]:
    """Every key of the recipe, sections included."""
    return frozenset(_keys(Recipe, ()))


def _keys(section: type[BaseModel], prefix: KeyPath) -> set[KeyPath]:
    found = set()
    for name, info in section.model_fields.items():
        found.add((*prefix, name))
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            found |= _keys(info.annotation, (*prefix, name))
    return found


def section_at(path: KeyPath) -> type[BaseModel] | None:
    """The settings class at a path, or None if the path holds a value."""
    section: type[BaseModel] = Recipe
    for part in path:
        info = section.model_fields.get(part)
        if info is None or not (
            isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)
        ):
            return None
        section = info.annotation
    return section


def describe(detail: Mapping[str, Any]) -> Described:
    """One error of `pydantic.ValidationError.errors()` in words."""
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
    """The same for one key of `options`, whose keys the task brings."""
    name = str(detail["loc"][0])
    path = ("options", name)
    if detail["type"] == "extra_forbidden":
        close = nearest(name, options.model_fields)
        return Described(
            "R101",
            path,
            _('unknown key "{name}"').format(name=shortened(".".join(path))),
            _('did you mean "{name}"?').format(name=close[0]) if close else "",
            fix=_("Known here: {names}.").format(names=", ".join(options.model_fields) or "-"),
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
    """The path of the key itself, without pydantic's marks for branches of a union and items."""
    for length in range(1, len(location) + 1):
        if section_at(location[:length]) is None:
            return location[:length]
    return location


def _unknown(path: KeyPath) -> Described:
    name, leaf, parent = shortened(".".join(path)), path[-1], path[:-1]
    message = _('unknown key "{name}"').format(name=name)
    siblings = {key[-1] for key in known_keys() if key[:-1] == parent}
    if close := nearest(leaf, siblings):
        remark = _('did you mean "{name}"?').format(name=close[0])
        if leaf not in RENAMED:
            return Described("R101", path, message, remark)
    if leaf in RENAMED:
        return Described("R101", path, message, RENAMED[leaf].in_words(leaf))
    elsewhere = sorted(".".join(key) for key in known_keys() if key[-1] == leaf)
    if elsewhere:
        return Described(
            "R101", path, message, _("it stands under {name}").format(name=elsewhere[0])
        )
    by_leaf = {key[-1]: ".".join(key) for key in sorted(known_keys()) if len(key) > 1}
    if close := nearest(leaf, by_leaf):
        return Described(
            "R101", path, message, _('did you mean "{name}"?').format(name=by_leaf[close[0]])
        )
    return Described(
        "R101",
        path,
        message,
        fix=_("Known here: {names}.").format(names=", ".join(sorted(siblings)) or "-"),
    )


def _not_a_section(path: KeyPath, value: object) -> Described:
    name = ".".join(path)
    fix = _("Known here: {names}.").format(
        names=", ".join(sorted(key[-1] for key in known_keys() if key[:-1] == path))
    )
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
    """Why a value does not fit, and a remark beside it."""
    if kind == "literal_error":
        choices = [
            part.strip().strip("'")
            for part in str(context.get("expected", "")).replace(" or ", ", ").split(",")
        ]
        close = nearest(str(value), choices)
        remark = _('did you mean "{name}"?').format(name=close[0]) if close else ""
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
    wanted = {
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
    return wanted.get(kind, message), ""


def _shown(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return quoted([shortened(value)]) if isinstance(value, str) else shortened(str(value))


def _meaning(path: KeyPath) -> str | None:
    section = section_at(path[:-1])
    info = section.model_fields.get(path[-1]) if section else None
    return f"{path[-1]}: {_(info.description)}" if info and info.description else None
