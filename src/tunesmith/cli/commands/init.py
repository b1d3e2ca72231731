"""`tunesmith init`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tunesmith.api.display.terminal import Terminal, padded
from tunesmith.cli.options import examples, layers_from, recipe_options
from tunesmith.errors import DataError, Severity
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext, split_name
from tunesmith.storage.disk import as_path
from tunesmith.text import shell_quoted

if TYPE_CHECKING:
    from tunesmith.inputs import Split

__all__ = ["command"]


_UNDECIDED = frozenset({"D218"})
"""Problems that ask for a choice of task, which belongs in the recipe."""


@click.command(
    "init",
    help=_(
        "Inspect data and write a commented recipe: column roles, task, labels with counts, "
        "lengths, a model, and why each was chosen."
    ),
    epilog=examples(
        "tunesmith init tickets.csv", "tunesmith init glue/mrpc --out recipes/mrpc.yaml"
    ),
)
@click.argument("what", nargs=-1, required=True)
@click.option("--out", metavar="FILE", default="recipe.yaml", help=_("Recipe to write."))
@click.option("--force", is_flag=True, help=_("Replace an existing file."))
@recipe_options
def command(
    terminal: Terminal,
    what: tuple[str, ...],
    out: str,
    force: bool,
    **flags: Any,
) -> int:
    """Inspect the data, write the recipe, and print what it says and why."""
    target = as_path(out)
    from tunesmith.storage import atomic

    atomic.refuse_existing([target], force=force)
    from tunesmith.inputs import resolve_inputs, validate_inputs
    from tunesmith.recipe import as_written, to_yaml
    from tunesmith.runs.start import remarks

    seen = resolve_inputs(layers_from(what, flags))
    recipe, layers, notes = seen.recipe, seen.layers, seen.notes
    splits: dict[str, Split] = {}
    errors, later = 0, [("train", "select_by"), ("metrics",)]
    try:
        checked = validate_inputs(seen, audited=True)
    except DataError as error:
        if any(problem.code in _UNDECIDED for problem in error.problems):
            raise
        terminal.problems(error.problems)
        errors = sum(problem.severity is Severity.ERROR for problem in error.problems)
    else:
        terminal.problems(checked.warnings)
        recipe, layers, notes = checked.recipe, checked.layers, list(checked.notes)
        splits, later = dict(checked.splits), []
    why = remarks(layers)
    atomic.write_file(target, to_yaml(recipe, remarks=why, without=later))
    chosen = {path: reason for path, reason in why.items() if path[0] != "options"}
    for split in splits.values():
        count = _("{count} rows").format(count=split.num_rows)
        terminal.result(padded(split_name(split.name), 12) + f"{count}  {split.source.name}")
    for line in notes:
        terminal.result(f"{'':<12}{line}")
    for path, reason in chosen.items():
        value = recipe.model_dump(mode="json")
        for part in path:
            value = value[part]
        terminal.result(padded(".".join(path), 20) + f"{as_written(value)}  ({reason})")
    terminal.record(
        {
            "recipe": str(target),
            "values": recipe.model_dump(mode="json"),
            "automatic": {".".join(path): reason for path, reason in chosen.items()},
            "rows": {name: split.num_rows for name, split in splits.items()},
            "errors": errors,
        }
    )
    if errors:
        terminal.say(
            ngettext(
                "wrote {path}; {count} error must be fixed first, or left out with "
                "--on-bad-row skip; then   tunesmith train {path}",
                "wrote {path}; {count} errors must be fixed first, or left out with "
                "--on-bad-row skip; then   tunesmith train {path}",
                errors,
            ).format(path=shell_quoted(target), count=errors)
        )
        return 0
    terminal.say(_("wrote {path}; next   tunesmith train {path}").format(path=shell_quoted(target)))
    return 0
