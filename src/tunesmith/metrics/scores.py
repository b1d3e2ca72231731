"""Scores: the field's standard numbers, each with its direction. No torch, no network.

The numbers themselves come from scikit-learn and scipy; this module names them, says what they
apply to and which way is better, and never lets a number that is not one pass for a score.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.errors import Problem, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.text import nearest

__all__ = [
    "GLUE",
    "METRICS",
    "Answers",
    "BaselineAnswers",
    "Interval",
    "Metric",
    "Scores",
    "choose_metrics",
    "compute",
    "finite",
    "parse_selection",
    "scoring",
]


@dataclass(frozen=True, slots=True)
class Metric:
    """A score and its direction.

    Attributes:
        name: as recipes, events and cards spell it.
        kinds: the names of the `OutputKind`s that it scores; empty for a score of one task.
        function: called with predictions and truths of equal shape, and the index of the positive
            class; "classes" are integers (n,), "labels" are 0/1 (n, C), "numbers" are floats (n,).
        higher_is_better: the direction.
        by_example: of a score that one task alone knows, whether the first dimension of what it is
            called with counts examples and a call costs little, so that examples can be drawn.
    """

    name: str
    kinds: tuple[str, ...]
    function: Callable[[NDArray[Any], NDArray[Any], int], float]
    higher_is_better: bool = True
    by_example: bool = False


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a value would lie for other rows of the same kind, in 95 of 100 cases."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What scores were computed from, so that it can be told how sure they are.

    Attributes:
        metrics: the scores that were asked for.
        predicted: as `Metric.function` takes it.
        truth: likewise.
        positive: the class that binary scores count.
        losses: the loss of each example, shape (n,); None if it is not known.
    """

    metrics: Sequence[Metric]
    predicted: NDArray[Any]
    truth: NDArray[Any]
    positive: int = 1
    losses: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.truth)

    def at(self, places: NDArray[np.int64]) -> Answers:
        """Those of some rows."""
        losses = None if self.losses is None else self.losses[places]
        return replace(
            self, predicted=self.predicted[places], truth=self.truth[places], losses=losses
        )


@dataclass(frozen=True, slots=True, eq=False)
class BaselineAnswers:
    """What a baseline answers to some of the scored rows.

    Attributes:
        places: of these rows among the model's answers, shape (n,); None for all.
        answers: to these rows.
    """

    places: NDArray[np.int64] | None
    answers: Answers


@dataclass(frozen=True, slots=True)
class Scores:
    """Values by metric name. A value that is not finite is None.

    Attributes:
        values: the scores, in the order they were asked for, then "loss".
        higher_is_better: the direction of each; None for an own score that does not say.
        intervals: how sure they are; only of final scores, and of those that can tell.
        baselines: what simple means score on the same rows, by the names of `baselines.BASELINES`.
        answers: what they were computed from.
        baseline_answers: what the baselines' scores were computed from, where that is known.
    """

    values: Mapping[str, float | None]
    higher_is_better: Mapping[str, bool | None]
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    baselines: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    answers: Answers | None = field(default=None, compare=False, repr=False)
    baseline_answers: Mapping[str, BaselineAnswers] = field(
        default_factory=dict, compare=False, repr=False
    )

    def __getitem__(self, name: str) -> float | None:
        return self.values[name]

    def __contains__(self, name: object) -> bool:
        return name in self.values

    def _repr_html_(self) -> str:
        """The score table in a notebook."""
        from tunesmith.metrics.score_table import numeric_titles, score_rows
        from tunesmith.text import html_table

        intervals = {name: (found.low, found.high) for name, found in self.intervals.items()}
        rows = score_rows("", self.values, intervals, self.baselines)
        return html_table(rows, align_right=numeric_titles())

    def is_better(self, name: str, than: float | None, *, higher: bool) -> bool:
        """Whether the score beats an older value; None never does, and everything beats None."""
        value = self.values.get(name)
        if value is None:
            return False
        return than is None or (value > than if higher else value < than)


def _accuracy(predicted: NDArray[Any], truth: NDArray[Any], _positive: int) -> float:
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(truth, predicted))


def _fscore(
    predicted: NDArray[Any], truth: NDArray[Any], positive: int, *, which: int, average: str
) -> float:
    """Precision, recall or F1 (`which` 0, 1, 2); an empty denominator counts as zero."""
    from sklearn.metrics import precision_recall_fscore_support

    if average == "binary":
        predicted, truth = predicted == positive, truth == positive
        return float(
            precision_recall_fscore_support(truth, predicted, average="binary", zero_division=0.0)[
                which
            ]
        )
    return float(
        precision_recall_fscore_support(truth, predicted, average=average, zero_division=0.0)[which]
    )


def _matthews(predicted: NDArray[Any], truth: NDArray[Any], _positive: int) -> float:
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(truth, predicted))


def _correlation(
    predicted: NDArray[Any], truth: NDArray[Any], _positive: int, *, name: str
) -> float:
    """Pearson's or Spearman's coefficient; not a number if one side is constant."""
    from scipy import stats

    if len(truth) < 2:
        return math.nan
    return float(getattr(stats, name)(predicted, truth).statistic)


def _squared_error(predicted: NDArray[Any], truth: NDArray[Any], _positive: int) -> float:
    from sklearn.metrics import mean_squared_error

    return float(mean_squared_error(truth, predicted))


_CLASSES: tuple[str, ...] = ("classes",)
_SETS: tuple[str, ...] = ("classes", "labels")
_NUMBERS: tuple[str, ...] = ("numbers",)

METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", _SETS, _accuracy),
        Metric("f1", _CLASSES, partial(_fscore, which=2, average="binary")),
        Metric("precision", _CLASSES, partial(_fscore, which=0, average="binary")),
        Metric("recall", _CLASSES, partial(_fscore, which=1, average="binary")),
        Metric("f1_macro", _SETS, partial(_fscore, which=2, average="macro")),
        Metric("f1_micro", _SETS, partial(_fscore, which=2, average="micro")),
        Metric("f1_weighted", _SETS, partial(_fscore, which=2, average="weighted")),
        Metric("precision_macro", _SETS, partial(_fscore, which=0, average="macro")),
        Metric("precision_micro", _SETS, partial(_fscore, which=0, average="micro")),
        Metric("recall_macro", _SETS, partial(_fscore, which=1, average="macro")),
        Metric("recall_micro", _SETS, partial(_fscore, which=1, average="micro")),
        Metric("matthews_correlation", _CLASSES, _matthews),
        Metric("pearson", _NUMBERS, partial(_correlation, name="pearsonr")),
        Metric("spearman", _NUMBERS, partial(_correlation, name="spearmanr")),
        Metric("mean_squared_error", _NUMBERS, _squared_error, higher_is_better=False),
    )
}

_OTHER_NAMES = {
    "macro_f1": "f1_macro",
    "micro_f1": "f1_micro",
    "weighted_f1": "f1_weighted",
    "matthews": "matthews_correlation",
    "matthews_corrcoef": "matthews_correlation",
    "mcc": "matthews_correlation",
    "mse": "mean_squared_error",
    "pearsonr": "pearson",
    "spearmanr": "spearman",
    "acc": "accuracy",
}

GLUE: Mapping[str, tuple[str, ...]] = {
    "cola": ("matthews_correlation",),
    "sst2": ("accuracy",),
    "mrpc": ("f1", "accuracy"),
    "stsb": ("pearson", "spearman"),
    "qqp": ("f1", "accuracy"),
    "mnli": ("accuracy",),
    "mnli_matched": ("accuracy",),
    "mnli_mismatched": ("accuracy",),
    "qnli": ("accuracy",),
    "rte": ("accuracy",),
    "wnli": ("accuracy",),
    "ax": ("matthews_correlation",),
}
"""The scores of each GLUE set, the first of which chooses the model."""


def scoring(kind: str) -> Mapping[str, Metric]:
    """The standard scores of an `OutputKind`, by name."""
    return {name: metric for name, metric in METRICS.items() if kind in metric.kinds}


def choose_metrics(
    names: Iterable[str], fitting: Mapping[str, Metric], task: str
) -> tuple[Metric, ...]:
    """The metrics of these names, all problems at once.

    Args:
        names: as recipes spell them.
        fitting: the scores of the task.
        task: its name, for messages.

    Raises:
        RecipeError: an unknown name, or one that cannot score this task (R110).
    """
    chosen, problems = [], []
    for name in names:
        if name == "loss":  # always reported
            continue
        if name in fitting:
            chosen.append(fitting[name])
            continue
        if name in METRICS:
            message = _('"{name}" does not score {task}').format(name=name, task=task)
            close = []
        else:
            message = _('there is no score "{name}"').format(name=name)
            close = [_OTHER_NAMES[name]] if name in _OTHER_NAMES else nearest(name, fitting)
        fix = _("Scores of {task}: {names}.").format(task=task, names=", ".join([*fitting, "loss"]))
        if close:
            fix = _('did you mean "{name}"?').format(name=close[0]) + "\n" + fix
        problems.append(Problem("R110", message, fix=fix))
    if problems:
        raise RecipeError(problems)
    return tuple(dict.fromkeys(chosen))


def parse_selection(written: str) -> tuple[str, bool | None]:
    """Return the score that `train.select_by` names, and whether higher is better.

    "highest NAME" and "lowest NAME" name a custom score; any other says its own direction: None.
    """
    word, _space, name = written.partition(" ")
    directions = {"highest": True, "lowest": False}
    return (name, directions[word]) if name and word in directions else (written, None)


def compute(
    metrics: Sequence[Metric],
    predicted: NDArray[Any],
    truth: NDArray[Any],
    *,
    positive: int = 1,
    loss: float | None = None,
    losses: NDArray[Any] | None = None,
) -> Scores:
    """All metrics of one set of predictions, and the loss if it is known.

    Args:
        metrics: what to compute.
        predicted: as these metrics take it.
        truth: likewise.
        positive: the class that binary scores count.
        loss: over all targets.
        losses: of each example, whose mean is the loss; they tell how sure it is.
    """
    values: dict[str, float | None] = {}
    directions: dict[str, bool | None] = {}
    for metric in metrics:
        with warnings.catch_warnings():
            # libraries warn of constant predictions; the value says it, and NaN is told as null
            warnings.simplefilter("ignore")
            values[metric.name] = finite(metric.function(predicted, truth, positive))
        directions[metric.name] = metric.higher_is_better
    if loss is not None:
        values["loss"] = finite(loss)
        directions["loss"] = False
    answers = Answers(tuple(metrics), predicted, truth, positive, losses)
    return Scores(values, directions, answers=answers)


def finite(value: float) -> float | None:
    """The value of a score, None where it is not a finite number."""
    return value if math.isfinite(value) else None
