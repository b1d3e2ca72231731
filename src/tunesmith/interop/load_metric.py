"""Metrics by their names in `evaluate.load`, without a network: `load_metric("glue", "mrpc")`.

As in the `evaluate` library, the numbers come from scikit-learn and scipy; results have the same
names.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tunesmith.errors import RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.text import did_you_mean

__all__ = ["GLUE_SCORES", "SCORES", "LoadedMetric", "load_metric"]

Score = Callable[..., Any]


def _of_sklearn(predictions: Any, references: Any, *, name: str, **options: Any) -> Any:
    from sklearn import metrics

    function = getattr(metrics, name)
    known = inspect.signature(function).parameters
    value = function(references, predictions, **{k: v for k, v in options.items() if k in known})
    return value.tolist() if isinstance(value, np.ndarray) else float(value)


def _of_scipy(predictions: Any, references: Any, *, name: str, **_options: Any) -> float:
    from scipy import stats

    return float(getattr(stats, name)(predictions, references).statistic)


SCORES: Mapping[str, Score] = {
    "accuracy": partial(_of_sklearn, name="accuracy_score"),
    "f1": partial(_of_sklearn, name="f1_score"),
    "precision": partial(_of_sklearn, name="precision_score"),
    "recall": partial(_of_sklearn, name="recall_score"),
    "matthews_correlation": partial(_of_sklearn, name="matthews_corrcoef"),
    "mse": partial(_of_sklearn, name="mean_squared_error"),
    "mae": partial(_of_sklearn, name="mean_absolute_error"),
    "pearsonr": partial(_of_scipy, name="pearsonr"),
    "spearmanr": partial(_of_scipy, name="spearmanr"),
}
"""Functions of predictions, references and the options of the function of the same name."""

_ACCURACY = {"accuracy": "accuracy"}
_ACCURACY_AND_F1 = {"accuracy": "accuracy", "f1": "f1"}
GLUE_SCORES: Mapping[str, Mapping[str, str]] = {
    **dict.fromkeys(
        ("sst2", "mnli", "mnli_matched", "mnli_mismatched", "qnli", "rte", "wnli", "hans"),
        _ACCURACY,
    ),
    "mrpc": _ACCURACY_AND_F1,
    "qqp": _ACCURACY_AND_F1,
    "stsb": {"pearson": "pearsonr", "spearmanr": "spearmanr"},
    "cola": {"matthews_correlation": "matthews_correlation"},
    "ax": {"matthews_correlation": "matthews_correlation"},
}
"""The results of each GLUE set by name, and the score that each is."""


class LoadedMetric:
    """Scores of predictions, all at once or batch by batch.

    Attributes:
        name: of the metric, with its configuration.
    """

    def __init__(self, name: str, scores: Mapping[str, Score]) -> None:
        """Called by `load_metric`."""
        self.name = name
        self._scores = scores
        self._predictions: list[NDArray[Any]] = []
        self._references: list[NDArray[Any]] = []

    def add(self, *, prediction: Any, reference: Any) -> None:
        """Add one pair."""
        self.add_batch(predictions=[prediction], references=[reference])

    def add_batch(self, *, predictions: ArrayLike, references: ArrayLike) -> None:
        """Add the pairs of a batch: two sequences, arrays or tensors of equal length.

        Raises:
            RecipeError: the lengths differ (R118).
        """
        one, two = _flat(predictions), _flat(references)
        if len(one) != len(two):
            message = _("{predictions} predictions for {references} references")
            message = message.format(predictions=len(one), references=len(two))
            fix = _("Pass as many predictions as references, in the same order.")
            raise RecipeError.of("R118", message, fix=fix)
        self._predictions.append(one)
        self._references.append(two)

    def compute(
        self,
        *,
        predictions: ArrayLike | None = None,
        references: ArrayLike | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Score these pairs and those added before, and discard them.

        Args:
            predictions (array): (n,) classes or numbers.
            references (array): the truth, likewise.
            options: of the function of scikit-learn, such as `average="macro"`; each score takes
                those that it knows.

        Raises:
            RecipeError: no pairs, or only one of the two (R119), or lengths differ (R118).
            TypeError: no score knows an option.
        """
        if unknown := sorted(options.keys() - _OPTIONS):
            raise TypeError(f"no score takes {unknown[0]!r}")
        if (predictions is None) != (references is None):
            message = _("predictions and references must be passed together")
            fix = _("Pass predictions and references, or add batches first.")
            raise RecipeError.of("R119", message, fix=fix)
        if predictions is not None and references is not None:
            self.add_batch(predictions=predictions, references=references)
        if not self._predictions:
            fix = _("Pass predictions and references, or add batches first.")
            raise RecipeError.of("R119", _("there is nothing to score"), fix=fix)
        one, two = np.concatenate(self._predictions), np.concatenate(self._references)
        self._predictions.clear()
        self._references.clear()
        with warnings.catch_warnings():  # constant predictions; the value shows it
            warnings.simplefilter("ignore")
            return {name: score(one, two, **options) for name, score in self._scores.items()}


_OPTIONS = frozenset(
    ("average", "labels", "normalize", "pos_label", "sample_weight", "zero_division")
)


def load_metric(name: str, config: str | None = None) -> LoadedMetric:
    """Return a metric by its name in `evaluate.load`.

    Args:
        name: "glue", or one of `SCORES`.
        config: for "glue" the set, such as "mrpc".

    Raises:
        RecipeError: there is no metric of this name (R117).
    """
    if name == "glue":
        if config is None or config not in GLUE_SCORES:
            raise _unknown(f"glue/{config}", [f"glue/{known}" for known in GLUE_SCORES])
        return LoadedMetric(
            f"glue/{config}", {key: SCORES[score] for key, score in GLUE_SCORES[config].items()}
        )
    if name not in SCORES or config is not None:
        raise _unknown(name if config is None else f"{name}/{config}", ["glue", *SCORES])
    return LoadedMetric(name, {name: SCORES[name]})


def _flat(values: ArrayLike) -> NDArray[Any]:
    """Return values as a one-dimensional array; a tensor may be on a device."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    return np.asarray(values).reshape(-1)


def _unknown(name: str, known: Sequence[str]) -> RecipeError:
    otherwise = _("Metrics: {names}.").format(names=", ".join(known))
    fix = did_you_mean(name, known, otherwise=otherwise)
    return RecipeError.of("R117", _('there is no metric "{name}"').format(name=name), fix=fix)
