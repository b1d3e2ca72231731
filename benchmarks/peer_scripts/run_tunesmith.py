"""Tunesmith with its default recipe; the other scripts of its name change the engine."""

from __future__ import annotations

import tempfile
from pathlib import Path

from shared import Clock, Job, line, run


def train(job: Job, clock: Clock, **more: object) -> str:
    import tunesmith as ts

    settings: dict[str, object] = {
        "model": job.model,
        **dict(zip(("data.text", "data.text_pair"), job.columns, strict=False)),
        "data.label": job.label,
        "data.labels": job.labels,
        "data.allow_leak": True,  # all peers are scored on the rows as they are
        "train.epochs": job.epochs,
        "train.batch_size": job.batch_size,
        "train.learning_rate": job.learning_rate,
        "train.max_length": job.max_length,
        "train.seed": job.seed,
        **more,
    }
    with tempfile.TemporaryDirectory() as folder:
        with clock:
            trained = ts.train(
                job.train,
                validation=job.validation,
                out=Path(folder) / "run",
                settings=settings,
            )
        answers = ts.load(trained.model).predict(Path(job.test))
    return line(clock, [job.labels.index(one["label"]) for one in answers], ["tunesmith", "torch"])


if __name__ == "__main__":
    run(train)
