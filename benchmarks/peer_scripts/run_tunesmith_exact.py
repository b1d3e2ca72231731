"""Tunesmith's exact engine, float32: the model is run unchanged."""

from __future__ import annotations

from run_tunesmith import train
from shared import Clock, Job, run


def exact(job: Job, clock: Clock) -> str:
    return train(job, clock, **{"train.engine": "exact", "train.precision": "fp32"})


if __name__ == "__main__":
    run(exact)
