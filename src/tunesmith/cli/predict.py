"""`tunesmith predict`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from tunesmith.cli.options import (
    ROOT,
    common,
    data_options,
    decision_options,
    examples,
    reading,
)
from tunesmith.cli.terminal import Terminal
from tunesmith.errors import Problem, RecipeError, inert, shortened
from tunesmith.language import gettext as _
from tunesmith.naming import model_source

__all__ = ["command"]


@click.command(
    "predict",
    help=_(
        "Predict texts with a finished model: a run, a model folder or a Hub name. Texts come as "
        "arguments, from a file with the columns of the training data, or a line each from stdin. "
        "A model of pairs takes its texts two by two; on stdin a tab stands between them."
    ),
    epilog=examples(
        'tunesmith predict runs/tickets "The printer is broken again."',
        "tunesmith predict runs/tickets --file new.csv --json > answers.jsonl",
        "tunesmith predict runs/tickets --calibrated --file new.csv",
    ),
)
@click.argument("model")
@click.argument("texts", nargs=-1, metavar="[TEXT ...]")
@click.option("--file", metavar="FILE", help=_("Rows to predict."))
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
    model: str, texts: tuple[str, ...], file: str | None, batch_size: int | None, **given: Any
) -> int:
    """Load, predict in the order given, print a line per row."""
    terminal = Terminal.of(given)
    if file is None and not texts:
        texts = tuple(_from_stdin())
    elif file is not None and texts:
        raise RecipeError(Problem("R100", _("give either texts or --file, not both")))
    from tunesmith.artifact.loading import load
    from tunesmith.data.roles import Roles
    from tunesmith.data.sources import from_python, open_splits

    roles = Roles(given["text"], given["text_pair"]) if given["text"] else None
    loaded = load(
        model_source(model, given["root"]),
        revision=given["revision"],
        device=given["device"],
        precision=given["precision"],
        roles=roles,
    )
    columns = loaded.task.roles.text_columns
    if file is not None:
        source = next(iter(open_splits(file, reading(given)).values()))
    else:
        source = from_python(_as_records(texts, columns), _("the given texts"))["train"]
    for row, answer in loaded.stream(
        source,
        calibrated=given["calibrated"],
        threshold=given["threshold"],
        batch_size=batch_size,
    ):
        terminal.record({"row": row.index, **answer})
        shown = " | ".join(shortened(str(row.values[name]), at_most=60) for name in columns)
        terminal.result(f"{inert(_label(answer))}\t{answer['score']:.4f}\t{shown}")
    return 0


def _from_stdin() -> list[str]:
    """A row a line; the two texts of a pair with a tab between them."""
    if sys.stdin.isatty():
        raise RecipeError(
            Problem(
                "R100", _("no text to predict"), fix=_("Give texts, --file, or lines on stdin.")
            )
        )
    lines = sys.stdin.read().splitlines()
    return [part for line in lines if line.strip() for part in line.split("\t")]


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
        return _("unsure")
    return ", ".join(label) if isinstance(label, list) else str(label)
