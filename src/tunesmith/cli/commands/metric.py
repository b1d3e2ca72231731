"""`tunesmith metric`."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import click

from tunesmith.api.display.score_tables import format_scores
from tunesmith.api.display.terminal import Terminal
from tunesmith.cli.options import common, examples
from tunesmith.errors import DataError, RecipeError
from tunesmith.i18n import gettext as _

__all__ = ["command"]


@click.command(
    "metric",
    help=_(
        "Score predictions in one column of a file against labels in another. NAME is as for "
        "evaluate.load: glue/mrpc, accuracy, f1, ... Nothing is downloaded."
    ),
    epilog=examples(
        "tunesmith metric accuracy runs/tickets/predictions/validation.parquet",
        "tunesmith metric glue/mrpc answers.csv --predicted guess --label truth --positive equal",
    ),
)
@click.argument("name")
@click.argument("file")
@click.option(
    "--predicted", default="predicted", show_default=True, help=_("Column of the predictions.")
)
@click.option("--label", default="label", show_default=True, help=_("Column of the true labels."))
@click.option("--positive", help=_("Positive class of a binary F1, precision or recall."))
@click.option(
    "--average", type=click.Choice(["micro", "macro", "weighted"]),
    help=_("How to average F1, precision and recall over classes."),
)  # fmt: skip
@common
def command(
    terminal: Terminal,
    name: str,
    file: str,
    predicted: str,
    label: str,
    *,
    positive: str | None,
    average: str | None,
) -> int:
    """Read two columns, score, print."""
    from tunesmith.interop.load_metric import load_metric

    set_, slash, config = name.partition("/")
    metric = load_metric(set_, config if slash else None)
    answers, truth = _columns(file, (predicted, label))
    if (numbers := _as_numbers([*answers, *truth])) and not isinstance(numbers[0], str):
        answers, truth = numbers[: len(answers)], numbers[len(answers) :]
    else:
        answers, truth = [str(value) for value in answers], [str(value) for value in truth]
    options: dict[str, Any] = {}
    if positive is not None:
        is_text = any(isinstance(value, str) for value in truth)
        options["pos_label"] = positive if is_text else _as_numbers([positive])[0]
    if average is not None:
        options["average"] = average
    try:
        scores = metric.compute(predictions=answers, references=truth, **options)
    except (ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        fix = _("Choose the positive class with --positive, or --average.")
        raise RecipeError.of(
            "R120",
            _("{name} cannot score this: {reason}").format(name=name, reason=reason),
            fix=fix,
        ) from error
    scores = {key: value if math.isfinite(value) else None for key, value in scores.items()}
    terminal.result(format_scores(scores))
    terminal.record({"metric": metric.name, "rows": len(truth), "scores": scores})
    return 0


def _columns(file: str, names: tuple[str, str]) -> list[list[Any]]:
    from tunesmith.data.columns import missing_columns
    from tunesmith.data.findings import Finding, Findings
    from tunesmith.data.open import open_splits

    source = next(iter(open_splits(file).values()))
    named = list(zip(("predicted", "label"), names, strict=True))
    if problems := [problem for _role, problem in missing_columns(named, source)]:
        raise DataError(problems)
    rows = [row for chunk in source.chunks(names) for row in chunk]
    empty = Findings(source)
    for row in rows:
        for name in names:
            if row.values[name] in (None, ""):
                message = _('"{column}" is empty').format(column=name)
                empty.add(row.index, Finding("D309", message, _("Complete or remove the row.")))
                break
    if empty:
        raise DataError(empty.problems())
    return [[row.values[name] for row in rows] for name in names]


def _as_numbers(values: list[Any]) -> list[Any]:
    """The values as numbers if all are; CSV files hold only text."""
    if all(isinstance(value, int | float) for value in values):
        return values
    with suppress(ValueError, TypeError):
        numbers = [float(value) for value in values]
        return [int(n) for n in numbers] if all(n.is_integer() for n in numbers) else numbers
    return [str(value) for value in values]
