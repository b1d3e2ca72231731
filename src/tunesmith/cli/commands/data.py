"""`tunesmith data`."""

from __future__ import annotations

from typing import Any

import click

from tunesmith.api.display.terminal import Terminal
from tunesmith.cli.options import common, examples, reading, reading_options
from tunesmith.cli.verbs import Verbs
from tunesmith.errors import DataError, Place, Problem
from tunesmith.i18n import gettext as _
from tunesmith.text import nearest, shortened

__all__ = ["command"]


@click.group("data", cls=Verbs, help=_("Look into data sets."))
def command() -> None:
    """The group."""


@command.command(
    "show",
    help=_("Splits, rows and features of a data set, and one of its rows."),
    epilog=examples("tunesmith data show tickets.csv", "tunesmith data show glue/mrpc --row 15"),
)
@click.argument("what", nargs=-1, required=True)
@click.option("--row", type=click.IntRange(min=0), default=0, help=_("Which row to show, from 0."))
@click.option("--split", help=_("Whose row to show; the first split if not given."))
@click.option("--config", help=_("Configuration of a Hub data set."))
@click.option("--revision", help=_("Branch, tag or commit of a Hub data set."))
@reading_options
@common
def show(what: tuple[str, ...], row: int, split: str | None, **given: Any) -> int:
    """Open, count, show."""
    from tunesmith.data.open import open_splits
    from tunesmith.data.rows import Source, first_rows

    terminal = Terminal.of(given)
    splits = open_splits(what[0] if len(what) == 1 else list(what), reading(given))
    chosen = split or next(iter(splits))
    if chosen not in splits:
        close = nearest(chosen, splits)
        raise DataError(
            Problem(
                "D307",
                _('there is no split "{name}"').format(name=chosen),
                fix=(_('did you mean "{name}"?').format(name=close[0]) + "\n" if close else "")
                + _("Splits: {names}.").format(names=", ".join(splits)),
            )
        )
    counts = {
        name: sum(len(chunk) for chunk in source.chunks(())) for name, source in splits.items()
    }
    source: Source = splits[chosen]
    if row >= counts[chosen]:
        raise DataError(
            Problem(
                "D308",
                _("there is no row {row}; {split} has {count} rows, from 0").format(
                    row=row, split=chosen, count=counts[chosen]
                ),
                Place(source.name),
            )
        )
    example = first_rows(source, row + 1)[row].values
    for note in source.notes:
        terminal.say(note)
    for name, count in counts.items():
        terminal.result(f"{name:<12} " + _("{count} rows").format(count=count))
    terminal.result(_("features"))
    for column in source.columns:
        names = ""
        if column.class_names:
            names = " " + ", ".join(f"{i} {name}" for i, name in enumerate(column.class_names))
        terminal.result(f"  {column.name:<18} {column.type}{names}")
    place = source.places([row]).get(row)
    terminal.result(_("{split}[{row}]  ({place})").format(split=chosen, row=row, place=place))
    class_names = {column.name: column.class_names or () for column in source.columns}
    for name, value in example.items():
        named = ""
        if isinstance(value, int) and 0 <= value < len(class_names[name]):
            named = f"  ({class_names[name][value]})"
        terminal.result(f"  {name:<18} {shortened(str(value), at_most=400)}{named}")
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
