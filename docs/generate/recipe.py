"""`reference/recipe.md`: every key of a recipe, from the settings themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from docs.generate.text import Text, cell, prose, table
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from tunesmith.i18n import gettext as _
from tunesmith.recipe import DataSettings, Recipe, TrainSettings, as_written
from tunesmith.recipe.renamed import RENAMED_FLAGS, RENAMED_KEYS
from tunesmith.recipe.settings import PRESET_DESCRIPTIONS, PRESETS, description_of
from tunesmith.tasks import TASKS, task_named

__all__ = ["page"]

WORDS = {
    "key": Text("key", "键"),
    "type": Text("type", "类型"),
    "default": Text("default", "默认值"),
    "meaning": Text("meaning", "含义"),
    "needed": Text("required", "必填"),
    "top": Text("Top level", "顶层"),
    "data": Text("data", "data"),
    "presets": Text("Presets", "预设"),
    "options": Text(
        "Task-specific options; a task that is not listed has none.",
        "各任务特有的选项；未列出的任务没有选项。",
    ),
    "of_task": Text("`{name}`:", "`{name}`："),
    "preset": Text("`{name}`: {words}.", "`{name}`：{words}。"),
    "renamed": Text("Renamed keys", "改名的键"),
    "renamed_text": Text(
        "Recipes and command lines with an earlier name are still read, with one line of notice "
        "([R124](errors.md#r124)). Both names at once are an error ([R125](errors.md#r125)).",
        "使用旧名称的配方和命令行仍可读取，并显示一行提示（[R124](errors.md#r124)）。新旧名称同时出现是错误（"
        "[R125](errors.md#r125)）。",
    ),
    "earlier": Text("earlier", "旧名称"),
    "now": Text("now", "现名称"),
    "text": Text("text", "文本"),
    "integer": Text("integer", "整数"),
    "number": Text("number", "数"),
    "yes_no": Text("true or false", "true 或 false"),
    "list": Text("list of {items}", "{items}列表"),
    "mapping": Text("mapping", "映射"),
    "or": Text(" or ", " 或 "),
    "from": Text("{kind} ≥ {low}", "{kind} ≥ {low}"),
    "above": Text("{kind} > {low}", "{kind} > {low}"),
    "such": Text("text such as {examples}", "文本，例如 {examples}"),
}
_KINDS = {"string": "text", "integer": "integer", "number": "number", "boolean": "yes_no"}


def page() -> str:
    """The page in the language in use."""
    parts = [prose("recipe"), f"## {WORDS['top']}", _table(Recipe)]
    parts += ["## data", _table(DataSettings, "data.")]
    parts += ["## train", _table(TrainSettings, "train.")]
    parts += ["## options", str(WORDS["options"])]
    for name in TASKS:
        if task_named(name).options_type.model_fields:
            parts.append(WORDS["of_task"].format(name=name))
            parts.append(_table(task_named(name).options_type, "options."))
    parts.append(f"## {WORDS['presets']}")
    for name, words in PRESET_DESCRIPTIONS.items():
        parts.append(WORDS["preset"].format(name=name, words=_(words)))
        parts.append(f"```json\n{json.dumps(PRESETS[name], indent=1)}\n```")
    renamed = [(".".join(old), ".".join(new)) for old, new in RENAMED_KEYS.items()]
    rows = [(f"`{old}`", f"`{new}`") for old, new in (*renamed, *RENAMED_FLAGS.items())]
    head = (str(WORDS["earlier"]), str(WORDS["now"]))
    parts += [f"## {WORDS['renamed']}", str(WORDS["renamed_text"]), table(head, rows)]
    return "\n\n".join(parts) + "\n"


def _table(section: type[BaseModel], prefix: str = "") -> str:
    schema = section.model_json_schema()
    rows = []
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            continue
        meaning = cell(_(field.description or description_of(section, name)))
        kind = cell(_kind(schema["properties"][name]))
        rows.append((f"`{prefix}{name}`", kind, _default(section, name), meaning))
    return table([str(WORDS[word]) for word in ("key", "type", "default", "meaning")], rows)


def _default(section: type[BaseModel], name: str) -> str:
    default = section.model_fields[name].get_default(call_default_factory=True)
    if default is PydanticUndefined:
        return f"*{WORDS['needed']}*"
    return f"`{as_written(str(default) if hasattr(default, 'unit') else default)}`"


def _kind(schema: Mapping[str, Any]) -> str:
    """The type that a JSON schema describes."""
    if "anyOf" in schema:
        kinds = [_kind(part) for part in schema["anyOf"] if part.get("type") != "null"]
        return str(WORDS["or"]).join(dict.fromkeys(kinds))
    if "enum" in schema:
        return str(WORDS["or"]).join(f"`{choice}`" for choice in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        items = _kind(schema.get("items", {"type": "string"}))
        return WORDS["list"].format(items=items)
    if schema.get("type") not in _KINDS:
        return str(WORDS["mapping"])
    kind = str(WORDS[_KINDS[schema["type"]]])
    if "examples" in schema:
        examples = ", ".join(f"`{example}`" for example in schema["examples"])
        return WORDS["such"].format(examples=examples)
    if "exclusiveMinimum" in schema:
        return WORDS["above"].format(kind=kind, low=schema["exclusiveMinimum"])
    return WORDS["from"].format(kind=kind, low=schema["minimum"]) if schema.get("minimum") else kind
