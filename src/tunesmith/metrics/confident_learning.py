"""Which labels are probably wrong: confident learning, as a pure function of probabilities.

After Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels"
(2021). A row is confidently of a class if its probability of it is at least the mean over the rows
labeled with it: a class that the model is rarely sure of needs less. A label is suspect if its row
is confidently of another class that is also more likely. The probabilities must come from a model
that has not learned the row's own label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Suspects", "suspect_classes", "suspect_labels", "suspect_numbers"]

Numbers = NDArray[np.float64]

_ROUNDING = 1e-9
_FAR = 3.5
"""Robust standard deviations beyond which a number is an outlier (Iglewicz and Hoaglin, 1993)."""


@dataclass(frozen=True)
class Suspects:
    """How suspect the label of each row is.

    Attributes:
        margin: for each row, shape (n,): the lower, the more suspect; it orders all rows.
        is_suspect: for each row, shape (n,): whether its label is probably wrong.
        suggested: for each row what the label should be: a class (n,), labels as zeros and ones
            (n, C), or a number (n,); its own where it is not suspect.
    """

    margin: Numbers
    is_suspect: NDArray[np.bool_]
    suggested: NDArray[Any]

    @property
    def order(self) -> NDArray[np.int64]:
        """The suspect rows, the worst first."""
        rows = np.argsort(self.margin, kind="stable")
        return rows[self.is_suspect[rows]]


def suspect_classes(probabilities: Numbers, labels: NDArray[np.int64]) -> Suspects:
    """Rows with one class each.

    Args:
        probabilities: of a model that did not see these labels, shape (n, C).
        labels: as given, shape (n,).

    Returns:
        The margin is the probability of the label less the highest of another class.
    """
    rows = np.arange(len(labels))
    own = probabilities[rows, labels]
    others = probabilities.copy()
    others[rows, labels] = -np.inf
    is_sure = others >= _thresholds(probabilities, labels) - _ROUNDING
    sure = np.where(is_sure, others, -np.inf)
    is_suspect = sure.max(axis=1) > own
    suggested = np.where(is_suspect, sure.argmax(axis=1), labels)
    return Suspects(own - others.max(axis=1), is_suspect, suggested)


def _thresholds(probabilities: Numbers, labels: NDArray[np.int64]) -> Numbers:
    """For each class its mean probability over the rows labeled with it; infinite without any."""
    num_classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=num_classes)
    own = probabilities[np.arange(len(labels)), labels]
    sums = np.bincount(labels, weights=own, minlength=num_classes)
    means: Numbers = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    return means


def suspect_labels(probabilities: Numbers, labels: NDArray[np.integer[Any]]) -> Suspects:
    """Rows with any number of labels, each judged on its own.

    Args:
        probabilities: of each label, shape (n, C).
        labels: zeros and ones, shape (n, C).

    Returns:
        The margin is that of the most suspect label.
    """
    parts = [
        suspect_classes(np.stack([1 - share, share], axis=1), truth.astype(np.int64))
        for share, truth in zip(probabilities.T, labels.T, strict=True)
    ]
    return Suspects(
        np.min([one.margin for one in parts], axis=0),
        np.any([one.is_suspect for one in parts], axis=0),
        np.stack([one.suggested for one in parts], axis=1),
    )


def suspect_numbers(predicted: Numbers, targets: Numbers) -> Suspects:
    """Rows with a number each: those with an outlying residual.

    Args:
        predicted: by a model that did not see these targets, shape (n,).
        targets: as given, shape (n,).

    Returns:
        The margin is the residual's distance from the median in robust standard deviations
        (1.4826 times the median absolute deviation), negative.
    """
    residuals = targets - predicted
    away = np.abs(residuals - np.median(residuals)) if len(residuals) else residuals
    spread = 1.4826 * float(np.median(away)) if len(away) else 0.0
    distance = away / spread if spread > 0 else np.where(away > 0, np.inf, 0.0)
    is_suspect = distance > _FAR
    return Suspects(-distance, is_suspect, np.where(is_suspect, predicted, targets))
