"""Checking: read every row once, tell all problems together, learn the labels, draw the shares."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.findings import Finding
from tunesmith.data.label_lists import recognized_separator, separator_name
from tunesmith.data.labels import label_text
from tunesmith.data.rows import Rejected, Row, Source
from tunesmith.data.scan import Survey
from tunesmith.data.splits import draw_shares
from tunesmith.errors import DataError, Place, Problem, RecipeError, Severity
from tunesmith.i18n import gettext as _
from tunesmith.inputs.audit import Audit
from tunesmith.inputs.bad_rows import Kept, keep
from tunesmith.inputs.column_stats import Census
from tunesmith.inputs.length_checks import Lengths
from tunesmith.inputs.resolve import Automatic, ResolvedInputs, at_keys, joined, no_rows
from tunesmith.metrics.scores import choose_metrics
from tunesmith.recipe import Layers, Recipe, Share
from tunesmith.tasks import Task
from tunesmith.text import quoted, shell_quoted, shortened

__all__ = ["Split", "ValidatedInputs", "check", "check_other"]


_ORDER = (Severity.ERROR, Severity.WARNING, Severity.NOTE)
"""Who must correct something reads that first."""


@dataclass(frozen=True)
class Split:
    """Some rows with one purpose.

    Attributes:
        name: "train", "validation" or "test".
        source: where the rows are.
        digest: the content of the whole source.
        places: which of the source's rows, in order; None for all.
        num_rows: how many that are.
        is_labelled: False for rows that are only predicted.
    """

    name: str
    source: Source
    digest: str
    places: NDArray[np.int64] | None
    num_rows: int
    is_labelled: bool = True


@dataclass(frozen=True)
class ValidatedInputs:
    """Rows that are fit to train on.

    Attributes:
        recipe: the recipe, now whole.
        layers: where each value comes from.
        task: fitted: it knows its labels.
        splits: by name; "train" is always there.
        warnings: what is odd but does not stop.
        notes: what was chosen and found, a line each.
        lengths: tokens per row, if an audit could count them.
        rejected: rows that were left out and are to be written down, each with its split.
    """

    recipe: Recipe
    layers: Layers
    task: Task
    splits: Mapping[str, Split]
    warnings: Sequence[Problem]
    notes: Sequence[str]
    lengths: Lengths | None = None
    rejected: Sequence[tuple[str, Rejected]] = ()


def check(seen: ResolvedInputs, *, audited: bool = False) -> ValidatedInputs:
    """Read every row once, tell all problems, learn the labels, draw the shares.

    Args:
        seen: the opened data and the recipe.
        audited: also judge the rows as a whole: leaks, duplicates, classes, lengths.

    Raises:
        DataError: every problem of every split, together, if one of them is an error.
        RecipeError: labels or scores in the recipe that the data or the task does not have.
    """
    _refuse_unknown_scores(seen)
    audit = Audit(seen) if audited else None
    task = seen.task
    census = audit.census(seen.train) if audit else None
    survey = _survey(seen.train, task, must_be_labelled=True, census=census)
    unlearnable: Sequence[Problem] = ()
    try:
        with at_keys(seen.layers):
            task = task.fit(survey.rows())
    except DataError as error:
        unlearnable = _at(error.problems, seen.train)
    on_bad_row = seen.recipe.data.on_bad_row
    kept = keep(survey, on_bad_row)
    problems = [*_several_labels(seen), *kept.problems]
    if survey.num_rows and not _errors(problems):
        problems = [*unlearnable, *problems]
    splits = {} if _errors(problems) else _draw(seen, survey, kept)
    drawn = {name: split.places for name, split in splits.items()}
    rejected = [("train", record) for record in kept.rejected]
    if audit and census:
        audit.close("train", census, survey)
    for name, source in seen.others.items():
        splits[name], found = check_other(name, source, task, audit, on_bad_row=on_bad_row)
        problems += found.problems
        rejected += [(name, record) for record in found.rejected]
    if audit:
        problems += audit.problems(task, drawn)
    if _errors(problems):
        raise DataError(sorted(problems, key=lambda problem: _ORDER.index(problem.severity)))
    recipe, layers = _with_scores(seen, task)
    notes = [*seen.notes, *task.summary()]
    lengths = audit.lengths if audit else None
    return ValidatedInputs(recipe, layers, task, splits, problems, notes, lengths, rejected)


def _several_labels(seen: ResolvedInputs) -> Iterator[Problem]:
    """Fields that hold several labels each, for a task of one class per row."""
    label = seen.task.roles.label
    column = seen.profile.column(label) if isinstance(label, str) else None
    if seen.task.name != "text-classification" or column is None or seen.recipe.data.labels:
        return
    if not (separator := recognized_separator(column.counts)):
        return
    name = separator_name(separator.sign)
    yield Problem(
        "D218",
        _('"{column}" seems to hold several labels in one field, such as {example}').format(
            column=label, example=quoted([shortened(separator.example)])
        ),
        Place(seen.train.name),
        evidence=(
            _("{rows} of the first {total} rows have several of {count} labels").format(
                rows=separator.rows, total=seen.profile.num_rows, count=separator.labels
            ),
        ),
        fix=_(
            "For several labels per row: --task multi-label-classification --label-separator "
            "{separator} (a row without a label then has none of them). If each field is one "
            "class: --task text-classification."
        ).format(separator=shell_quoted(name)),
        # a user who named the task is asked no more
        severity=Severity.ERROR if ("task",) in seen.reasons else Severity.WARNING,
    )


def _refuse_unknown_scores(seen: ResolvedInputs) -> None:
    try:
        choose_metrics(seen.recipe.metrics or (), seen.task.metrics, seen.task.name)
    except RecipeError as error:
        raise RecipeError(
            [
                seen.layers.problem(problem.code, problem.message, "metrics", fix=problem.fix)
                for problem in error.problems
            ]
        ) from None


def _survey(
    source: Source, task: Task, *, must_be_labelled: bool, census: Census | None = None
) -> Survey:
    names = {column.name for column in source.columns}

    def examine(row: Row) -> Finding | None:
        finding = task.validate_row(row)
        if finding is None and must_be_labelled and not task.is_labeled(row):
            return _unlabeled(row.values.get(task.roles.label_columns[0]), task)
        return finding

    return Survey(
        source,
        columns=[name for name in task.roles.columns if name in names],
        text_columns=task.roles.text_columns,
        examine=examine,
        stratum=task.stratum,
        watch=census.watch if census else None,
    )


def _unlabeled(value: object, task: Task) -> Finding:
    """A row without a label, among rows that must have one."""
    is_empty = value is None or (isinstance(value, str) and label_text(value) is None)
    fix = _("Label or remove the rows.")
    if task.name == "multi-label-classification":
        fix = _("Label or remove the rows; a row without any label holds an empty list.")
    message = (
        _("the label is empty")
        if is_empty
        else _("the label is {value}, which marks a row without one").format(value=value)
    )
    return Finding("D201", message, fix=fix)


def check_other(
    name: str,
    source: Source,
    task: Task,
    audit: Audit | None = None,
    *,
    on_bad_row: str = "fail",
) -> tuple[Split, Kept]:
    """Validation must be labelled; a test split may be without any label, but not in part."""
    census = audit.census(source) if audit else None
    survey = _survey(source, task, must_be_labelled=name == "validation", census=census)
    unlabelled = array("q")
    labelled = 0
    for row in survey.rows():
        if task.is_labeled(row):
            labelled += 1
        else:
            unlabelled.append(row.index)
    for index in unlabelled if labelled else ():
        survey.refuse(
            index, Finding("D201", _("the label is empty"), fix=_("Label or remove the rows."))
        )
    kept = keep(survey, on_bad_row)
    if survey.num_rows == 0 and not kept.problems:
        kept = replace(kept, problems=[no_rows(source)])
    if audit and census:
        audit.close(name, census, survey, is_labelled=labelled > 0)
    split = Split(name, kept.source, kept.digest, None, kept.num_rows, is_labelled=labelled > 0)
    return split, kept


def _draw(seen: ResolvedInputs, survey: Survey, kept: Kept) -> dict[str, Split]:
    source, digest = kept.source, kept.digest
    if not seen.fractions:
        return {"train": Split("train", source, digest, None, kept.num_rows)}
    drawn = draw_shares(
        survey.text_hashes,
        survey.strata,
        list(seen.fractions.values()),
        seed=seen.recipe.data.seed,
    )
    splits = {}
    for name, places in zip((*seen.fractions, "train"), drawn, strict=True):
        if len(places) == 0:
            share = Share(seen.fractions.get(name, 1 - sum(seen.fractions.values())))
            raise DataError(
                Problem(
                    "D120",
                    _("{share} of {count} rows are not enough for one {split} row").format(
                        share=share, count=kept.num_rows, split=name
                    ),
                    Place(source.name),
                    fix=_("Give more rows, a larger share, or a file of its own."),
                )
            )
        splits[name] = Split(name, source, digest, places, len(places))
    return splits


def _with_scores(seen: ResolvedInputs, task: Task) -> tuple[Recipe, Layers]:
    """Fill in the scores and the one that chooses, now that the classes are known."""
    automatic = Automatic(seen.layers)
    asked = seen.recipe.metrics
    default = asked or task.default_metrics
    if asked is None:
        automatic.suggest(("metrics",), default, _("the scores of {task}").format(task=task.name))
    first = next((name for name in default if name != "loss"), "loss")
    if seen.recipe.data.validation is not None:
        automatic.suggest(("train", "select_by"), first, _("the first of the scores"))
    values = {**automatic.values}
    reasons = {**seen.reasons, **automatic.reasons}
    for layer in seen.layers.layers:
        if layer.kind == "automatic":
            values = joined(layer.values, values)
    layers = seen.layers.with_automatic(values, reasons)
    return layers.recipe(), layers


def _errors(problems: Sequence[Problem]) -> bool:
    return any(problem.severity is Severity.ERROR for problem in problems)


def _at(problems: Sequence[Problem], source: Source) -> list[Problem]:
    return [p if p.place else replace(p, place=Place(source.name)) for p in problems]
