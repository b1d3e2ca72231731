"""Looking: open the data and fill in what was left out, with the reason for each choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tunesmith.data.columns import Roles, missing_columns, need_a_role, suggest_roles
from tunesmith.data.label_lists import recognized_separator
from tunesmith.data.open import Options, detected, open_splits
from tunesmith.data.profile import Profile, profile
from tunesmith.data.readers.text_file import AUTO
from tunesmith.data.rows import Source, Splits, first_rows
from tunesmith.errors import (
    DataError,
    Place,
    Problem,
    RecipeError,
    first_problems,
    nearest,
    quoted,
    shortened,
)
from tunesmith.i18n import gettext as _
from tunesmith.inputs.automatic import Automatic, at_key
from tunesmith.inputs.corrections import correct
from tunesmith.inputs.label_spelling import normalize_labels
from tunesmith.metrics.scores import GLUE
from tunesmith.models import suggest_model
from tunesmith.recipe import DataSettings, KeyPath, Layers, Recipe, Share
from tunesmith.tasks import TASKS, Task, suggest_task, task_named

__all__ = ["ResolvedInputs", "look", "no_rows", "reading_options"]

_VALIDATION_NAMES = ("validation", "validation_matched", "valid", "dev", "val")
_DEFAULT_SHARE = "10%"
_SUGGESTED: tuple[KeyPath, ...] = (
    ("task",), ("model",), ("metrics",), ("data", "text"), ("data", "label"),
)  # fmt: skip
"""Keys whose null means: as the data suggests."""


@dataclass(frozen=True)
class ResolvedInputs:
    """The data opened, and a recipe without gaps.

    Attributes:
        layers: where each value of the recipe comes from.
        recipe: the whole of it; only `train.select_by` and `metrics` may still wait for the labels.
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


def look(layers: Layers, data: Splits | None = None) -> ResolvedInputs:
    """Open the data and fill in what the recipe leaves out.

    Args:
        layers: what was asked.
        data: splits given from Python instead of by name.

    Raises:
        PlainError: the recipe, the data or a column does not exist or does not fit.
    """
    layers = layers.without_nulls(_SUGGESTED)
    asked = layers.recipe()
    settings = asked.data
    options = reading_options(settings)
    if data is None:
        data = open_splits(
            settings.train if isinstance(settings.train, str) else list(settings.train), options
        )
    train = _choose_split(data, settings.split, layers)
    found = profile(train)
    if found.num_rows == 0:
        raise DataError(no_rows(train))
    layers, automatic = _with_detected(layers, train)
    needs_label = asked.task is None or _task_class(asked, layers).needs_label
    roles = _suggest_roles(automatic, asked, found, needs_label=needs_label)
    _suggest_task_and_model(automatic, asked, found, roles)
    _suggest_separator(automatic, layers, found, roles)
    _suggest_options(automatic, layers)
    _suggest_splits(automatic, data, roles)
    layers = layers.with_automatic(automatic.values, automatic.reasons)
    recipe = layers.recipe()
    others, shares = _open_others(recipe, layers, data, options)
    problems = _columns_problems(roles, layers, train, others)
    if problems:
        raise DataError(first_problems(problems))
    task = _make_task(recipe, layers, roles, train)
    sources = correct(recipe.data.corrections, task, {"train": train, **others})
    if recipe.data.normalize_labels:
        sources = _normalise(sources, task, recipe, layers)
    train, others = sources.pop("train"), sources
    return ResolvedInputs(layers, recipe, train, others, shares, found, task, automatic.reasons)


def _with_detected(layers: Layers, train: Source) -> tuple[Layers, Automatic]:
    """What was found out about the files, written out in place of "auto"."""
    for key in ("encoding", "delimiter"):
        if layers.value("data", key) == AUTO:
            layers = layers.without("data", key)
    automatic = Automatic(layers)
    for key, value in detected(train).items():
        automatic.suggest(("data", key), value, _("detected from the content of the file"))
    return layers, automatic


def reading_options(settings: DataSettings) -> Options:
    """How a recipe says that files are to be read."""
    return Options(
        settings.encoding,
        settings.delimiter,
        settings.config,
        settings.revision,
        settings.header,
        settings.sheet,
    )


def no_rows(source: Source) -> Problem:
    """A source without a single row."""
    return Problem(
        "D120", _("no rows"), Place(source.name), fix=_("Add rows, or name another file.")
    )


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
    automatic: Automatic, asked: Recipe, found: Profile, *, needs_label: bool
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
    automatic: Automatic, asked: Recipe, found: Profile, roles: Roles
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
        task = asked.task or automatic.values.get("task")
        suggestion = suggest_model(
            texts, device=asked.train.device, task=str(task) if task else None
        )
        automatic.suggest(("model",), *suggestion)


def _suggest_separator(automatic: Automatic, layers: Layers, found: Profile, roles: Roles) -> None:
    """What separates several labels of one field, once rows may have several."""
    task = layers.value("task") or automatic.values.get("task")
    column = found.column(roles.label) if isinstance(roles.label, str) else None
    if task != "multi-label-classification" or column is None or column.num_lists:
        return
    if separator := recognized_separator(column.counts, is_asked=True):
        reason = _("such as {example}").format(example=quoted([shortened(separator.example)]))
        automatic.suggest(("data", "label_separator"), separator.sign, reason)


def _suggest_options(automatic: Automatic, layers: Layers) -> None:
    """What the task alone can be told, written out with its meaning."""
    name = layers.value("task") or automatic.values.get("task")
    if name not in TASKS:
        return
    for key, info in task_named(str(name)).options_type.model_fields.items():
        automatic.suggest(
            ("options", key), info.default, _(info.description) if info.description else ""
        )


def _suggest_splits(automatic: Automatic, data: Splits, roles: Roles) -> None:
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
    problems: list[Problem] = []
    for source in (train, *others.values()):
        wanted = texts if source is others.get("test") else texts + labels
        for role, problem in missing_columns(wanted, source):
            if problem.place is not None:  # it is the data that is wrong, not the recipe
                problems.append(problem)
                continue
            remark, _newline, fix = (problem.fix or "").rpartition("\n")
            problems.append(
                layers.problem(problem.code, problem.message, "data", role, remark=remark, fix=fix)
            )
    return problems


def _normalise(
    sources: Mapping[str, Source], task: Task, recipe: Recipe, layers: Layers
) -> dict[str, Source]:
    try:
        return normalize_labels(task, sources, known=recipe.data.labels or ())
    except RecipeError as error:
        raise RecipeError([at_key(problem, layers) for problem in error.problems]) from None


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
        raise RecipeError([at_key(problem, layers) for problem in error.problems]) from None
