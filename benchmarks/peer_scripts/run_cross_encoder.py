"""The trainer of CrossEncoder, of sentence-transformers: two logits, cross-entropy."""

from __future__ import annotations

import tempfile

from shared import Clock, Task, line, run


def train(task: Task, clock: Clock) -> str:
    from datasets import Dataset
    from sentence_transformers.cross_encoder import (
        CrossEncoder,
        CrossEncoderTrainer,
        CrossEncoderTrainingArguments,
    )
    from sentence_transformers.cross_encoder.losses import CrossEntropyLoss
    from transformers import set_seed

    set_seed(task.seed)
    model = CrossEncoder(
        task.model, num_labels=len(task.labels), max_length=task.max_length, device="cpu"
    )
    columns: dict[str, list[str] | list[int]] = {}
    columns |= zip(task.columns, task.texts("train"), strict=True)
    columns["label"] = task.classes("train")
    with tempfile.TemporaryDirectory() as folder:
        trainer = CrossEncoderTrainer(
            model=model,
            args=CrossEncoderTrainingArguments(
                folder,
                seed=task.seed,
                num_train_epochs=task.epochs,
                per_device_train_batch_size=task.batch_size,
                learning_rate=task.learning_rate,
                report_to="none",
                save_strategy="no",
                use_cpu=True,
            ),
            train_dataset=Dataset.from_dict(columns),
            loss=CrossEntropyLoss(model),
        )
        with clock:
            trainer.train()
    logits = model.predict(list(zip(*task.texts("test"), strict=True)), convert_to_numpy=True)
    return line(clock, logits.argmax(axis=-1), ["sentence-transformers", "transformers", "torch"])


if __name__ == "__main__":
    run(train)
