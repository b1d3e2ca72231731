"""`tunesmith predict`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tunesmith.api.display.terminal import Terminal
from tunesmith.cli.options import (
    ROOT,
    OutputFile,
    common,
    data_options,
    decision_options,
    examples,
    model_options,
    reading,
)
from tunesmith.cli.streams import has_reader
from tunesmith.errors import DataError, Place, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext
from tunesmith.metrics.output_kinds import shown_label
from tunesmith.storage.names import model_source
from tunesmith.text import escape_controls, quoted, shortened

if TYPE_CHECKING:
    from tunesmith.data.rows import Row, Source
    from tunesmith.inference.model import Model
    from tunesmith.tasks import Task

    Answered = tuple[Row, Mapping[str, object]]

__all__ = ["command"]

POLICIES = ("fail", "skip", "keep")
_SAY_EVERY_SECONDS = 10.0
_WIDTH = 60


@click.command(
    "predict",
    help=_(
        "Predict texts with a finished model: a run, a model folder or a Hub name. Texts are "
        "arguments, rows of a file with the columns of the training data, or lines of stdin. A "
        "model of text pairs takes texts two by two, separated by a tab on stdin. With --out a "
        "table is written: the columns of the file, the prediction and its probability."
    ),
    epilog=examples(
        'tunesmith predict runs/tickets "The printer is broken again."',
        "tunesmith predict runs/tickets --file new.csv --out predictions.csv",
    ),
)
@click.argument("model")
@click.argument("texts", nargs=-1, metavar="[TEXT ...]")
@click.option("--file", metavar="FILE", help=_("Rows to predict."))
@click.option(
    "--out",
    metavar="FILE",
    type=OutputFile(),
    help=_("Table to write: .csv, .tsv, .jsonl (each also .gz) or .parquet."),
)
@click.option(
    "--scores", is_flag=True, help=_("Add a column with the probability of each class to --out.")
)
@click.option(
    "--format",
    "written_as",
    metavar="NAME",
    help=_("Write a format of the task instead of a table: conll for tags of words."),
)
@click.option("--force", is_flag=True, help=_("Replace an existing file."))
@click.option(
    "--on-bad-row",
    type=click.Choice(POLICIES),
    help=_(
        "Rows that cannot be predicted, such as empty texts: keep with an empty prediction "
        "(default for --file), skip, or fail (default for texts)."
    ),
)
@decision_options
@model_options
@click.option(
    "--precision", type=click.Choice(["auto", "fp32", "bf16"]), default="auto",
    help=_("Floating-point format."),
)  # fmt: skip
@data_options
@ROOT
@common
def command(
    terminal: Terminal,
    model: str,
    texts: tuple[str, ...],
    file: str | None,
    out: Path | None,
    **flags: Any,
) -> int:
    """Load the model, predict rows in order, print a line per row or write a table."""
    from tunesmith.data.columns import Roles
    from tunesmith.data.open import open_splits
    from tunesmith.inference.bad_rows import BadRows
    from tunesmith.inference.load import load

    is_table = flags["written_as"] is None
    _check(texts, file, out, is_table=is_table, force=flags["force"])
    name = model_source(model, flags["root"])
    source = None if file is None else next(iter(open_splits(file, reading(flags)).values()))
    loaded = load(
        name,
        revision=flags["revision"],
        device=flags["device"],
        precision=flags["precision"],
        disable=flags["disable"],
        roles=Roles(flags["text"], flags["text_pair"]) if flags["text"] else None,
    )
    _check_format(flags["written_as"], loaded.task)
    if source is None:
        source = _typed(texts, loaded.task.roles.text_columns, flags["encoding"])
    bad_rows = BadRows(source, flags["on_bad_row"] or ("fail" if file is None else "keep"))
    answered = loaded.stream(
        source,
        calibrated=flags["calibrated"],
        threshold=flags["threshold"],
        batch_size=flags["batch_size"],
        bad_rows=bad_rows,
        with_all_columns=True,
    )
    if not is_table:
        _write_format(terminal, out, loaded.task, answered, flags["written_as"])
    elif out is not None:
        _write(terminal, out, loaded, source, answered, with_scores=flags["scores"])
    else:
        _print(terminal, answered, loaded)
    if problem := bad_rows.warning():
        terminal.problems([problem])
    return 0


def _check(
    texts: Sequence[str], file: str | None, out: Path | None, *, is_table: bool, force: bool
) -> None:
    """Refuse what no model is needed for: a wrong format, an existing file, no text or too many."""
    from tunesmith.data.readers.stdin_reader import check_arguments
    from tunesmith.inference.prediction_files import refuse_format
    from tunesmith.storage import atomic

    if out is not None:
        if is_table:
            refuse_format(out)
        atomic.refuse_existing([out], force=force)
    if file is None and not texts and sys.stdin.isatty():
        fix = _("Give texts, --file, or lines on stdin.")
        raise RecipeError.of("R100", _("no text to predict"), fix=fix)
    if file is not None and texts:
        fix = _("Put a text with spaces in quotes.")
        raise RecipeError.of("R100", _("give either texts or --file, not both"), fix=fix)
    check_arguments(texts)


def _typed(texts: Sequence[str], columns: Sequence[str], encoding: str | None) -> Source:
    """The rows of the arguments, or of stdin if there are none."""
    from tunesmith.data.open import from_python
    from tunesmith.data.readers.stdin_reader import rows_of_lines

    if texts:
        return from_python(_as_records(texts, columns), _("arguments"))["train"]
    piped = list(rows_of_lines(sys.stdin.buffer, columns, encoding))
    if not piped:
        fix = _("Give texts, --file, or lines on stdin.")
        raise DataError.of("D120", _("no rows"), Place("stdin"), fix=fix)
    return from_python(piped, "stdin")["train"]


def _write(
    terminal: Terminal,
    out: Path,
    model: Model,
    source: Source,
    answered: Iterable[Answered],
    *,
    with_scores: bool,
) -> None:
    from tunesmith.inference.prediction_files import OutputColumns, write_predictions

    columns = OutputColumns.of(model.task, source.columns, with_scores=with_scores)
    rows = write_predictions(out, _counted(terminal, answered), columns)
    terminal.record({"file": str(out), "rows": rows, "columns": columns.names})
    written = ngettext("{count} row in {file}", "{count} rows in {file}", rows)
    terminal.result(written.format(count=rows, file=out))


def _check_format(name: str | None, task: Task) -> None:
    """Refuse a format that a task does not write (R210)."""
    if name is None or name in task.formats:
        return
    known = quoted(task.formats) if task.formats else "-"
    message = _('{task} is not written as "{name}"').format(task=task.name, name=name)
    fix = _("Formats of {task}: {names}. Without --format a table is written.")
    raise RecipeError.of("R210", message, fix=fix.format(task=task.name, names=known))


def _write_format(
    terminal: Terminal,
    out: Path | None,
    task: Task,
    answered: Iterable[Answered],
    written_as: str,
) -> None:
    """Write rows with their answers in a format of the task, into a file or to stdout."""
    from tunesmith.storage import atomic

    if out is None:
        for block in task.written(answered, written_as):
            if not has_reader():
                return
            for line in block.split("\n")[:-1]:
                terminal.result(line)
        return
    rows = 0

    def counted() -> Iterator[Answered]:
        nonlocal rows
        for pair in answered:
            rows += 1
            yield pair

    with (
        atomic.replace_file(out) as unfinished,
        unfinished.open("w", encoding="utf-8", newline="\n") as file,
    ):
        file.writelines(task.written(counted(), written_as))
    terminal.record({"file": str(out), "rows": rows})
    written = ngettext("{count} row in {file}", "{count} rows in {file}", rows)
    terminal.result(written.format(count=rows, file=out))


def _counted(terminal: Terminal, answered: Iterable[Answered]) -> Iterator[Answered]:
    """The same rows, reporting their number every few seconds."""
    last = time.monotonic()
    for count, pair in enumerate(answered):
        yield pair
        if (now := time.monotonic()) - last >= _SAY_EVERY_SECONDS:
            last = now
            terminal.say(_("{count} rows").format(count=f"{count + 1:,}"))


def _print(terminal: Terminal, answered: Iterable[Answered], model: Model) -> None:
    """Print a line per row: short in a terminal, complete and with a header in a pipe."""
    columns, texts_of = model.task.roles.text_columns, model.task.texts_of
    is_number = model.task.output.column_type == "number"
    is_terminal = sys.stdout.isatty()
    own = ["prediction"] if is_number else ["prediction", "probability"]
    header = None if is_terminal else "\t".join([*own, *map(_as_cell, columns)])
    for row, answer in answered:
        if not has_reader():  # such as `head`, which has closed the pipe
            return
        if header is not None:  # after the first prediction, which may raise
            terminal.result(header)
            header = None
        terminal.record({"row": row.index, "input": dict(row.values), **answer})
        is_bad = "problem" in answer
        texts = [str(row.values[name] or "") for name in columns] if is_bad else texts_of(row)
        score = "" if answer["score"] is None else f"{answer['score']:.4f}"
        if is_terminal:
            shown = " | ".join(shortened(text, at_most=_WIDTH) for text in texts)
            terminal.result(f"{escape_controls(_label(answer))}\t{score}\t{shown}")
        else:
            own = [score] if is_number else [escape_controls(_label(answer)), score]
            terminal.result("\t".join([*own, *map(_as_cell, texts)]))


def _as_cell(text: str) -> str:
    r"""The text with tabs written as \t, so that it stays one field."""
    return text.replace("\t", "\\t")


def _as_records(texts: Sequence[str], columns: Sequence[str]) -> list[dict[str, object]]:
    width = len(columns)
    if len(texts) % width:
        raise RecipeError.of(
            "R100",
            _("this model reads {count} texts per row ({columns}), not {found}").format(
                count=width, columns=", ".join(columns), found=len(texts)
            ),
            fix=_("Put a text with spaces in quotes."),
        )
    return [
        dict(zip(columns, texts[i : i + width], strict=True)) for i in range(0, len(texts), width)
    ]


def _label(answer: Any) -> str:
    label = answer["label"]
    if label is None:
        return "" if "problem" in answer else _("abstained")
    return shown_label(label)
