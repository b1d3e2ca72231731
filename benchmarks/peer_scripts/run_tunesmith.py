"""Tunesmith with its default recipe; the other scripts of its name change the engine."""

from __future__ import annotations

import tempfile
from pathlib import Path

from shared import Clock, Task, line, run


def train(task: Task, clock: Clock, **more: object) -> str:
    import tunesmith as ts

    settings: dict[str, object] = {
        "model": task.model,
        **dict(zip(("data.text", "data.text_pair"), task.columns, strict=False)),
        "data.label": task.label,
        "data.labels": task.labels,
        "data.allow_leak": True,  # all peers are scored on the rows as they are
        "train.epochs": task.epochs,
        "train.batch_size": task.batch_size,
        "train.learning_rate": task.learning_rate,
        "train.max_length": task.max_length,
        "train.seed": task.seed,
        **more,
    }
    with tempfile.TemporaryDirectory() as folder:
        with clock:
            trained = ts.train(
                task.train,
                validation=task.validation,
                out=Path(folder) / "run",
                settings=settings,
            )
        answers = ts.load(trained.model).predict(Path(task.test))
    return line(clock, [task.labels.index(one["label"]) for one in answers], ["tunesmith", "torch"])


if __name__ == "__main__":
    run(train)
