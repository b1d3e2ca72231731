"""transformers' Trainer, written as in chapter 3 of the course."""

from __future__ import annotations

import tempfile
from typing import Any

from shared import Clock, Task, line, run


def train(task: Task, clock: Clock, **arguments: Any) -> str:
    from datasets import Dataset
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    tokenizer = AutoTokenizer.from_pretrained(task.model)

    def tokenized(split: str) -> Dataset:
        columns = dict(zip(task.columns, task.texts(split), strict=True))
        if split != "test":
            columns["labels"] = task.classes(split)
        return Dataset.from_dict(columns).map(
            lambda rows: tokenizer(
                *(rows[name] for name in task.columns), truncation=True, max_length=task.max_length
            ),
            batched=True,
            remove_columns=task.columns,
        )

    set_seed(task.seed)
    model = AutoModelForSequenceClassification.from_pretrained(
        task.model, num_labels=len(task.labels)
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                folder,
                seed=task.seed,
                num_train_epochs=task.epochs,
                per_device_train_batch_size=task.batch_size,
                learning_rate=task.learning_rate,
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
        # otherwise predict, too, takes the rows by length, and returns them in that order
        trainer.args.train_sampling_strategy = "random"
        logits = trainer.predict(tokenized("test")).predictions
    return line(clock, logits.argmax(axis=-1), ["transformers", "torch", "accelerate"])


if __name__ == "__main__":
    run(train)
