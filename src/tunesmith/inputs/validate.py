"""Read every row once: report all problems together, learn the labels, draw the random splits."""

from __future__ import annotations

import hashlib
from array import array
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.findings import Finding
from tunesmith.data.labels import label_text
from tunesmith.data.rows import Rejected, Row, Source
from tunesmith.data.scan import Survey, content_of
from tunesmith.data.splits import random_splits
from tunesmith.data.wrapped import FilteredSource
from tunesmith.errors import DataError, Place, Problem, RecipeError, Severity
from tunesmith.i18n import gettext as _
from tunesmith.inputs.audit import Audit
from tunesmith.inputs.column_stats import SourceStats
from tunesmith.inputs.left_out import left_out
from tunesmith.inputs.length_checks import Lengths
from tunesmith.inputs.resolve import Automatic, ResolvedInputs, at_keys, joined, no_rows
from tunesmith.inputs.sampling import sampling_note
from tunesmith.inputs.streaming import Streaming
from tunesmith.metrics.scores import choose_metrics
from tunesmith.recipe import Layers, Percentage, Recipe
from tunesmith.tasks import Task

__all__ = ["Split", "ValidatedInputs", "validate_inputs", "validate_split"]

_ORDER = (Severity.ERROR, Severity.WARNING, Severity.NOTE)
"""Problems are reported in this order."""


@dataclass(frozen=True)
class Split:
    """Rows to train on, or to evaluate.

    Attributes:
        name: "train", "validation" or "test".
        source: of the rows.
        digest: sha256 of the used columns of the whole source.
        places: the numbers of the split's rows among those of the source, rising; None for all.
        num_rows: of the split.
        is_labeled: False for rows that are only predicted.
    """

    name: str
    source: Source
    digest: str
    places: NDArray[np.int64] | None
    num_rows: int
    is_labeled: bool = True


@dataclass(frozen=True)
class ValidatedInputs:
    """Rows that are fit to train on.

    Attributes:
        recipe: complete.
        layers: where each value comes from.
        task: fitted.
        splits: by name; there is always "train".
        warnings: problems that do not stop training.
        notes: what was chosen and learned, a line each.
        lengths: tokens per row, if an audit counted them.
        rejected: rows that were left out and are to be written to a file, each with its split.
        streaming: how the training rows are read shard by shard, of which a sample was checked;
            None if all were.
    """

    recipe: Recipe
    layers: Layers
    task: Task
    splits: Mapping[str, Split]
    warnings: Sequence[Problem]
    notes: Sequence[str]
    lengths: Lengths | None = None
    rejected: Sequence[tuple[str, Rejected]] = ()
    streaming: Streaming | None = None


def validate_inputs(resolved: ResolvedInputs, *, audited: bool = False) -> ValidatedInputs:
    """Read every row once, report all problems, learn the labels, draw the random splits.

    Args:
        resolved: the opened data and the recipe.
        audited: also check the rows as a whole: leaks, duplicates, classes, lengths.

    Raises:
        DataError: all problems of all splits, if one of them is an error.
        RecipeError: labels or scores in the recipe that the data or the task does not have.
    """
    _refuse_unknown_scores(resolved)
    audit = Audit(resolved) if audited else None
    task = resolved.task
    stats = audit.stats(resolved.train) if audit else None
    survey = _survey(resolved.train, task, must_be_labeled=True, stats=stats)
    unlearnable: Sequence[Problem] = ()
    try:
        with at_keys(resolved.layers):
            rows_read = survey.rows()
            task = task.fit(rows_read)
            deque(rows_read, maxlen=0)  # the survey is of all rows, also if the task needs none
        unlearnable = _at(task.warnings, resolved.train)
    except DataError as error:
        unlearnable = _at(error.problems, resolved.train)
    on_bad_row = resolved.recipe.data.on_bad_row
    rows = good_rows(survey, on_bad_row)
    problems = [*resolved.problems, *rows.problems]
    if survey.num_rows and not _has_errors(problems):
        problems = [*unlearnable, *problems]
    splits = {} if _has_errors(problems) else _draw(resolved, survey, rows)
    drawn = {name: split.places for name, split in splits.items()}
    if resolved.streaming is not None and splits:
        problems.append(sampling_note(resolved.streaming, survey))
    rejected = [("train", record) for record in rows.rejected]
    if audit and stats:
        audit.close("train", stats, survey)
    for name, source in resolved.others.items():
        splits[name], rows = validate_split(name, source, task, audit, on_bad_row=on_bad_row)
        problems += rows.problems
        rejected += [(name, record) for record in rows.rejected]
    if audit:
        problems += audit.problems(task, drawn)
    if _has_errors(problems):
        raise DataError(sorted(problems, key=lambda problem: _ORDER.index(problem.severity)))
    recipe, layers = _with_scores(resolved, task)
    notes = [*resolved.notes, *task.summary()]
    lengths = audit.lengths if audit else None
    return ValidatedInputs(
        recipe, layers, task, splits, problems, notes, lengths, rejected, resolved.streaming
    )


@dataclass(frozen=True)
class GoodRows:
    """What is left of a source without its bad rows.

    Attributes:
        source: the rows to use.
        digest: sha256 of their used columns.
        num_rows: of `source`.
        problems: of the bad rows: errors, or warnings if these are left out.
        rejected: the bad rows, if they are to be written to a file.
    """

    source: Source
    digest: str
    num_rows: int
    problems: Sequence[Problem]
    rejected: Sequence[Rejected] = ()


def good_rows(survey: Survey, on_bad_row: str) -> GoodRows:
    """Leave out bad rows, if the recipe says so and good ones remain.

    Args:
        survey: of all rows.
        on_bad_row: "fail", "skip" or "quarantine".
    """
    problems, source = survey.problems(), survey.source
    num_good = survey.num_rows - len(survey.bad)
    is_unreadable = survey.reading_problems and not survey.unreadable
    has_bad_rows = survey.bad or survey.unreadable
    if is_unreadable or not num_good or not has_bad_rows:
        return GoodRows(source, survey.digest, survey.num_rows, problems)
    if on_bad_row == "fail":
        flags = ("--on-bad-row", "skip")
        problems = [
            replace(problem, flags=flags) if problem.severity is Severity.ERROR else problem
            for problem in problems
        ]
        return GoodRows(source, survey.digest, survey.num_rows, problems)
    warnings = [left_out(problem) for problem in problems]
    remaining = FilteredSource(source, frozenset(survey.bad), survey.columns)
    digest = hashlib.sha256()
    for chunk in remaining.chunks(survey.columns):
        for row in chunk:
            digest.update(content_of(row, survey.columns))
    rejected = _rejected(survey) if on_bad_row == "quarantine" else ()
    return GoodRows(remaining, digest.hexdigest(), num_good, warnings, rejected)


def _rejected(survey: Survey) -> list[Rejected]:
    """Return every bad row with its place and values, then every record that cannot be read."""
    places = survey.source.places(survey.bad) if survey.bad else {}
    values = {
        row.index: row.values for row in survey.all_rows(survey.columns) if row.index in survey.bad
    }
    rows = [
        Rejected(
            places.get(index, Place(survey.source.name, row=index)),
            finding.code,
            finding.message,
            values.get(index),
        )
        for index, finding in survey.bad.items()
    ]
    return [*rows, *survey.unreadable]


def _refuse_unknown_scores(resolved: ResolvedInputs) -> None:
    try:
        choose_metrics(resolved.recipe.metrics or (), resolved.task.metrics, resolved.task.name)
    except RecipeError as error:
        raise RecipeError(
            [
                resolved.layers.problem(problem.code, problem.message, "metrics", fix=problem.fix)
                for problem in error.problems
            ]
        ) from None


def _survey(
    source: Source, task: Task, *, must_be_labeled: bool, stats: SourceStats | None = None
) -> Survey:
    names = {column.name for column in source.columns}

    def examine(row: Row) -> Finding | None:
        finding = task.validate_row(row)
        if finding is None and must_be_labeled and not task.is_labeled(row):
            return _unlabeled(row.values.get(task.roles.label_columns[0]), task)
        return finding

    return Survey(
        source,
        columns=[name for name in task.roles.columns if name in names],
        text_columns=task.roles.text_columns,
        examine=examine,
        stratum=task.stratum,
        group_column=task.group_column if task.group_column in names else None,
        watch=stats.watch if stats else None,
    )


def _unlabeled(value: object, task: Task) -> Finding:
    """Return the finding of a row without a label where there must be one."""
    is_empty = value is None or (isinstance(value, str) and label_text(value) is None)
    fix = _("Label or remove the rows.")
    if task.output.column_type == "list":
        fix = _("Label or remove the rows; a row without any label holds an empty list.")
    message = (
        _("the label is empty")
        if is_empty
        else _("the label is {value}, which marks a row without one").format(value=value)
    )
    return Finding("D201", message, fix=fix)


def validate_split(
    name: str,
    source: Source,
    task: Task,
    audit: Audit | None = None,
    *,
    on_bad_row: str = "fail",
) -> tuple[Split, GoodRows]:
    """Check a split with a source of its own.

    Validation must be labeled; in a test split all rows are, or none.
    """
    stats = audit.stats(source) if audit else None
    survey = _survey(source, task, must_be_labeled=name == "validation", stats=stats)
    unlabeled = array("q")
    num_labeled = 0
    for row in survey.rows():
        if task.is_labeled(row):
            num_labeled += 1
        else:
            unlabeled.append(row.index)
    for index in unlabeled if num_labeled else ():
        survey.refuse(
            index, Finding("D201", _("the label is empty"), fix=_("Label or remove the rows."))
        )
    rows = good_rows(survey, on_bad_row)
    if survey.num_rows == 0 and not rows.problems:
        rows = replace(rows, problems=[no_rows(source)])
    if audit and stats:
        audit.close(name, stats, survey, is_labeled=num_labeled > 0)
    split = Split(name, rows.source, rows.digest, None, rows.num_rows, is_labeled=num_labeled > 0)
    return split, rows


def _draw(resolved: ResolvedInputs, survey: Survey, rows: GoodRows) -> dict[str, Split]:
    source, digest = rows.source, rows.digest
    if (streaming := resolved.streaming) is not None:
        whole = streaming.source
        return {"train": Split("train", whole, whole.digest, None, streaming.num_rows)}
    if not resolved.fractions:
        return {"train": Split("train", source, digest, None, rows.num_rows)}
    drawn = random_splits(
        survey.text_hashes,
        survey.split_strata,
        list(resolved.fractions.values()),
        seed=resolved.recipe.data.seed,
        groups=survey.group_hashes,
    )
    column = resolved.task.group_column
    splits = {}
    for name, places in zip((*resolved.fractions, "train"), drawn, strict=True):
        if len(places) == 0:
            fraction = Percentage(
                resolved.fractions.get(name, 1 - sum(resolved.fractions.values()))
            )
            raise DataError.of(
                "D120",
                _("{fraction} of {count} rows are not enough for one {split} row").format(
                    fraction=fraction, count=rows.num_rows, split=name
                ),
                Place(source.name),
                fix=_("Give more rows, a larger fraction, or a file of its own.")
                if column is None
                else _(
                    'Rows with one "{column}" are in one split: give more of them, a larger '
                    "fraction, or a file of its own."
                ).format(column=column),
            )
        splits[name] = Split(name, source, digest, places, len(places))
    return splits


def _with_scores(resolved: ResolvedInputs, task: Task) -> tuple[Recipe, Layers]:
    """Fill in the scores and the one that selects the model, now that the classes are known."""
    automatic = Automatic(resolved.layers)
    requested = resolved.recipe.metrics
    default = requested or task.default_metrics
    if requested is None:
        automatic.suggest(("metrics",), default, _("the scores of {task}").format(task=task.name))
    first = next((name for name in default if name != "loss"), "loss")
    if resolved.recipe.data.validation is not None:
        automatic.suggest(("train", "select_by"), first, _("the first of the scores"))
    values = {**automatic.values}
    reasons = {**resolved.reasons, **automatic.reasons}
    for layer in resolved.layers.layers:
        if layer.kind == "automatic":
            values = joined(layer.values, values)
    layers = resolved.layers.with_automatic(values, reasons)
    return layers.recipe(), layers


def _has_errors(problems: Sequence[Problem]) -> bool:
    return any(problem.severity is Severity.ERROR for problem in problems)


def _at(problems: Sequence[Problem], source: Source) -> list[Problem]:
    return [p if p.place else replace(p, place=Place(source.name)) for p in problems]
