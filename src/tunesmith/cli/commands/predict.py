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
    reading,
)
from tunesmith.cli.streams import has_reader
from tunesmith.errors import DataError, Place, Problem, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext
from tunesmith.storage.names import model_source
from tunesmith.text import escape_controls, shortened

if TYPE_CHECKING:
    from tunesmith.data.rows import Row, Source
    from tunesmith.inference.model import Model

__all__ = ["command"]

POLICIES = ("fail", "skip", "keep")
_SAY_EVERY_SECONDS = 10.0
_WIDTH = 60


@click.command(
    "predict",
    help=_(
        "Predict texts with a finished model: a run, a model folder or a Hub name. Texts come as "
        "arguments, from a file with the columns of the training data, or a line each from stdin. "
        "A model of pairs takes its texts two by two; on stdin a tab stands between them. With "
        "--out a table is written: the columns of the file, the prediction and its probability."
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
    "--scores", is_flag=True, help=_("In --out, a column with the probability of each class.")
)
@click.option("--force", is_flag=True, help=_("Replace the file if it is there."))
@click.option(
    "--on-bad-row",
    type=click.Choice(POLICIES),
    help=_(
        "Rows that cannot be predicted, such as empty texts: keep them with an empty prediction "
        "(as for --file), skip them, or fail (as for texts)."
    ),
)
@decision_options
@click.option("--batch-size", type=click.IntRange(min=1), help=_("Most rows at once."))
@click.option("--revision", help=_("Branch, tag or commit of a Hub model."))
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto",
    help=_("Where to compute."),
)  # fmt: skip
@click.option(
    "--precision", type=click.Choice(["auto", "fp32", "bf16"]), default="auto",
    help=_("Arithmetic."),
)  # fmt: skip
@data_options
@ROOT
@common
def command(
    model: str, texts: tuple[str, ...], file: str | None, out: Path | None, **given: Any
) -> int:
    """Load, predict in the order given, print a line per row or write a table."""
    from tunesmith.storage import atomic

    terminal = Terminal.of(given)
    if out is not None:
        from tunesmith.inference.prediction_files import refuse_format

        refuse_format(out)
        atomic.refuse_existing([out], force=given["force"])
    is_piped = file is None and not texts
    if is_piped and sys.stdin.isatty():
        fix = _("Give texts, --file, or lines on stdin.")
        raise RecipeError(Problem("R100", _("no text to predict"), fix=fix))
    if file is not None and texts:
        raise RecipeError(Problem("R100", _("give either texts or --file, not both")))
    from tunesmith.data.columns import Roles
    from tunesmith.data.open import from_python, open_splits
    from tunesmith.data.readers.stdin_reader import check_arguments, rows_of_lines
    from tunesmith.inference.bad_rows import BadRows
    from tunesmith.inference.load import load

    check_arguments(texts)
    name = model_source(model, given["root"])
    source = None if file is None else next(iter(open_splits(file, reading(given)).values()))
    roles = Roles(given["text"], given["text_pair"]) if given["text"] else None
    loaded = load(
        name,
        revision=given["revision"],
        device=given["device"],
        precision=given["precision"],
        roles=roles,
    )
    columns = loaded.task.roles.text_columns
    if is_piped:
        piped = list(rows_of_lines(sys.stdin.buffer, columns, given["encoding"]))
        if not piped:
            raise DataError(Problem("D120", _("no rows"), Place("stdin")))
        source = from_python(piped, "stdin")["train"]
    elif source is None:
        source = from_python(_as_records(texts, columns), _("the given texts"))["train"]
    policy = given["on_bad_row"] or ("fail" if file is None else "keep")
    bad_rows = BadRows(source, policy)
    answered = loaded.stream(
        source,
        calibrated=given["calibrated"],
        threshold=given["threshold"],
        batch_size=given["batch_size"],
        bad_rows=bad_rows,
        with_all_columns=True,
    )
    if out is not None:
        _write(terminal, out, loaded, source, answered, with_scores=given["scores"])
    else:
        _print(terminal, answered, loaded)
    if problem := bad_rows.warning():
        terminal.problems([problem])
    return 0


def _write(
    terminal: Terminal,
    out: Path,
    model: Model,
    source: Source,
    answered: Iterable[tuple[Row, Mapping[str, object]]],
    *,
    with_scores: bool,
) -> None:
    from tunesmith.inference.prediction_files import OutputColumns, write_predictions

    columns = OutputColumns.of(model.task, source.columns, with_scores=with_scores)
    rows = write_predictions(out, _counted(terminal, answered), columns)
    terminal.record({"file": str(out), "rows": rows, "columns": columns.names})
    written = ngettext("{count} row in {file}", "{count} rows in {file}", rows)
    terminal.result(written.format(count=rows, file=out))


def _counted(
    terminal: Terminal, answered: Iterable[tuple[Row, Mapping[str, object]]]
) -> Iterator[tuple[Row, Mapping[str, object]]]:
    """The same rows; now and then their number is said."""
    last = time.monotonic()
    for count, pair in enumerate(answered):
        yield pair
        if (now := time.monotonic()) - last >= _SAY_EVERY_SECONDS:
            last = now
            terminal.say(_("{count} rows").format(count=f"{count + 1:,}"))


def _print(
    terminal: Terminal,
    answered: Iterable[tuple[Row, Mapping[str, object]]],
    model: Model,
) -> None:
    """A line per row: brief for eyes, whole and under a header for another program."""
    columns = model.task.roles.text_columns
    is_number = getattr(model.task, "kind", None) == "numbers"
    is_for_eyes = sys.stdout.isatty()
    own = ["prediction"] if is_number else ["prediction", "probability"]
    header = None if is_for_eyes else "\t".join([*own, *map(_as_cell, columns)])
    for row, answer in answered:
        if not has_reader():  # `head` had enough
            return
        if header is not None:  # not before there is an answer: the first row may be an error
            terminal.result(header)
            header = None
        terminal.record({"row": row.index, "input": dict(row.values), **answer})
        texts = [str(row.values[name] or "") for name in columns]
        score = "" if answer["score"] is None else f"{answer['score']:.4f}"
        if is_for_eyes:
            shown = " | ".join(shortened(text, at_most=_WIDTH) for text in texts)
            terminal.result(f"{escape_controls(_label(answer))}\t{score}\t{shown}")
        else:
            own = [score] if is_number else [escape_controls(_label(answer)), score]
            terminal.result("\t".join([*own, *map(_as_cell, texts)]))


def _as_cell(text: str) -> str:
    """A text whose tabs are spelled, so that it stays one field of a line."""
    return text.replace("\t", "\\t")


def _as_records(texts: Sequence[str], columns: Sequence[str]) -> list[dict[str, object]]:
    width = len(columns)
    if len(texts) % width:
        raise RecipeError(
            Problem(
                "R100",
                _("this model reads pairs ({columns}); give an even number of texts").format(
                    columns=", ".join(columns)
                ),
            )
        )
    return [
        dict(zip(columns, texts[i : i + width], strict=True)) for i in range(0, len(texts), width)
    ]


def _label(answer: Any) -> str:
    label = answer["label"]
    if label is None:
        return "" if "problem" in answer else _("unsure")
    return ", ".join(label) if isinstance(label, list) else str(label)
