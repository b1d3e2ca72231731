"""Ludwig: an `auto_transformer` encoder that is trained, and a category; a pair is one text."""

from __future__ import annotations

import tempfile
from typing import Any

from shared import Clock, Task, declare_image_operators, leave_out_audio, line, run


def train(task: Task, clock: Clock) -> str:
    declare_image_operators()
    leave_out_audio()
    import pandas
    from ludwig.api import LudwigModel

    def table(split: str) -> pandas.DataFrame:
        columns: dict[str, Any] = {"text": task.joined(split)}
        if split != "test":
            columns["label"] = [task.labels[label] for label in task.classes(split)]
        return pandas.DataFrame(columns)

    model = LudwigModel(
        {
            "input_features": [
                {
                    "name": "text",
                    "type": "text",
                    "preprocessing": {"max_sequence_length": task.max_length},
                    "encoder": {
                        "type": "auto_transformer",
                        "pretrained_model_name_or_path": task.model,
                        "trainable": True,
                    },
                }
            ],
            "output_features": [{"name": "label", "type": "category"}],
            "trainer": {
                "epochs": task.epochs,
                "batch_size": task.batch_size,
                "learning_rate": task.learning_rate,
            },
        },
        backend="local",
    )
    with tempfile.TemporaryDirectory() as folder:
        with clock:
            model.train(
                training_set=table("train"),
                validation_set=table("validation"),
                output_directory=folder,
                random_seed=task.seed,
                skip_save_processed_input=True,
            )
        answers, _folder = model.predict(table("test"), output_directory=folder)
    return line(
        clock,
        [task.labels.index(label) for label in answers["label_predictions"]],
        ["ludwig", "transformers", "torch"],
    )


if __name__ == "__main__":
    run(train)
