"""One update of an engine by itself, without the loop."""

from __future__ import annotations

import torch

from tunesmith.training.engine import Engine, Step

__all__ = ["update"]


def update(engine: Engine, learning_rate: float | None = None) -> float:
    """Update at a learning rate, or at that of the groups; the norm before clipping."""
    for group in engine.optimizer.param_groups:
        group["lr"] = group["lr"] if learning_rate is None else learning_rate
    ((_step, _loss, norm),) = engine.update(Step(1, (), 1.0, torch.zeros(())), wait=True)
    return norm
