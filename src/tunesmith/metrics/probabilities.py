"""From the logits of a model to probabilities: softmax and sigmoid, in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "sigmoid", "softmax"]

Floats = NDArray[np.float64]


def softmax(logits: NDArray[Any]) -> Floats:
    """Return the probabilities of exclusive classes, over the last axis."""
    values = logits.astype(np.float64)
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    probabilities: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


def sigmoid(logits: NDArray[Any]) -> Floats:
    """Return the probability of each label on its own, without overflow."""
    probabilities: Floats = np.exp(-np.logaddexp(0, -logits.astype(np.float64)))
    return probabilities
