"""docs/reference/recipe.md, written from the settings themselves: `python -m tests.reference`."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from tunesmith.recipe import DataSettings, Recipe, TrainSettings, as_written
from tunesmith.recipe.renamed import RENAMED_FLAGS, RENAMED_KEYS
from tunesmith.recipe.settings import PRESET_DESCRIPTIONS, PRESETS, description_of
from tunesmith.tasks import TASKS, task_named

TARGET = Path(__file__).parents[1] / "docs" / "reference" / "recipe.md"
INTRODUCTION = """\
# The recipe

A recipe is a YAML 1.2 file that says what to do; `tunesmith init DATA` writes one with every
default and a comment per line. Unknown keys, wrong types and impossible values are refused, all at
once, with line, caret and a suggestion. This page is written from the settings themselves by
`python -m tests.reference`.

Where a value comes from, the strongest first: `--set a.b=c`, a flag, the environment
(`TUNESMITH_TRAIN__EPOCHS=1`), the file, the preset, a look at the data (*automatic*), the default.
`tunesmith config show recipe.yaml` prints each value with its origin.

Durations have a unit: `3 epochs`, `500 steps`, `10 minutes`, `3 evaluations`; `never` or `null`
means none.

For completion in an editor: `tunesmith config schema > recipe.schema.json`, and as the first line
of the recipe `# yaml-language-server: $schema=recipe.schema.json`.
"""

OPTIONS = "Task-specific options; a task that is not listed has none.\n"
RENAMED = """
## Renamed keys

Recipes and command lines with an earlier name are still read, with one line of notice (R124). Both
names at once are an error (R125).

| earlier | now |
|---|---|"""


def default_of(section: type[BaseModel], name: str) -> str:
    default = section.model_fields[name].get_default(call_default_factory=True)
    if default is PydanticUndefined:
        return "*needed*"
    if isinstance(default, BaseModel):
        return ""
    shown = as_written(str(default) if hasattr(default, "unit") else default)
    return f"`{shown}`"


def table(section: type[BaseModel], prefix: str = "") -> list[str]:
    lines = ["| key | default | meaning |", "|---|---|---|"]
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            continue
        meaning = (
            (field.description or description_of(section, name))
            .replace("|", "\\|")
            .replace("*.", "\\*.")
        )
        lines.append(f"| `{prefix}{name}` | {default_of(section, name)} | {meaning} |")
    return lines


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION, "\n".join(table(Recipe)), "\n## data\n"]
    parts += ["\n".join(table(DataSettings, "data.")), "\n## train\n"]
    parts += ["\n".join(table(TrainSettings, "train.")), "\n## options\n", OPTIONS]
    for name in TASKS:
        if task_named(name).options_type.model_fields:
            parts += [f"`{name}`:\n", "\n".join(table(task_named(name).options_type, "options."))]
    parts.append("\n## Presets\n")
    for name, words in PRESET_DESCRIPTIONS.items():
        parts.append(f"`{name}`: {words}.\n\n```json\n{json.dumps(PRESETS[name], indent=1)}\n```")
    renamed = [(".".join(old), ".".join(new)) for old, new in RENAMED_KEYS.items()]
    parts += [
        RENAMED,
        *(f"| `{old}` | `{new}` |" for old, new in (*renamed, *RENAMED_FLAGS.items())),
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
