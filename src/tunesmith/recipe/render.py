"""A recipe as commented YAML, and the JSON schema for editors."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping

from pydantic import BaseModel

from tunesmith.i18n import gettext as _
from tunesmith.recipe.document import read_scalar
from tunesmith.recipe.nested import KeyPath
from tunesmith.recipe.settings import DataSettings, Recipe, TrainSettings, description_of
from tunesmith.text import escape_controls

__all__ = ["as_written", "json_schema", "to_yaml"]

_COMMENT_COLUMN = 40
_YAML_1_1 = ("y", "n", "yes", "no", "on", "off")  # older readers take them for true and false
_PLAIN = re.compile(r"[\w./~][\w./%*+@ -]*(?<! )")  # needs no quotes, also within brackets


def to_yaml(
    recipe: Recipe,
    *,
    remarks: Mapping[KeyPath, str] | None = None,
    without: Collection[KeyPath] = (),
) -> str:
    """Write the whole recipe as YAML, with every default and a comment per line.

    Args:
        recipe: reading the result gives an equal recipe.
        remarks: for some keys the reason of the value, written before the description.
        without: keys to leave out.
    """
    lines = _lines(recipe, (), remarks or {}, without)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _lines(
    section: BaseModel,
    path: KeyPath,
    remarks: Mapping[KeyPath, str],
    without: Collection[KeyPath],
) -> Iterator[str]:
    indent = "  " * len(path)
    for name in type(section).model_fields:
        here = (*path, name)
        if here in without:
            continue
        value = getattr(section, name)
        meaning = _(description_of(type(section), name))
        if remark := remarks.get(here):
            meaning = f"{escape_controls(remark)} | {meaning}"
        if isinstance(value, Mapping):
            key = f"{name}:" if value else f"{name}: {{}}"
            yield f"{indent}{key}".ljust(_COMMENT_COLUMN) + f" # {meaning}"
            for key, item in value.items():
                words = escape_controls(remarks.get((*here, key), ""))
                yield (
                    f"{indent}  {as_written(key)}: {as_written(item)}".ljust(_COMMENT_COLUMN)
                    + f" # {words}"
                )
        elif isinstance(value, BaseModel):
            yield f"{indent}{name}:"
            yield from _lines(value, here, remarks, without)
        else:
            written = as_written(section.model_dump(mode="json", include={name})[name])
            yield f"{indent}{name}: {written}".ljust(_COMMENT_COLUMN) + f" # {meaning}"


def as_written(value: object) -> str:
    """Write one value as YAML on one line; readers of YAML 1.1 see the same numbers."""
    if isinstance(value, str):
        is_plain = _PLAIN.fullmatch(value) and value.lower() not in _YAML_1_1
        is_plain = is_plain and read_scalar(value) == value
        return value if is_plain else escape_controls(json.dumps(value, ensure_ascii=False))
    if isinstance(value, list | tuple):
        return "[" + ", ".join(as_written(item) for item in value) + "]"
    if isinstance(value, Mapping):
        parts = (f"{as_written(key)}: {as_written(item)}" for key, item in value.items())
        return "{" + ", ".join(parts) + "}"
    if isinstance(value, float):
        mantissa, exponent, power = repr(value).partition("e")
        if exponent:
            return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{power}"
        return mantissa.removesuffix(".0")
    return json.dumps(value)


def json_schema(options: Mapping[str, type[BaseModel]] | None = None) -> dict[str, object]:
    """Return the JSON schema of recipe files, for completion and checks in editors.

    Args:
        options: the options of each task by its name.
    """
    schema = Recipe.model_json_schema()
    for section in (Recipe, DataSettings, TrainSettings):
        part = schema if section is Recipe else schema["$defs"][section.__name__]
        for name, field in part["properties"].items():
            field["description"] = description_of(section, name)
    known = [kind.model_json_schema().get("properties", {}) for kind in (options or {}).values()]
    schema["properties"]["options"]["properties"] = {
        key: value for properties in known for key, value in properties.items()
    }
    for section in (schema, *schema["$defs"].values()):
        section.pop("description", None)  # docstrings are for readers of the code
    _translate(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Tunesmith recipe",
    }


def _translate(node: object) -> None:
    if isinstance(node, dict):
        description = node.get("description")
        if isinstance(description, str):
            words = " ".join(description.split())
            node["description"] = _(words)
        for value in node.values():
            _translate(value)
    elif isinstance(node, list):
        for value in node:
            _translate(value)
