"""`tunesmith data`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from tunesmith.api.display.terminal import Terminal
from tunesmith.cli.options import common, examples, reading, reading_options, row_at, split_named
from tunesmith.cli.suggestions import SuggestingGroup
from tunesmith.i18n import gettext as _
from tunesmith.text import shortened

if TYPE_CHECKING:
    from tunesmith.data.rows import Source

__all__ = ["command"]


@click.group("data", cls=SuggestingGroup, help=_("Inspect data sets."))
def command() -> None:
    """The group."""


@command.command(
    "show",
    help=_("Show splits, row counts and features of a data set, and one row."),
    epilog=examples("tunesmith data show tickets.csv", "tunesmith data show glue/mrpc --row 15"),
)
@click.argument("what", nargs=-1, required=True)
@click.option("--row", type=click.IntRange(min=0), default=0, help=_("Row to show, from 0."))
@click.option("--split", help=_("Split of that row; default: the first."))
@click.option("--config", help=_("Configuration of a Hub data set."))
@click.option("--revision", help=_("Branch, tag or commit of a Hub data set."))
@reading_options
@common
def show(
    terminal: Terminal, what: tuple[str, ...], row: int, split: str | None, **flags: Any
) -> int:
    """Open the data, count rows, print features and the row."""
    from tunesmith.data.open import open_splits

    splits = open_splits(what[0] if len(what) == 1 else list(what), reading(flags))
    chosen = split or next(iter(splits))
    source = split_named(splits, chosen)
    counts = {name: sum(len(chunk) for chunk in each.chunks(())) for name, each in splits.items()}
    example = row_at(source, row, chosen).values
    place = source.places([row]).get(row)
    for note in source.notes:
        terminal.say(note)
    for name, count in counts.items():
        terminal.result(f"{name:<12} " + _("{count} rows").format(count=count))
    terminal.result(_("features"))
    _show_row(
        terminal,
        source,
        _("{split}[{row}]  ({place})").format(split=chosen, row=row, place=place),
        example,
    )
    terminal.record(
        {
            "splits": counts,
            "features": [
                {"name": c.name, "type": c.type, "class_names": c.class_names}
                for c in source.columns
            ],
            "example": {"split": chosen, "row": row, "place": str(place), "values": example},
        }
    )
    return 0


def _show_row(terminal: Terminal, source: Source, title: str, example: Mapping[str, Any]) -> None:
    """Print the features, then the values of one row with the names of classes."""
    class_names = {column.name: column.class_names or () for column in source.columns}
    for column in source.columns:
        names = ", ".join(f"{i} {name}" for i, name in enumerate(class_names[column.name]))
        terminal.result(f"  {column.name:<18} {column.type} {names}".rstrip())
    terminal.result(title)
    for name, value in example.items():
        is_class = isinstance(value, int) and 0 <= value < len(class_names[name])
        label = f"  ({class_names[name][value]})" if is_class else ""
        terminal.result(f"  {name:<18} {shortened(str(value), at_most=400)}{label}")
