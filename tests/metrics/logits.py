"""Logits with labels drawn from their own probabilities: calibrated by construction."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.metrics.concrete_kinds import LabelSet, SingleClass
from tunesmith.metrics.output_kinds import LabelKind

NAMES = ("a", "b", "c")
ONE, SEVERAL = SingleClass(NAMES), LabelSet(NAMES)
KINDS: tuple[LabelKind, ...] = (ONE, SEVERAL)


def drawn(kind: LabelKind, rows: int, *, seed: int) -> tuple[NDArray[np.float64], NDArray[Any]]:
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (rows, len(kind.names)))
    shares = kind.probabilities(logits)
    if isinstance(kind, LabelSet):
        return logits, (random.random(shares.shape) < shares).astype(np.int64)
    return logits, (random.random((rows, 1)) > shares.cumsum(-1)[:, :-1]).sum(-1)
