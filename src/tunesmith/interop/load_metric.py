"""Scores by the names that `evaluate.load` knows, without a network: `load_metric("glue", "mrpc")`.

The numbers come from scikit-learn and scipy, as those of the `evaluate` library do; names of the
results are the same, too.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tunesmith.errors import Problem, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.text import nearest

__all__ = ["GLUE_SCORES", "SCORES", "LoadedMetric", "load_metric"]

Score = Callable[..., Any]


def _of_sklearn(predictions: Any, references: Any, *, name: str, **options: Any) -> Any:
    from sklearn import metrics

    function = getattr(metrics, name)
    known = inspect.signature(function).parameters
    found = function(references, predictions, **{k: v for k, v in options.items() if k in known})
    return found.tolist() if isinstance(found, np.ndarray) else float(found)


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
"""Each called with predictions, references and the options of the function it is named after."""

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
"""For each GLUE set the names of its results, and the score behind each."""


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
        """Remember one pair."""
        self.add_batch(predictions=[prediction], references=[reference])

    def add_batch(self, *, predictions: ArrayLike, references: ArrayLike) -> None:
        """Remember the pairs of a batch: two sequences, arrays or tensors of one length.

        Raises:
            RecipeError: the lengths differ (R118).
        """
        one, two = _flat(predictions), _flat(references)
        if len(one) != len(two):
            raise RecipeError(
                Problem(
                    "R118",
                    _("{predictions} predictions for {references} references").format(
                        predictions=len(one), references=len(two)
                    ),
                )
            )
        self._predictions.append(one)
        self._references.append(two)

    def compute(
        self,
        *,
        predictions: ArrayLike | None = None,
        references: ArrayLike | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """The scores of what was given here or added before, which is then forgotten.

        Args:
            predictions: (n,) classes or numbers.
            references: the truth, likewise.
            options: of the function of scikit-learn, such as `average="macro"`; of several scores
                each takes those it knows.

        Raises:
            RecipeError: nothing was given, or only one of the two (R119), or lengths differ (R118).
            TypeError: no score knows an option.
        """
        if unknown := sorted(options.keys() - _OPTIONS):
            raise TypeError(f"no score takes {unknown[0]!r}")
        if (predictions is None) != (references is None):
            raise RecipeError(
                Problem("R119", _("predictions and references are only given together"))
            )
        if predictions is not None and references is not None:
            self.add_batch(predictions=predictions, references=references)
        if not self._predictions:
            raise RecipeError(
                Problem(
                    "R119",
                    _("there is nothing to score"),
                    fix=_("Give predictions and references, or add batches first."),
                )
            )
        one, two = np.concatenate(self._predictions), np.concatenate(self._references)
        self._predictions.clear()
        self._references.clear()
        with warnings.catch_warnings():  # of constant predictions; the value says it
            warnings.simplefilter("ignore")
            return {name: score(one, two, **options) for name, score in self._scores.items()}


_OPTIONS = frozenset(
    ("average", "labels", "normalize", "pos_label", "sample_weight", "zero_division")
)


def load_metric(name: str, config: str | None = None) -> LoadedMetric:
    """A metric by the name that `evaluate.load` has for it.

    Args:
        name: "glue", or one of `SCORES`.
        config: for "glue" the set, such as "mrpc".

    Raises:
        RecipeError: there is none of this name (R117).
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
    """As one column; a tensor may come from a device."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    return np.asarray(values).reshape(-1)


def _unknown(name: str, known: Iterable[str]) -> RecipeError:
    names = list(known)
    close = nearest(name, names)
    fix = _("Metrics: {names}.").format(names=", ".join(names))
    if close:
        fix = _('Did you mean "{name}"?').format(name=close[0]) + "\n" + fix
    return RecipeError(Problem("R117", _('there is no metric "{name}"').format(name=name), fix=fix))
