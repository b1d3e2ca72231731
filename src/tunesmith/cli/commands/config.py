"""`tunesmith config`."""

from __future__ import annotations

import json
from typing import Any

import click

from tunesmith.api.display.terminal import Terminal
from tunesmith.cli.options import common, examples, layers_from, recipe_options
from tunesmith.cli.suggestions import SuggestingGroup
from tunesmith.errors import TunesmithError
from tunesmith.i18n import gettext as _

__all__ = ["command"]


@click.group("config", cls=SuggestingGroup, help=_("Show recipes and their schema."))
def command() -> None:
    """The group."""


@command.command(
    "show",
    help=_("Show every value of a recipe and where it comes from."),
    epilog=examples(
        "tunesmith config show recipe.yaml",
        "tunesmith config show tickets.csv --set train.epochs=1",
    ),
)
@click.argument("what", nargs=-1)
@recipe_options
def show(terminal: Terminal, what: tuple[str, ...], **flags: Any) -> int:
    """Merge all layers, fill in values from the data if it can be read, print."""
    from tunesmith.inputs import resolve_inputs, validate_inputs
    from tunesmith.recipe import as_written, flatten

    layers = layers_from(what, flags)
    recipe = layers.recipe()
    try:
        checked = validate_inputs(resolve_inputs(layers))
        layers, recipe = checked.layers, checked.recipe
    except TunesmithError as error:
        terminal.say(_("the data could not be read, so no values are filled in from it:"))
        terminal.problems(error.problems[:1])
    values = recipe.model_dump(mode="json")
    rows = []
    for path in flatten(values):
        value: Any = values
        for part in path:
            value = value[part]
        rows.append((".".join(path), value, layers.origin(*path)))
    width = max(len(name) for name, _value, _origin in rows)
    for name, value, origin in rows:
        terminal.result(f"{name:<{width}}  {as_written(value):<28}  {origin}")
    terminal.record(
        {
            name: {"value": value, "origin": origin.kind, "detail": origin.detail}
            for name, value, origin in rows
        }
    )
    return 0


@command.command(
    "schema",
    help=_("Print the JSON schema of recipes, for completion and checks in editors."),
    epilog=examples(
        "tunesmith config schema > recipe.schema.json",
        "# yaml-language-server: $schema=recipe.schema.json   (first line of a recipe)",
    ),
)
@common
def schema(terminal: Terminal) -> int:
    """Print the schema: indented, or on one line with --json."""
    from tunesmith.recipe import json_schema
    from tunesmith.tasks import TASKS, task_named

    schema = json_schema({name: task_named(name).options_type for name in TASKS})
    if terminal.as_json:
        terminal.record(schema)
    else:
        terminal.lines(json.dumps(schema, indent=2, ensure_ascii=False))
    return 0
