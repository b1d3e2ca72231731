"""Inputs: from what was asked to rows that are fit to train on. No torch, no tokenizer yet.

`look` opens the data and fills in what was left out, with the reason for each choice. `check` reads
every row once, tells all problems together, learns the labels and draws the shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tunesmith.corrections import correct
from tunesmith.data.findings import Finding, Findings
from tunesmith.data.profile import Profile, profile
from tunesmith.data.roles import Roles, missing_columns, need_a_role, suggest_roles
from tunesmith.data.rows import Row, Source, Splits, first_rows
from tunesmith.data.sources import Options, open_splits
from tunesmith.data.splits import draw_shares
from tunesmith.data.survey import Survey
from tunesmith.errors import DataError, Place, Problem, RecipeError, Severity, nearest
from tunesmith.language import gettext as _
from tunesmith.metrics import GLUE
from tunesmith.model import suggest_model
from tunesmith.recipe import KeyPath, Layers, Recipe, Share
from tunesmith.tasks import TASKS, Task, suggest_task, task_named

__all__ = ["Checked", "Look", "Split", "check", "check_other", "look"]

_VALIDATION_NAMES = ("validation", "validation_matched", "valid", "dev", "val")
_DEFAULT_SHARE = "10%"


@dataclass(frozen=True)
class Look:
    """The data opened, and a recipe without gaps.

    Attributes:
        layers: where each value of the recipe comes from.
        recipe: the whole of it; only `train.best` and `metrics` may still wait for the labels.
        train: the training rows.
        others: "validation" and "test", where they are sources of their own.
        shares: "validation" and "test", where they are drawn from the training rows.
        profile: what the first training rows look like.
        task: what is learnt, not fitted yet.
        reasons: why each automatic value was chosen.
    """

    layers: Layers
    recipe: Recipe
    train: Source
    others: Mapping[str, Source]
    shares: Mapping[str, float]
    profile: Profile
    task: Task
    reasons: Mapping[KeyPath, str]

    @property
    def notes(self) -> list[str]:
        """What is worth saying about the files."""
        return [note for source in (self.train, *self.others.values()) for note in source.notes]


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
class Checked:
    """Rows that are fit to train on.

    Attributes:
        recipe: the recipe, now whole.
        layers: where each value comes from.
        task: fitted: it knows its labels.
        splits: by name; "train" is always there.
        warnings: what is odd but does not stop.
        notes: what was chosen and found, a line each.
    """

    recipe: Recipe
    layers: Layers
    task: Task
    splits: Mapping[str, Split]
    warnings: Sequence[Problem]
    notes: Sequence[str]


def look(layers: Layers, data: Splits | None = None) -> Look:
    """Open the data and fill in what the recipe leaves out.

    Args:
        layers: what was asked.
        data: splits given from Python instead of by name.

    Raises:
        PlainError: the recipe, the data or a column does not exist or does not fit.
    """
    asked = layers.recipe()
    settings = asked.data
    options = Options(settings.encoding, settings.delimiter, settings.config, settings.revision)
    if data is None:
        data = open_splits(
            settings.train if isinstance(settings.train, str) else list(settings.train), options
        )
    train = _choose_split(data, settings.split, layers)
    found = profile(train)
    if found.num_rows == 0:
        raise DataError(Problem("D120", _("no rows"), Place(train.name)))
    automatic = _Automatic(layers)
    needs_label = asked.task is None or _task_class(asked, layers).needs_label
    roles = _suggest_roles(automatic, asked, found, needs_label=needs_label)
    _suggest_task_and_model(automatic, asked, found, roles)
    _suggest_options(automatic, layers)
    _suggest_splits(automatic, data, roles)
    layers = layers.with_automatic(automatic.values, automatic.reasons)
    recipe = layers.recipe()
    others, shares = _open_others(recipe, layers, data, options)
    problems = _columns_problems(roles, layers, train, others)
    if problems:
        raise DataError(problems)
    task = _make_task(recipe, layers, roles, train)
    corrected = correct(recipe.data.corrections, task, {"train": train, **others})
    train = corrected.pop("train")
    others = corrected
    return Look(layers, recipe, train, others, shares, found, task, automatic.reasons)


class _Automatic:
    """Values suggested for keys that nobody set."""

    def __init__(self, layers: Layers) -> None:
        self._layers = layers
        self.values: dict[str, object] = {}
        self.reasons: dict[KeyPath, str] = {}

    def suggest(self, path: KeyPath, value: object, reason: str) -> None:
        """Set a value unless a person did."""
        if self._layers.holds(*path):
            return
        section = self.values
        for part in path[:-1]:
            inner = section.setdefault(part, {})
            assert isinstance(inner, dict)  # noqa: S101 - built here, two levels deep
            section = inner
        section[path[-1]] = value
        self.reasons[path] = reason


def _choose_split(data: Splits, name: str, layers: Layers) -> Source:
    if name in data:
        return data[name]
    close = nearest(name, data)
    raise DataError(
        layers.problem(
            "D307",
            _('there is no split "{name}"').format(name=name),
            "data",
            "split",
            remark=_('did you mean "{name}"?').format(name=close[0]) if close else "",
            fix=_("Splits: {names}.").format(names=", ".join(data)),
        )
    )


def _suggest_roles(
    automatic: _Automatic, asked: Recipe, found: Profile, *, needs_label: bool
) -> Roles:
    given = asked.data
    label = given.label
    taken = [name for name in (given.text, given.text_pair) if name]
    taken += [label] if isinstance(label, str) else list(label or ())
    suggested = suggest_roles(found, taken)
    text, pair = given.text, given.text_pair
    if text is None:
        if "text" not in suggested:
            raise need_a_role("text", found)
        text = suggested["text"].value
        automatic.suggest(("data", "text"), text, suggested["text"].reason)
        if pair is None and "text_pair" in suggested:
            pair = suggested["text_pair"].value
            automatic.suggest(("data", "text_pair"), pair, suggested["text_pair"].reason)
    if not needs_label:
        return Roles(text, pair)
    if label is None:
        if "label" not in suggested:
            raise need_a_role("label", found)
        label = suggested["label"].value
        automatic.suggest(("data", "label"), label, suggested["label"].reason)
    return Roles(text, pair, label)


def _suggest_task_and_model(
    automatic: _Automatic, asked: Recipe, found: Profile, roles: Roles
) -> None:
    if asked.task is None:
        if isinstance(roles.label, tuple) or asked.data.label_separator:
            automatic.suggest(("task",), "multi-label-classification", _("several labels per row"))
        else:
            column = found.column(str(roles.label))
            if column is not None:
                automatic.suggest(("task",), *suggest_task(column))
    if asked.model is None:
        texts = [
            str(row.values.get(name) or "")
            for row in first_rows(found.source, 1000, roles.text_columns)
            for name in roles.text_columns
        ]
        automatic.suggest(("model",), *suggest_model(texts))


def _suggest_options(automatic: _Automatic, layers: Layers) -> None:
    """What the task alone can be told, written out with its meaning."""
    name = layers.value("task") or automatic.values.get("task")
    if name not in TASKS:
        return
    for key, info in task_named(str(name)).options_type.model_fields.items():
        automatic.suggest(("options", key), info.default, _(info.description or ""))


def _suggest_splits(automatic: _Automatic, data: Splits, roles: Roles) -> None:
    named = next((name for name in _VALIDATION_NAMES if name in data), None)
    if named:
        automatic.suggest(("data", "validation"), named, _("the data set has this split"))
    else:
        automatic.suggest(
            ("data", "validation"), _DEFAULT_SHARE, _("the data set has no validation split")
        )
    if "test" in data and _seems_labelled(data["test"], roles):
        automatic.suggest(("data", "test"), "test", _("the data set has this split"))
    name = data["train"].name if "train" in data else ""
    for glue, metrics in GLUE.items():
        if f"glue/{glue}:" in name:
            automatic.suggest(
                ("metrics",), metrics, _("the scores of GLUE {name}").format(name=glue)
            )


def _seems_labelled(source: Source, roles: Roles) -> bool:
    """Whether the first rows of a published split have labels: -1 stands for none."""
    if not roles.label_columns:
        return True
    rows = first_rows(source, 20, roles.label_columns)
    values = [row.values.get(name) for row in rows for name in roles.label_columns]
    return any(value not in (None, -1, "-1", "") for value in values)


def _open_others(
    recipe: Recipe, layers: Layers, data: Splits, options: Options
) -> tuple[dict[str, Source], dict[str, float]]:
    """Validation and test: a split of the data, a share of the training rows, or another file."""
    others: dict[str, Source] = {}
    shares: dict[str, float] = {}
    for name in ("validation", "test"):
        where = getattr(recipe.data, name)
        if isinstance(where, Share):
            shares[name] = where.fraction
        elif isinstance(where, tuple):
            others[name] = open_splits(where, options)["train"]
        elif where in data:
            others[name] = data[where]
        elif where is not None:
            try:
                splits = open_splits(where, options)
            except DataError as error:
                raise _neither_split_nor_file(error, layers, name, where, data) from error
            others[name] = splits["train"] if "train" in splits else next(iter(splits.values()))
    if sum(shares.values()) >= 1:
        raise RecipeError(
            layers.problem("R104", _("the shares leave no row to train on"), "data", "validation")
        )
    return others, shares


def _neither_split_nor_file(
    error: DataError, layers: Layers, name: str, where: str, data: Splits
) -> DataError:
    if len(data) < 2:
        return error
    told = layers.problem(
        "D307",
        _('"{where}" is neither a split nor a file').format(where=where),
        "data",
        name,
        fix=_("Splits: {names}.").format(names=", ".join(data)),
    )
    return DataError(told)


def _columns_problems(
    roles: Roles, layers: Layers, train: Source, others: Mapping[str, Source]
) -> list[Problem]:
    labels = [("label", name) for name in roles.label_columns]
    texts = [("text", roles.text)]
    if roles.text_pair:
        texts.append(("text_pair", roles.text_pair))
    problems = []
    for source in (train, *others.values()):
        names = [column.name for column in source.columns]
        wanted = texts if source is others.get("test") else texts + labels
        for role, problem in missing_columns(wanted, names, source.name):
            remark, _newline, fix = (problem.fix or "").rpartition("\n")
            problems.append(
                layers.problem(problem.code, problem.message, "data", role, remark=remark, fix=fix)
            )
    return problems


def _task_class(recipe: Recipe, layers: Layers) -> type[Task]:
    assert recipe.task is not None  # noqa: S101 - filled in by now
    try:
        return task_named(recipe.task)
    except RecipeError as error:
        (problem,) = error.problems
        remark, _newline, fix = (problem.fix or "").rpartition("\n")
        raise RecipeError(
            layers.problem(problem.code, problem.message, "task", remark=remark, fix=fix)
        ) from None


def _make_task(recipe: Recipe, layers: Layers, roles: Roles, train: Source) -> Task:
    task = _task_class(recipe, layers)
    try:
        return task.make(roles, recipe.data, train.columns, recipe.options)
    except RecipeError as error:
        raise RecipeError([_at_key(problem, layers) for problem in error.problems]) from None


def check(seen: Look) -> Checked:
    """Read every row once, tell all problems, learn the labels, draw the shares.

    Raises:
        DataError: every error of every split, together.
        RecipeError: labels in the recipe that the data does not have.
    """
    problems: list[Problem] = []
    task = seen.task
    survey = _survey(seen.train, task, must_be_labelled=True)
    try:
        task = task.fit(survey.rows())
    except RecipeError as error:
        raise RecipeError([_at_key(problem, seen.layers) for problem in error.problems]) from None
    except DataError as error:
        if survey.num_rows and not _errors(survey.problems()):
            problems += _at(error.problems, seen.train)
    problems += survey.problems()
    splits = {} if _errors(problems) else _draw(seen, survey)
    for name, source in seen.others.items():
        split, found = check_other(name, source, task)
        splits[name] = split
        problems += found
    if _errors(problems):
        raise DataError(problems)
    recipe, layers = _with_scores(seen, task)
    notes = [*seen.notes, *task.summary()]
    return Checked(recipe, layers, task, splits, problems, notes)


def _survey(source: Source, task: Task, *, must_be_labelled: bool) -> Survey:
    names = {column.name for column in source.columns}

    def examine(row: Row) -> Finding | None:
        finding = task.examine(row)
        if finding is None and must_be_labelled and not task.is_labelled(row):
            value = row.values.get(task.roles.label_columns[0])
            shown = (
                _("the label is empty")
                if value in (None, "")
                else _("the label is {value}, which marks a row without one").format(value=value)
            )
            return Finding("D201", shown, fix=_("Label or remove the rows."))
        return finding

    return Survey(
        source,
        columns=[name for name in task.roles.columns if name in names],
        text_columns=task.roles.text_columns,
        examine=examine,
        stratum=task.stratum,
    )


def check_other(name: str, source: Source, task: Task) -> tuple[Split, list[Problem]]:
    """Validation must be labelled; a test split may be without any label, but not in part."""
    survey = _survey(source, task, must_be_labelled=name == "validation")
    unlabelled = Findings(source)
    labelled = 0
    for row in survey.rows():
        if task.is_labelled(row):
            labelled += 1
        else:
            unlabelled.add(
                row.index,
                Finding("D201", _("the label is empty"), fix=_("Label or remove the rows.")),
            )
    problems = survey.problems()
    if labelled:
        problems += unlabelled.problems()
    if survey.num_rows == 0 and not problems:
        problems.append(Problem("D120", _("no rows"), Place(source.name)))
    split = Split(name, source, survey.digest, None, survey.num_rows, is_labelled=labelled > 0)
    return split, problems


def _draw(seen: Look, survey: Survey) -> dict[str, Split]:
    source, digest = seen.train, survey.digest
    if not seen.shares:
        return {"train": Split("train", source, digest, None, survey.num_rows)}
    drawn = draw_shares(
        survey.text_hashes,
        survey.strata,
        list(seen.shares.values()),
        seed=seen.recipe.data.seed,
    )
    splits = {}
    for name, places in zip((*seen.shares, "train"), drawn, strict=True):
        if len(places) == 0:
            share = Share(seen.shares.get(name, 1 - sum(seen.shares.values())))
            raise DataError(
                Problem(
                    "D120",
                    _("{share} of {count} rows are not enough for one {split} row").format(
                        share=share, count=survey.num_rows, split=name
                    ),
                    Place(source.name),
                    fix=_("Give more rows, a larger share, or a file of its own."),
                )
            )
        splits[name] = Split(name, source, digest, places, len(places))
    return splits


def _with_scores(seen: Look, task: Task) -> tuple[Recipe, Layers]:
    """Fill in the scores and the one that chooses, now that the classes are known."""
    automatic = _Automatic(seen.layers)
    asked = seen.recipe.metrics
    default = asked or task.default_metrics
    if asked is None:
        automatic.suggest(("metrics",), default, _("the scores of {task}").format(task=task.name))
    first = next((name for name in default if name != "loss"), "loss")
    if seen.recipe.data.validation is not None:
        automatic.suggest(("train", "best"), first, _("the first of the scores"))
    values = {**automatic.values}
    reasons = {**seen.reasons, **automatic.reasons}
    for layer in seen.layers.layers:
        if layer.kind == "automatic":
            values = _joined(layer.values, values)
    layers = seen.layers.with_automatic(values, reasons)
    return layers.recipe(), layers


def _joined(first: Mapping[str, object], second: Mapping[str, object]) -> dict[str, object]:
    joined = dict(first)
    for key, value in second.items():
        inner = joined.get(key)
        if isinstance(inner, Mapping) and isinstance(value, Mapping):
            joined[key] = {**inner, **value}
        else:
            joined[key] = value
    return joined


def _errors(problems: Sequence[Problem]) -> bool:
    return any(problem.severity is Severity.ERROR for problem in problems)


def _at_key(problem: Problem, layers: Layers) -> Problem:
    """A task names the key that does not fit; people look for its line."""
    path = str(problem.place).split(".")
    return layers.problem(problem.code, problem.message, *path, fix=problem.fix)


def _at(problems: Sequence[Problem], source: Source) -> list[Problem]:
    return [p if p.place else replace(p, place=Place(source.name)) for p in problems]
