"""Scores: the field's standard metrics, each with its direction. No torch, no network.

The numbers come from scikit-learn and scipy; this module says what they apply to and which way is
better, and stores a number that is not finite as None.
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
        row_values: of a score of numbers that is a mean over rows: the value of each row, zero or
            more, from predictions and truths; its interval follows from them.
        by_example: of a score of one task, whether the first dimension of its arguments counts
            examples and a call is cheap, so that examples can be resampled.
    """

    name: str
    kinds: tuple[str, ...]
    function: Callable[[NDArray[Any], NDArray[Any], int], float]
    higher_is_better: bool = True
    row_values: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]] | None = None
    by_example: bool = False


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a value is on other rows of the same kind, in 95 of 100 cases."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What scores were computed from, for their intervals.

    Attributes:
        metrics: the scores.
        predicted: as `Metric.function` takes it.
        truth: likewise.
        positive: the class that binary scores count.
        losses: the loss of each example, shape (n,); None if unknown.
        groups: where an answer is one of a group of rows, such as the passages of a query, a number
            for each group, rising, shape (n,); None where each row has an answer.
        grouped_rows: how many rows these are of.
    """

    metrics: Sequence[Metric]
    predicted: NDArray[Any]
    truth: NDArray[Any]
    positive: int = 1
    losses: NDArray[Any] | None = None
    groups: NDArray[np.int64] | None = None
    grouped_rows: int = 0

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def num_rows(self) -> int:
        """The number of rows that were scored."""
        return len(self) if self.groups is None else self.grouped_rows

    def at(self, rows: NDArray[np.int64]) -> Answers:
        """Those of some rows."""
        losses = None if self.losses is None else self.losses[rows]
        return replace(self, predicted=self.predicted[rows], truth=self.truth[rows], losses=losses)


@dataclass(frozen=True, slots=True, eq=False)
class BaselineAnswers:
    """The answers of a baseline to some of the scored rows.

    Attributes:
        places: the indices of these rows among the model's answers, shape (n,); None for all.
        answers: to these rows.
    """

    places: NDArray[np.int64] | None
    answers: Answers


@dataclass(frozen=True, slots=True)
class Scores:
    """Values by metric name. A value that is not finite is None.

    Attributes:
        values: the scores in the order of the metrics, then "loss".
        higher_is_better: the direction of each; None for a custom score that does not say.
        intervals: of final scores, where one can be computed.
        baselines: the scores of baselines on the same rows, by the names of `BASELINES`.
        answers: what they were computed from.
        baseline_answers: what the baselines' scores were computed from, if known.
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

        intervals = {name: (each.low, each.high) for name, each in self.intervals.items()}
        rows = score_rows("", self.values, intervals, self.baselines)
        return html_table(rows, align_right=numeric_titles())

    def is_better(self, name: str, than: float | None, *, higher: bool) -> bool:
        """Whether the score beats an older value; None never does, and everything beats None."""
        value = self.values.get(name)
        if value is None:
            return False
        return than is None or (value > than if higher else value < than)


def _sklearn(predicted: NDArray[Any], truth: NDArray[Any], _positive: int, *, name: str) -> float:
    """A function of scikit-learn that takes truth and predictions."""
    import sklearn.metrics

    return float(getattr(sklearn.metrics, name)(truth, predicted))


def _fscore(
    predicted: NDArray[Any], truth: NDArray[Any], positive: int, *, which: int, average: str
) -> float:
    """Precision, recall or F1 (`which` 0, 1, 2); an empty denominator counts as zero."""
    from sklearn.metrics import precision_recall_fscore_support

    if average == "binary":
        predicted, truth = predicted == positive, truth == positive
    scores = precision_recall_fscore_support(truth, predicted, average=average, zero_division=0.0)
    return float(scores[which])


def _correlation(
    predicted: NDArray[Any], truth: NDArray[Any], _positive: int, *, name: str
) -> float:
    """Pearson's or Spearman's coefficient; not a number if one side is constant."""
    from scipy import stats

    if len(truth) < 2:
        return math.nan
    return float(getattr(stats, name)(predicted, truth).statistic)


def _squared_errors(predicted: NDArray[Any], truth: NDArray[Any]) -> NDArray[Any]:
    errors: NDArray[Any] = (predicted - truth) ** 2
    return errors


_CLASSES: tuple[str, ...] = ("classes",)
_SETS: tuple[str, ...] = ("classes", "labels")
_NUMBERS: tuple[str, ...] = ("numbers",)

METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", _SETS, partial(_sklearn, name="accuracy_score")),
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
        Metric("matthews_correlation", _CLASSES, partial(_sklearn, name="matthews_corrcoef")),
        Metric("pearson", _NUMBERS, partial(_correlation, name="pearsonr")),
        Metric("spearman", _NUMBERS, partial(_correlation, name="spearmanr")),
        Metric(
            "mean_squared_error",
            _NUMBERS,
            partial(_sklearn, name="mean_squared_error"),
            higher_is_better=False,
            row_values=_squared_errors,
        ),
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
    "exact_match": "exact",
    "em": "exact",
    "ndcg": "ndcg_at_10",
    "ndcg@10": "ndcg_at_10",
    "mrr": "mrr_at_10",
    "mrr@10": "mrr_at_10",
    "recall@10": "recall_at_10",
    "mean_average_precision": "map",
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
    """Return the metrics of these names.

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
            other = _OTHER_NAMES.get(name)
            close = [other] if other in {*fitting, *METRICS} else nearest(name, fitting)
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
    groups: NDArray[np.int64] | None = None,
    grouped_rows: int = 0,
) -> Scores:
    """Compute all metrics of one set of predictions; add the loss if it is known.

    Args:
        metrics: what to compute.
        predicted: as these metrics take it.
        truth: likewise.
        positive: the class that binary scores count.
        loss: over all targets.
        losses: of each example, with the loss as their mean; they give its interval.
        groups: see `Answers`.
        grouped_rows: see `Answers`.
    """
    values: dict[str, float | None] = {}
    directions: dict[str, bool | None] = {}
    for metric in metrics:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of constant predictions, which give NaN
            values[metric.name] = finite(metric.function(predicted, truth, positive))
        directions[metric.name] = metric.higher_is_better
    if loss is not None:
        values["loss"] = finite(loss)
        directions["loss"] = False
    answers = Answers(tuple(metrics), predicted, truth, positive, losses, groups, grouped_rows)
    return Scores(values, directions, answers=answers)


def finite(value: float) -> float | None:
    """The value of a score, None where it is not a finite number."""
    return value if math.isfinite(value) else None
