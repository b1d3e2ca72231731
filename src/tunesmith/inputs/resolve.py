"""Open the data and fill in what the recipe leaves out, with the reason for each choice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tunesmith.data.columns import Roles, missing_columns
from tunesmith.data.open import detected, open_source, open_splits
from tunesmith.data.profile import Profile, profile
from tunesmith.data.readers.format import ReadingOptions
from tunesmith.data.readers.text_file import AUTO
from tunesmith.data.rows import Source, Splits, first_rows
from tunesmith.data.sharded import Sharded
from tunesmith.errors import DataError, Place, Problem, RecipeError, Severity, first_problems
from tunesmith.i18n import gettext as _
from tunesmith.inputs.corrections import correct
from tunesmith.inputs.label_spelling import normalize_labels
from tunesmith.inputs.left_out import left_out
from tunesmith.inputs.streaming import Streaming, default_share, sharded_of, streaming_of
from tunesmith.metrics.scores import GLUE
from tunesmith.models import suggest_model
from tunesmith.recipe import DataSettings, KeyPath, Layers, Percentage, Recipe
from tunesmith.recipe.nested import lookup
from tunesmith.tasks import Task, match_task, task_named
from tunesmith.text import nearest

__all__ = [
    "Automatic",
    "ResolvedInputs",
    "at_key",
    "at_keys",
    "joined",
    "no_rows",
    "reading_options",
    "resolve_inputs",
]

_VALIDATION_NAMES = ("validation", "validation_matched", "valid", "dev", "val")
_DEFAULT_FRACTION = "10%"
_SUGGESTED: tuple[KeyPath, ...] = (
    ("task",), ("model",), ("metrics",), ("data", "text"), ("data", "label"),
)  # fmt: skip
"""Keys that null leaves to be suggested."""


@dataclass(frozen=True)
class ResolvedInputs:
    """The data opened, and a recipe without gaps.

    Attributes:
        layers: where each value of the recipe comes from.
        recipe: complete but for `train.select_by` and `metrics`, which may depend on the labels.
        train: the training rows.
        others: "validation" and "test", where they are sources.
        fractions: "validation" and "test", where they are drawn from the training rows.
        profile: what the first training rows look like.
        task: not fitted yet.
        reasons: why each automatic value was chosen.
        problems: why the columns may be meant otherwise.
        streaming: how the training rows are read shard by shard, and `train` is a sample of them;
            None if they are read as a whole.
    """

    layers: Layers
    recipe: Recipe
    train: Source
    others: Mapping[str, Source]
    fractions: Mapping[str, float]
    profile: Profile
    task: Task
    reasons: Mapping[KeyPath, str]
    problems: Sequence[Problem] = ()
    streaming: Streaming | None = None

    @property
    def notes(self) -> list[str]:
        """Notes on how the files were read, equal ones once."""
        sources = (self.train, *self.others.values())
        return list(dict.fromkeys(note for source in sources for note in source.notes))


def resolve_inputs(layers: Layers, data: Splits | None = None) -> ResolvedInputs:
    """Open the data and fill in what the recipe leaves out.

    Args:
        layers: the recipe as the user wrote it.
        data: splits from Python, instead of the ones that the recipe names.

    Raises:
        TunesmithError: the recipe, the data or a column does not exist or does not fit.
    """
    layers = layers.without_nulls(_SUGGESTED)
    requested = layers.recipe()
    settings = requested.data
    options = reading_options(settings)
    if data is None:
        data = open_splits(
            settings.train if isinstance(settings.train, str) else list(settings.train), options
        )
    train = _choose_split(data, settings.split, layers)
    columns = profile(train)
    if columns.num_rows == 0:
        raise DataError(no_rows(train))
    layers, automatic = _with_detected(layers, train)
    if requested.task is not None:
        _check_task(requested.task, layers)
    task_class, match = match_task(columns, settings, requested.task)
    automatic.suggest(("task",), task_class.name, match.reason)
    for key, suggestion in match.suggested.items():
        automatic.suggest(("data", key), suggestion.value, suggestion.reason)
    if requested.model is None:
        _suggest_model(automatic, requested, columns.source, match.roles, task_class)
    for key, option in task_class.options_type.model_fields.items():
        meaning = _(option.description) if option.description else ""
        automatic.suggest(("options", key), option.default, meaning)
    _suggest_splits(automatic, data, match.roles)
    layers = layers.with_automatic(automatic.values, automatic.reasons)
    sharded = sharded_of(layers, layers.recipe(), train, task_class)
    if sharded is not None:
        _suggest_streaming(automatic, sharded)
        layers = layers.with_automatic(automatic.values, automatic.reasons)
    recipe = layers.recipe()
    others, fractions = _open_others(recipe, layers, data, options)
    streaming = None
    if sharded is not None:
        streaming = streaming_of(layers, recipe, sharded, fractions)
        train = streaming.sample
        others |= {name: streaming.picked(i) for i, name in enumerate(fractions)}
        fractions = {}
    roles = replace(match.roles, group=recipe.data.group)
    problems = _columns_problems(roles, layers, train, others)
    if problems:
        raise DataError(first_problems(problems))
    with at_keys(layers):
        task = task_class.make(roles, recipe.data, train.columns, recipe.options)
    sources = correct(recipe.data.corrections, task, {"train": train, **others})
    if recipe.data.normalize_labels:
        with at_keys(layers):
            sources = normalize_labels(task, sources, known=recipe.data.labels or ())
    train, others = sources.pop("train"), sources
    severity = Severity.ERROR if requested.task is None else Severity.WARNING
    doubts = [replace(match.problem, severity=severity)] if match.problem else []
    doubts += map(left_out, sharded.problems) if sharded is not None else ()
    return ResolvedInputs(
        layers, recipe, train, others, fractions, columns, task, automatic.reasons, doubts,
        streaming,
    )  # fmt: skip


class Automatic:
    """Values for keys that the user left out, each with its reason."""

    def __init__(self, layers: Layers) -> None:
        self._layers = layers
        self.values: dict[str, object] = {}
        self.reasons: dict[KeyPath, str] = {}

    def value(self, *path: str) -> object:
        """Return the suggested value of a key, None without one."""
        return lookup(self.values, path)[1]

    def suggest(self, path: KeyPath, value: object, reason: str) -> None:
        """Set a value, unless the user set the key."""
        if self._layers.holds(*path):
            return
        section = self.values
        for part in path[:-1]:
            inner = section.setdefault(part, {})
            assert isinstance(inner, dict)  # noqa: S101 - built here, two levels deep
            section = inner
        section[path[-1]] = value
        self.reasons[path] = reason


@contextmanager
def at_keys(layers: Layers) -> Iterator[None]:
    """Move the problems of a `RecipeError` to the lines of their keys."""
    try:
        yield
    except RecipeError as error:
        raise RecipeError([at_key(problem, layers) for problem in error.problems]) from None


def at_key(problem: Problem, layers: Layers) -> Problem:
    """Move a problem from the key that it names to the line of that key."""
    path = str(problem.place).split(".")
    return layers.problem(problem.code, problem.message, *path, fix=problem.fix)


def joined(first: Mapping[str, object], second: Mapping[str, object]) -> dict[str, object]:
    """Merge two levels of nested values; the second has precedence."""
    merged = dict(first)
    for key, value in second.items():
        inner = merged.get(key)
        if isinstance(inner, Mapping) and isinstance(value, Mapping):
            merged[key] = {**inner, **value}
        else:
            merged[key] = value
    return merged


def _with_detected(layers: Layers, train: Source) -> tuple[Layers, Automatic]:
    """Put what was detected about the files in place of "auto"."""
    for key in ("encoding", "delimiter"):
        if layers.value("data", key) == AUTO:
            layers = layers.without("data", key)
    automatic = Automatic(layers)
    for key, value in detected(train).items():
        automatic.suggest(("data", key), value, _("detected from the content of the file"))
    return layers, automatic


def reading_options(settings: DataSettings) -> ReadingOptions:
    """Return how files are to be read."""
    return ReadingOptions(
        settings.encoding,
        settings.delimiter,
        settings.config,
        settings.revision,
        settings.header,
        settings.sheet,
        settings.offsets,
    )


def no_token(source: Source) -> Problem:
    """Return the problem of a source from whose texts the tokenizer makes nothing."""
    return Problem(
        "D122",
        _("its texts hold no token"),
        Place(source.name),
        fix=_("Name another column with --text, or choose a model for this language."),
    )


def no_rows(source: Source) -> Problem:
    """Return the problem of a source without rows."""
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


def _check_task(name: str, layers: Layers) -> None:
    """Refuse an unknown task at its line in the recipe."""
    try:
        task_named(name)
    except RecipeError as error:
        raise RecipeError(_at_line(error.problems[0], layers, "task")) from None


def _at_line(problem: Problem, layers: Layers, *path: str) -> Problem:
    """Move a problem to the line of a key; the first lines of its fix are shown there."""
    remark, _newline, fix = (problem.fix or "").rpartition("\n")
    return layers.problem(problem.code, problem.message, *path, remark=remark, fix=fix)


def _suggest_model(
    automatic: Automatic, requested: Recipe, source: Source, roles: Roles, task: type[Task]
) -> None:
    texts = [
        str(row.values.get(name) or "")
        for row in first_rows(source, 1000, roles.text_columns)
        for name in roles.text_columns
    ]
    device = requested.train.device
    suggestion = suggest_model(texts, device=device, model_class=task.model_class)
    automatic.suggest(("model",), *suggestion)


def _suggest_splits(automatic: Automatic, data: Splits, roles: Roles) -> None:
    split = next((name for name in _VALIDATION_NAMES if name in data), None)
    if split:
        automatic.suggest(("data", "validation"), split, _("the data set has this split"))
    else:
        automatic.suggest(
            ("data", "validation"), _DEFAULT_FRACTION, _("the data set has no validation split")
        )
    if "test" in data and _is_labeled(data["test"], roles):
        automatic.suggest(("data", "test"), "test", _("the data set has this split"))
    name = data["train"].name if "train" in data else ""
    for glue, metrics in GLUE.items():
        if f"glue/{glue}:" in name:
            automatic.suggest(
                ("metrics",), metrics, _("the scores of GLUE {name}").format(name=glue)
            )


def _suggest_streaming(automatic: Automatic, sharded: Sharded) -> None:
    rows = sharded.num_rows
    automatic.suggest(("data", "streaming"), True, _("{count} rows").format(count=rows))
    share = default_share(rows, float(_DEFAULT_FRACTION.removesuffix("%")) / 100)
    if automatic.value("data", "validation") == _DEFAULT_FRACTION and share is not None:
        reason = _("a fraction of {count} rows").format(count=rows)
        automatic.suggest(("data", "validation"), share, reason)


def _is_labeled(source: Source, roles: Roles) -> bool:
    """Whether any of the first rows has a label; published sets write -1 where there is none."""
    if not roles.label_columns:
        return True
    rows = first_rows(source, 20, roles.label_columns)
    values = [row.values.get(name) for row in rows for name in roles.label_columns]
    return any(value not in (None, -1, "-1", "") for value in values)


def _open_others(
    recipe: Recipe, layers: Layers, data: Splits, options: ReadingOptions
) -> tuple[dict[str, Source], dict[str, float]]:
    """Open validation and test, which are splits, other files or fractions of the training rows.

    Returns:
        The sources, and the fractions.
    """
    others: dict[str, Source] = {}
    fractions: dict[str, float] = {}
    for name in ("validation", "test"):
        where = getattr(recipe.data, name)
        if isinstance(where, Percentage):
            fractions[name] = where.fraction
        elif isinstance(where, tuple):
            others[name] = open_splits(where, options)["train"]
        elif where in data:
            others[name] = data[where]
        elif where is not None:
            try:
                others[name] = open_source(where, options)
            except DataError as error:
                raise _neither_split_nor_file(error, layers, name, where, data) from error
    if sum(fractions.values()) >= 1:
        raise RecipeError(
            layers.problem(
                "R104",
                _("these fractions leave no row to train on"),
                "data",
                "validation",
                fix=_("Write fractions with a sum below 100%."),
            )
        )
    return others, fractions


def _neither_split_nor_file(
    error: DataError, layers: Layers, name: str, where: str, data: Splits
) -> DataError:
    if len(data) < 2:
        return error
    problem = layers.problem(
        "D307",
        _('"{where}" is neither a split nor a file').format(where=where),
        "data",
        name,
        fix=_("Splits: {names}.").format(names=", ".join(data)),
    )
    return DataError(problem)


def _columns_problems(
    roles: Roles, layers: Layers, train: Source, others: Mapping[str, Source]
) -> list[Problem]:
    labels = [("label", name) for name in roles.label_columns]
    texts = [("text", roles.text)]
    if roles.text_pair:
        texts.append(("text_pair", roles.text_pair))
    if roles.context:
        texts.append(("context", roles.context))
    problems: list[Problem] = []
    for source in (train, *others.values()):
        required = texts if source is others.get("test") else texts + labels
        if source is train and roles.group:
            required = [*required, ("group", roles.group)]
        for role, problem in missing_columns(required, source):
            is_of_data = problem.place is not None
            problems.append(problem if is_of_data else _at_line(problem, layers, "data", role))
    return problems
