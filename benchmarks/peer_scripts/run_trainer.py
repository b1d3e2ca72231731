"""transformers' Trainer, written as in chapter 3 of the course."""

from __future__ import annotations

import tempfile
from typing import Any

from shared import Clock, Job, line, run


def train(job: Job, clock: Clock, **arguments: Any) -> str:
    from datasets import Dataset
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    tokenizer = AutoTokenizer.from_pretrained(job.model)

    def tokenized(split: str) -> Dataset:
        columns = dict(zip(job.columns, job.texts(split), strict=True))
        if split != "test":
            columns["labels"] = job.classes(split)
        return Dataset.from_dict(columns).map(
            lambda rows: tokenizer(
                *(rows[name] for name in job.columns), truncation=True, max_length=job.max_length
            ),
            batched=True,
            remove_columns=job.columns,
        )

    set_seed(job.seed)
    model = AutoModelForSequenceClassification.from_pretrained(
        job.model, num_labels=len(job.labels)
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                folder,
                seed=job.seed,
                num_train_epochs=job.epochs,
                per_device_train_batch_size=job.batch_size,
                learning_rate=job.learning_rate,
                report_to="none",
                save_strategy="no",
                use_cpu=True,
                **arguments,
            ),
            train_dataset=tokenized("train"),
            data_collator=DataCollatorWithPadding(tokenizer=tokenizer),
            processing_class=tokenizer,
        )
        with clock:
            trainer.train()
        logits = trainer.predict(tokenized("test")).predictions
    return line(clock, logits.argmax(axis=-1), ["transformers", "torch", "accelerate"])


if __name__ == "__main__":
    run(train)
