"""Tunesmith with its default recipe in bfloat16."""

from __future__ import annotations

from run_tunesmith import train
from shared import Clock, Task, run


def half(task: Task, clock: Clock) -> str:
    return train(task, clock, **{"train.precision": "bf16"})


if __name__ == "__main__":
    run(half)
