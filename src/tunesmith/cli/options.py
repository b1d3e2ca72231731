"""Options that several commands share, each said once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tunesmith.i18n import LANGUAGES
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.recipe import KeyPath, Layers, gather, read_scalar
from tunesmith.storage import notices
from tunesmith.storage.disk import as_path
from tunesmith.storage.names import RUNS

if TYPE_CHECKING:
    from tunesmith.data.open import Options

__all__ = [
    "ROOT",
    "OutputFile",
    "common",
    "corrections_option",
    "data_options",
    "decision_options",
    "examples",
    "layers_from",
    "normalize_option",
    "reading",
    "reading_options",
    "recipe_options",
    "set_option",
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


_TRAINING: dict[str, tuple[KeyPath, str, str]] = {
    "epochs": (("train", "epochs"), "N", N_("Passes over the training rows.")),
    "max_steps": (("train", "max_steps"), "N", N_("Optimizer steps; overrides --epochs.")),
    "batch_size": (("train", "batch_size"), "N", N_("Rows per optimizer step.")),
    "learning_rate": (
        ("train", "learning_rate"), "RATE", N_("Highest learning rate, such as 5e-5."),
    ),
    "max_length": (
        ("train", "max_length"), "N", N_("Most tokens per row; the rest is cut off."),
    ),
    "seed": (
        ("train", "seed"), "N", N_("Seed of the new head, the row order and the dropout."),
    ),
    "device": (("train", "device"), "DEVICE", N_("Where to train: auto, cpu, cuda or mps.")),
}  # fmt: skip
"""The keys of `train` that people change first, by the name of their flag."""


def common(function: F) -> F:
    """--json, -q, --lang, --debug: read by `main` before the command runs."""
    return _stack(
        click.option(
            "--json",
            "as_json",
            is_flag=True,
            help=_("Print the result as JSON on stdout; words for people go to stderr."),
        ),
        click.option("-q", "--quiet", is_flag=True, help=_("Print only the result.")),
        click.option("--lang", type=click.Choice(LANGUAGES), help=_("Language of messages.")),
        click.option("--debug", is_flag=True, help=_("Show the traceback of an error.")),
    )(function)


def data_options(function: F) -> F:
    """How to read what is named, and which column is what."""
    return _stack(
        click.option("--text", metavar="COLUMN", help=_("Column of the text.")),
        click.option(
            "--text-pair", metavar="COLUMN", help=_("Column of the second text of a pair.")
        ),
        click.option(
            "--label",
            metavar="COLUMN",
            multiple=True,
            help=_("Column of the label; several times for 0/1 columns."),
        ),
        click.option(
            "--label-separator",
            metavar="TEXT",
            help=_("What separates several labels of one field, such as ; or json for a list."),
        ),
        reading_options,
    )(function)


def reading_options(function: F) -> F:
    """How to read text files."""
    return _stack(
        click.option(
            "--encoding",
            help=_("Encoding of text files, such as gb18030; auto: detected from the bytes."),
        ),
        click.option(
            "--delimiter",
            help=_("Character between the fields of a table; auto: what the first lines show."),
        ),
        click.option(
            "--sheet", metavar="NAME", help=_("Sheet of an Excel file, if not the first.")
        ),
        click.option(
            "--columns",
            metavar="NAMES",
            help=_("Names for the columns of a table without a header line, such as text,label."),
        ),
    )(function)


def reading(given: Mapping[str, Any]) -> Options:
    """The same for `open_splits`, with what else a command asks about a Hub data set."""
    from tunesmith.data.open import Options

    header = given["columns"]
    return Options(
        given["encoding"],
        _as_delimiter(given["delimiter"]),
        given.get("config"),
        given.get("revision"),
        None if header is None else _as_names(header),
        given["sheet"],
    )


def normalize_option(function: F) -> F:
    """--normalize-labels, for classes that are spelt in several ways."""
    return click.option(
        "--normalize-labels",
        is_flag=True,
        default=None,
        help=_("Read labels that differ only by case and white space as one."),
    )(function)


def decision_options(function: F) -> F:
    """How probabilities become answers."""
    return _stack(
        click.option(
            "--calibrated",
            is_flag=True,
            help=_("Follow the temperature and thresholds that `tunesmith calibrate` found."),
        ),
        click.option(
            "--threshold",
            type=click.FloatRange(0, 1),
            help=_(
                "Least probability of an answer, in place of these; less sure ones are `unsure`."
            ),
        ),
    )(function)


def recipe_options(function: F) -> F:
    """What people change most in a recipe."""
    return _stack(
        click.option("--task", help=_("What is learned, such as text-classification.")),
        click.option("--model", help=_("Hub name, local folder or embedded:mini.")),
        click.option("--preset", help=_("Named set of values, such as course.")),
        click.option(
            "--validation",
            metavar="SHARE|FILE|SPLIT",
            help=_("Validation rows, by which the model is chosen."),
        ),
        click.option(
            "--test", metavar="SHARE|FILE|SPLIT", help=_("Test rows, scored once at the end.")
        ),
        click.option(
            "--on-bad-row",
            type=click.Choice(("fail", "skip", "quarantine")),
            help=_("What becomes of rows that cannot be used."),
        ),
        click.option(
            "--allow-leak",
            is_flag=True,
            default=None,
            help=_("Accept evaluated rows that also stand in train."),
        ),
        normalize_option,
        *(
            click.option("--" + name.replace("_", "-"), metavar=metavar, help=_(meaning))
            for name, (_path, metavar, meaning) in _TRAINING.items()
        ),
        click.option(
            "--preflight/--no-preflight",
            default=None,
            help=_("Try the longest batch, saving and every score before the first step."),
        ),
    )(function)


def corrections_option(function: F) -> F:
    """--corrections, for labels that a person mended."""
    return click.option(
        "--corrections",
        metavar="FILE",
        multiple=True,
        help=_("Table from `tunesmith errors --export`, filled in; several times."),
    )(function)


def set_option(function: F) -> F:
    """--set, for everything that has no flag."""
    return click.option(
        "--set",
        "sets",
        metavar="KEY=VALUE",
        multiple=True,
        help=_("Any key of the recipe, such as train.epochs=1; several times."),
    )(function)


def examples(*lines: str) -> str:
    """The epilog of a command: two examples."""
    return "\b\n" + _("Examples:") + "\n" + "\n".join(f"  {line}" for line in lines)


_FLAGS: dict[str, KeyPath] = {
    "task": ("task",),
    "model": ("model",),
    "preset": ("preset",),
    "validation": ("data", "validation"),
    "test": ("data", "test"),
    "preflight": ("train", "preflight"),
    "text": ("data", "text"),
    "text_pair": ("data", "text_pair"),
    "label": ("data", "label"),
    "label_separator": ("data", "label_separator"),
    "encoding": ("data", "encoding"),
    "delimiter": ("data", "delimiter"),
    "columns": ("data", "header"),
    "sheet": ("data", "sheet"),
    "normalize_labels": ("data", "normalize_labels"),
    "on_bad_row": ("data", "on_bad_row"),
    "allow_leak": ("data", "allow_leak"),
    "corrections": ("data", "corrections"),
    **{name: path for name, (path, _metavar, _meaning) in _TRAINING.items()},
}


def layers_from(what: Sequence[str], sets: Sequence[str], given: dict[str, Any]) -> Layers:
    """The layers of a recipe file, or of data named directly, with the flags above them."""
    flags: dict[KeyPath, tuple[str, object]] = {}
    for name, value in given.items():
        if name in _FLAGS and value not in (None, ()):
            flags[_FLAGS[name]] = ("--" + name.replace("_", "-"), _meant(name, value))
    file = None
    if len(what) == 1 and what[0].endswith((".yaml", ".yml")):
        file = as_path(what[0])
    elif what:
        named: object = what[0] if len(what) == 1 else list(what)
        flags[("data", "train")] = ("WHAT", named)
    layers = gather(file=file, flags=flags, sets=sets)
    for notice in layers.notices:
        notices.show_now(notice)
    return layers


def _meant(name: str, value: Any) -> object:
    """What a person means by a flag: one label column or several, a tab written as backslash t."""
    if name in _TRAINING:
        return read_scalar(str(value))
    if name == "corrections":
        return list(value)
    if name == "label":
        return value[0] if len(value) == 1 else list(value)
    if name == "columns":
        return list(_as_names(value))
    return _as_delimiter(value) if name in ("delimiter", "label_separator") else value


def _as_names(written: str) -> tuple[str, ...]:
    """Names with commas between them."""
    return tuple(name.strip() for name in written.split(","))


def _as_delimiter(written: str | None) -> str | None:
    r"""A shell makes it hard to type a tab or a line break: \t and \n stand for them."""
    return {"\\t": "\t", "\\n": "\n"}.get(written or "", written)
