"""Tunesmith's exact engine, float32: the model is run unchanged."""

from __future__ import annotations

from run_tunesmith import train
from shared import Clock, Task, run


def exact(task: Task, clock: Clock) -> str:
    return train(task, clock, **{"train.engine": "exact", "train.precision": "fp32"})


if __name__ == "__main__":
    run(exact)
