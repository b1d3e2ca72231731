"""`tunesmith init`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tunesmith.cli.options import (
    common,
    data_options,
    examples,
    layers_from,
    recipe_options,
    set_option,
)
from tunesmith.cli.terminal import Terminal, padded
from tunesmith.errors import typed
from tunesmith.language import gettext as _
from tunesmith.language import split_name

__all__ = ["command"]


@click.command(
    "init",
    help=_(
        "Look at data and write a commented recipe: column roles, task, labels with counts, "
        "lengths, a model, and why each was chosen."
    ),
    epilog=examples(
        "tunesmith init tickets.csv", "tunesmith init glue/mrpc --out recipes/mrpc.yaml"
    ),
)
@click.argument("what", nargs=-1, required=True)
@click.option("--out", metavar="FILE", default="recipe.yaml", help=_("Where to write the recipe."))
@click.option("--force", is_flag=True, help=_("Replace the file if it is there."))
@recipe_options
@data_options
@set_option
@common
def command(
    what: tuple[str, ...], out: str, force: bool, sets: tuple[str, ...], **given: Any
) -> int:
    """Look, write the recipe, and say what was found."""
    terminal = Terminal.of(given)
    target = Path(out)
    from tunesmith import commit

    commit.refuse_existing([target], force=force)
    from tunesmith.inputs import check, look
    from tunesmith.recipe import as_written, to_yaml
    from tunesmith.run.start import remarks

    checked = check(look(layers_from(what, sets, given)))
    why = remarks(checked.layers)
    commit.write_file(target, to_yaml(checked.recipe, remarks=why))
    terminal.problems(checked.warnings)
    for split in checked.splits.values():
        count = _("{count} rows").format(count=split.num_rows)
        terminal.result(padded(split_name(split.name), 12) + f"{count}  {split.source.name}")
    for line in checked.notes:
        terminal.result(f"{'':<12}{line}")
    for path, reason in why.items():
        value = checked.recipe.model_dump(mode="json")
        for part in path:
            value = value[part]
        terminal.result(padded(".".join(path), 20) + f"{as_written(value)}  ({reason})")
    terminal.record(
        {
            "recipe": str(target),
            "values": checked.recipe.model_dump(mode="json"),
            "automatic": {".".join(path): reason for path, reason in why.items()},
            "rows": {name: split.num_rows for name, split in checked.splits.items()},
        }
    )
    terminal.say(_("wrote {path}; next   tunesmith train {path}").format(path=typed(target)))
    return 0
