"""ReadingOptions that several commands share, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tunesmith.api.display.terminal import Terminal
from tunesmith.errors import DataError, Place
from tunesmith.i18n import LANGUAGES
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.recipe import KeyPath, Layers, gather, read_scalar
from tunesmith.storage import notices
from tunesmith.storage.disk import as_path
from tunesmith.storage.names import RUNS, locate_run
from tunesmith.text import did_you_mean

if TYPE_CHECKING:
    from tunesmith.data.readers.format import ReadingOptions
    from tunesmith.data.rows import Row, Source
    from tunesmith.runs.folder import RunFolder

__all__ = [
    "ROOT",
    "OutputFile",
    "common",
    "corrections_option",
    "data_options",
    "decision_options",
    "examples",
    "find_run",
    "layers_from",
    "model_options",
    "normalize_option",
    "reading",
    "reading_options",
    "recipe_options",
    "row_at",
    "split_named",
]


class OutputFile(click.Path):
    """A file to write; `~` is a home folder, also behind an equals sign."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(self, value: Any, parameter: Any, context: click.Context | None) -> Any:
        """The path, expanded."""
        return super().convert(as_path(value), parameter, context)


F = TypeVar("F", bound=Callable[..., Any])


ROOT = click.option(
    "--root", default=RUNS, metavar="DIR", show_default=True, help=_("Folder that holds the runs.")
)


def _stack(*options: Callable[[F], F]) -> Callable[[F], F]:
    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


@dataclass(frozen=True)
class _Flag:
    """An option that sets a recipe key; `click` has further arguments of `click.option`."""

    key: str
    help: str
    metavar: str | None = None
    click: Mapping[str, Any] = field(default_factory=dict)


_SWITCH = {"is_flag": True, "default": None}
_MULTIPLE = {"multiple": True}
_ROWS = "FRACTION|FILE|SPLIT"

_READING = {
    "encoding": _Flag(
        "data.encoding",
        N_("Encoding of text files, such as gb18030; auto: detected from the bytes."),
    ),
    "delimiter": _Flag(
        "data.delimiter",
        N_("Character between the fields of a table; auto: what the first lines show."),
    ),
    "sheet": _Flag("data.sheet", N_("Sheet of an Excel file, if not the first."), "NAME"),
    "offsets": _Flag(
        "data.offsets",
        N_("How positions of marked texts are counted, such as utf-16; else as most rows agree."),
        "NAME",
    ),
    "columns": _Flag(
        "data.header",
        N_("Column names of a table without a header line, such as text,label."), "NAMES",
    ),
}  # fmt: skip
_ROLES = {
    "text": _Flag("data.text", N_("Column of the text."), "COLUMN"),
    "text_pair": _Flag("data.text_pair", N_("Column of the second text of a pair."), "COLUMN"),
    "label": _Flag(
        "data.label", N_("Column of the label; repeatable for 0/1 columns."), "COLUMN", _MULTIPLE,
    ),
    "label_separator": _Flag(
        "data.label_separator",
        N_("Separator of several labels in one field, such as ; or json for a list."), "TEXT",
    ),
}  # fmt: skip
_NORMALIZE = {
    "normalize_labels": _Flag(
        "data.normalize_labels",
        N_("Treat labels that differ only in case and white space as one."), click=_SWITCH,
    ),
}  # fmt: skip
_CORRECTIONS = {
    "corrections": _Flag(
        "data.corrections",
        N_("Corrected table of `tunesmith errors --export`; repeatable."), "FILE", _MULTIPLE,
    ),
}  # fmt: skip
_TRAINING = {
    "epochs": _Flag("train.epochs", N_("Passes over the training rows."), "N"),
    "max_steps": _Flag("train.max_steps", N_("Optimizer steps; overrides --epochs."), "N"),
    "batch_size": _Flag("train.batch_size", N_("Rows per optimizer step."), "N"),
    "learning_rate": _Flag(
        "train.learning_rate", N_("Highest learning rate, such as 5e-5."), "RATE",
    ),
    "max_length": _Flag("train.max_length", N_("Most tokens per row; the rest is cut off."), "N"),
    "seed": _Flag("train.seed", N_("Seed of the new head, the row order and the dropout."), "N"),
    "device": _Flag("train.device", N_("Where to train: auto, cpu, cuda or mps."), "DEVICE"),
}  # fmt: skip
_RECIPE = {
    "task": _Flag("task", N_("Task to learn, such as text-classification.")),
    "model": _Flag("model", N_("Hub name, local folder or embedded:mini.")),
    "preset": _Flag("preset", N_("Named set of values, such as course.")),
    "validation": _Flag(
        "data.validation", N_("Validation rows, which select the best model."), _ROWS,
    ),
    "test": _Flag("data.test", N_("Test rows, scored once at the end."), _ROWS),
    "on_bad_row": _Flag(
        "data.on_bad_row", N_("How to handle rows that cannot be used."),
        click={"type": click.Choice(("fail", "skip", "quarantine"))},
    ),
    "allow_leak": _Flag(
        "data.allow_leak", N_("Accept evaluation rows that are also in train."), click=_SWITCH,
    ),
    **_NORMALIZE,
    **_TRAINING,
    "long": _Flag(
        "options.long",
        N_("How to read texts longer than --max-length."),
        click={"type": click.Choice(("head", "tail", "head_tail", "windows"))},
    ),
    "preflight": _Flag(
        "train.preflight",
        N_("Try the longest batch, saving and every metric before the first step."),
        click={"default": None},
    ),
}  # fmt: skip
_FLAGS = {**_RECIPE, **_ROLES, **_READING, **_CORRECTIONS}
"""Every flag that sets a recipe key, by the name of its parameter."""


def _add(flags: Mapping[str, _Flag]) -> Callable[[F], F]:
    """A decorator that adds flags."""

    def declaration(name: str) -> str:
        dashed = name.replace("_", "-")
        return "--preflight/--no-preflight" if name == "preflight" else f"--{dashed}"

    return _stack(
        *(
            click.option(declaration(name), metavar=flag.metavar, help=_(flag.help), **flag.click)
            for name, flag in flags.items()
        )
    )


def common(function: Callable[..., int]) -> Callable[..., int]:
    """Add --json, -q, --lang and --debug; pass the command the `Terminal` they ask for, first.

    `main` reads --lang and --debug itself, before the command is loaded.
    """

    @wraps(function)
    def with_terminal(as_json: bool, quiet: bool, **flags: Any) -> int:
        del flags["lang"], flags["debug"]
        return function(Terminal.of({"as_json": as_json, "quiet": quiet}), **flags)

    return _stack(
        click.option(
            "--json",
            "as_json",
            is_flag=True,
            help=_("Print the result as JSON on stdout; messages go to stderr."),
        ),
        click.option("-q", "--quiet", is_flag=True, help=_("Print only the result.")),
        click.option("--lang", type=click.Choice(LANGUAGES), help=_("Language of messages.")),
        click.option("--debug", is_flag=True, help=_("Show the traceback of an error.")),
    )(with_terminal)


def reading_options(function: F) -> F:
    """Add options for reading files."""
    return _add(_READING)(function)


def data_options(function: F) -> F:
    """Add options for column roles and for reading files."""
    return _add({**_ROLES, **_READING})(function)


def reading(flags: Mapping[str, Any]) -> ReadingOptions:
    """Return the options of `open_splits` from flags, including --config and --revision."""
    from tunesmith.data.readers.format import ReadingOptions

    names = flags["columns"]
    return ReadingOptions(
        flags["encoding"],
        _unescaped(flags["delimiter"]),
        flags.get("config"),
        flags.get("revision"),
        None if names is None else _comma_separated(names),
        flags["sheet"],
        flags.get("offsets"),
    )


def normalize_option(function: F) -> F:
    """Add --normalize-labels, for classes that are spelled in several ways."""
    return _add(_NORMALIZE)(function)


def corrections_option(function: F) -> F:
    """Add --corrections, for labels corrected by hand."""
    return _add(_CORRECTIONS)(function)


def decision_options(function: F) -> F:
    """Add options for turning probabilities into predictions."""
    return _stack(
        click.option(
            "--calibrated",
            is_flag=True,
            help=_("Apply the temperature and thresholds of `tunesmith calibrate`."),
        ),
        click.option(
            "--threshold",
            type=click.FloatRange(0, 1),
            help=_(
                "Lowest probability of a prediction, instead of those; below it the model abstains."
            ),
        ),
    )(function)


def recipe_options(function: Callable[..., int]) -> Callable[..., int]:
    """Add flags for recipe keys, those of `data_options` and `common`, and --set."""
    return _stack(
        _add(_RECIPE),
        data_options,
        click.option(
            "--set",
            "sets",
            metavar="KEY=VALUE",
            multiple=True,
            help=_("Any recipe key, such as train.epochs=1; repeatable."),
        ),
        common,
    )(function)


def model_options(function: F) -> F:
    """Add options for loading a model and computing predictions."""
    return _stack(
        click.option("--batch-size", type=click.IntRange(min=1), help=_("Maximum rows per batch.")),
        click.option("--revision", help=_("Branch, tag or commit of a Hub model.")),
        click.option(
            "--device",
            type=click.Choice(["auto", "cpu", "cuda", "mps"]),
            default="auto",
            help=_("Device to compute on."),
        ),
        click.option(
            "--disable",
            multiple=True,
            metavar="PART",
            help=_(
                "Part of fast prediction to leave out; repeatable: layers, packing, last_layer, "
                "copies, process, streams, waiting."
            ),
        ),
    )(function)


def examples(*lines: str) -> str:
    """The epilog of a command: its examples, a line each."""
    return "\b\n" + _("Examples:") + "\n" + "\n".join(f"  {line}" for line in lines)


def layers_from(what: Sequence[str], flags: Mapping[str, Any]) -> Layers:
    """The layers of a recipe file or of data, with the flags and --set above them."""
    values: dict[KeyPath, tuple[str, object]] = {}
    for name, value in flags.items():
        if name in _FLAGS and value not in (None, ()):
            path = tuple(_FLAGS[name].key.split("."))
            values[path] = ("--" + name.replace("_", "-"), _flag_value(name, value))
    file = None
    if len(what) == 1 and what[0].endswith((".yaml", ".yml")):
        file = as_path(what[0])
    elif what:
        data: object = what[0] if len(what) == 1 else list(what)
        values[("data", "train")] = ("WHAT", data)
    layers = gather(file=file, flags=values, sets=flags.get("sets", ()))
    for notice in layers.notices:
        notices.show_now(notice)
    return layers


def _flag_value(name: str, value: Any) -> object:
    """The value of a recipe key from the text of its flag."""
    if name in _TRAINING:
        return read_scalar(str(value))
    if name == "corrections":
        return list(value)
    if name == "label":
        return value[0] if len(value) == 1 else list(value)
    if name == "columns":
        return list(_comma_separated(value))
    return _unescaped(value) if name in ("delimiter", "label_separator") else value


def _comma_separated(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _unescaped(text: str | None) -> str | None:
    r"""A tab or line break from \t or \n, since a shell makes the characters hard to type."""
    return {"\\t": "\t", "\\n": "\n"}.get(text or "", text)


def find_run(name: str, root: str) -> RunFolder:
    """The run with a name under `root`, or at a path.

    Raises:
        RecipeError: there is none (C113).
    """
    from tunesmith.runs.folder import RunFolder

    return RunFolder(locate_run(name, root))


def split_named(splits: Mapping[str, Source], name: str) -> Source:
    """One of the splits.

    Raises:
        DataError: there is no split of this name (D307).
    """
    if name not in splits:
        fix = _("Splits: {names}.").format(names=", ".join(splits))
        message = _('there is no split "{name}"').format(name=name)
        raise DataError.of("D307", message, fix=did_you_mean(name, splits, otherwise=fix))
    return splits[name]


def row_at(source: Source, index: int, split: str) -> Row:
    """A row by its number from 0.

    Raises:
        DataError: there are fewer rows (D308).
    """
    from tunesmith.data.rows import first_rows

    rows = first_rows(source, index + 1)
    if index >= len(rows):
        message = _("there is no row {row}; {split} has {count} rows, from 0").format(
            row=index, split=split, count=len(rows)
        )
        fix = _("Name a smaller number.")
        raise DataError.of("D308", message, Place(source.name), fix=fix)
    return rows[index]
