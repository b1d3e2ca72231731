"""AutoGluon multimodal with one text model; schedule, layer-wise rates and averages are its own.

Without validation rows it takes some of the training rows; it gets the validation rows instead.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from shared import Clock, Task, declare_image_operators, line, run


def train(task: Task, clock: Clock) -> str:
    declare_image_operators()
    import pandas
    from autogluon.multimodal import MultiModalPredictor

    def table(split: str) -> pandas.DataFrame:
        return pandas.DataFrame(task.rows(split))[
            [*task.columns, *([task.label] if split != "test" else [])]
        ]

    with tempfile.TemporaryDirectory() as folder:
        predictor = MultiModalPredictor(
            label=task.label,
            problem_type="binary",
            eval_metric="accuracy",
            path=str(Path(folder) / "model"),
            verbosity=1,
        )
        with clock:
            predictor.fit(
                train_data=table("train"),
                tuning_data=table("validation"),
                seed=task.seed,
                hyperparameters={
                    "model.names": ["hf_text"],
                    "model.hf_text.checkpoint_name": task.model,
                    "model.hf_text.max_text_len": task.max_length,
                    "optim.max_epochs": task.epochs,
                    "optim.lr": task.learning_rate,
                    "env.batch_size": task.batch_size,
                    "env.per_gpu_batch_size": task.batch_size,
                    "env.num_gpus": 0,
                },
            )
        answers = predictor.predict(table("test"))
    return line(
        clock,
        [task.labels.index(label) for label in answers],
        ["autogluon.multimodal", "lightning", "transformers", "torch"],
    )


if __name__ == "__main__":
    run(train)
