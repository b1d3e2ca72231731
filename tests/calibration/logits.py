"""Logits with labels drawn from their own probabilities: calibrated by construction."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.metrics.baselines import Kind
from tunesmith.metrics.temperature import probabilities

KINDS: tuple[Kind, ...] = ("classes", "labels")


def drawn(
    kind: Kind, rows: int, *, seed: int, width: int = 3
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (rows, width))
    shares = probabilities(kind, logits)
    if kind == "labels":
        return logits, (random.random(shares.shape) < shares).astype(np.int64)
    return logits, (random.random((rows, 1)) > shares.cumsum(-1)[:, :-1]).sum(-1)
