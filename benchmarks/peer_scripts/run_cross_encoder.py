"""The trainer of CrossEncoder, of sentence-transformers: two logits, cross-entropy."""

from __future__ import annotations

import tempfile

from shared import Clock, Job, line, run


def train(job: Job, clock: Clock) -> str:
    from datasets import Dataset
    from sentence_transformers.cross_encoder import (
        CrossEncoder,
        CrossEncoderTrainer,
        CrossEncoderTrainingArguments,
    )
    from sentence_transformers.cross_encoder.losses import CrossEntropyLoss
    from transformers import set_seed

    set_seed(job.seed)
    model = CrossEncoder(
        job.model, num_labels=len(job.labels), max_length=job.max_length, device="cpu"
    )
    columns: dict[str, list[str] | list[int]] = {}
    columns |= zip(job.columns, job.texts("train"), strict=True)
    columns["label"] = job.classes("train")
    with tempfile.TemporaryDirectory() as folder:
        trainer = CrossEncoderTrainer(
            model=model,
            args=CrossEncoderTrainingArguments(
                folder,
                seed=job.seed,
                num_train_epochs=job.epochs,
                per_device_train_batch_size=job.batch_size,
                learning_rate=job.learning_rate,
                report_to="none",
                save_strategy="no",
                use_cpu=True,
            ),
            train_dataset=Dataset.from_dict(columns),
            loss=CrossEntropyLoss(model),
        )
        with clock:
            trainer.train()
    logits = model.predict(list(zip(*job.texts("test"), strict=True)), convert_to_numpy=True)
    return line(clock, logits.argmax(axis=-1), ["sentence-transformers", "transformers", "torch"])


if __name__ == "__main__":
    run(train)
