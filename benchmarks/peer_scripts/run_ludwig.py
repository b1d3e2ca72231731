"""Ludwig: an `auto_transformer` encoder that is trained, and a category; a pair is one text."""

from __future__ import annotations

import tempfile
from typing import Any

from shared import Clock, Job, declare_image_operators, leave_out_audio, line, run


def train(job: Job, clock: Clock) -> str:
    declare_image_operators()
    leave_out_audio()
    import pandas
    from ludwig.api import LudwigModel

    def table(split: str) -> pandas.DataFrame:
        columns: dict[str, Any] = {"text": job.joined(split)}
        if split != "test":
            columns["label"] = [job.labels[label] for label in job.classes(split)]
        return pandas.DataFrame(columns)

    model = LudwigModel(
        {
            "input_features": [
                {
                    "name": "text",
                    "type": "text",
                    "preprocessing": {"max_sequence_length": job.max_length},
                    "encoder": {
                        "type": "auto_transformer",
                        "pretrained_model_name_or_path": job.model,
                        "trainable": True,
                    },
                }
            ],
            "output_features": [{"name": "label", "type": "category"}],
            "trainer": {
                "epochs": job.epochs,
                "batch_size": job.batch_size,
                "learning_rate": job.learning_rate,
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
                random_seed=job.seed,
                skip_save_processed_input=True,
            )
        answers, _folder = model.predict(table("test"), output_directory=folder)
    return line(
        clock,
        [job.labels.index(label) for label in answers["label_predictions"]],
        ["ludwig", "transformers", "torch"],
    )


if __name__ == "__main__":
    run(train)
