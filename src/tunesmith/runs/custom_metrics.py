"""Custom metrics, in addition to those of the task."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from tunesmith.errors import RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.metrics.scores import Scores, finite
from tunesmith.tasks import Predictions
from tunesmith.text import quoted

__all__ = ["ComputeMetrics", "with_own"]

ComputeMetrics = Callable[[tuple[NDArray[Any], NDArray[Any]]], Mapping[str, float]]
"""Called with (logits, labels), as the course's `compute_metrics` is."""


def with_own(
    scores: Scores, compute: ComputeMetrics, predictions: Predictions, truth: NDArray[Any]
) -> Scores:
    """Return the scores with custom metrics first.

    Raises:
        RecipeError: the task has no logits (R116), or the custom code fails (R170) or finds another
            value for a score of the task's (R172).
    """
    if "logits" not in predictions:
        raise RecipeError.of(
            "R116",
            _("compute_metrics needs logits and labels; this task has none"),
            fix=_("Leave it out: the scores of the task are computed anyway."),
        )
    try:
        own = compute((predictions["logits"], truth))
        values = {str(name): finite(float(value)) for name, value in own.items()}
    except Exception as error:  # custom code may raise anything
        raise RecipeError.of(
            "R170",
            _("compute_metrics failed: {reason}").format(reason=f"{type(error).__name__}: {error}"),
            fix=_(
                "It is called with (logits, labels), two arrays with a row per example, and "
                "returns a dict from names to numbers. --debug shows where it failed."
            ),
        ) from error
    known = [name for name in values if name in scores.values]
    if others := [name for name in known if not _agree(values[name], scores[name])]:
        raise RecipeError.of(
            "R172",
            _("compute_metrics finds other values for {names}").format(names=quoted(others)),
            evidence=tuple(
                _("{name}: {own}; here {value}").format(
                    name=name, own=values[name], value=scores[name]
                )
                for name in others
            ),
            fix=_("Give them other names, or leave them out."),
        )
    return Scores(
        {**values, **scores.values},
        {**dict.fromkeys(values, None), **scores.higher_is_better},
    )


def _agree(one: float | None, other: float | None) -> bool:
    """Whether two ways to compute a score come to the same, but for rounding."""
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-5, abs_tol=1e-5)
