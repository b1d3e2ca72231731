"""SetFit: contrastive training of the body, then a logistic regression.

All pairs of a thousand texts would take hours: the steps are limited, so that as many texts pass
through the model as with the other peers. Learning rate, batch size and loss are SetFit's own.
"""

from __future__ import annotations

import tempfile

from shared import Clock, Task, line, run

PAIRS = 16
"""Pairs of texts per step, SetFit's default."""


def train(task: Task, clock: Clock) -> str:
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    steps = task.steps() * task.batch_size // (2 * PAIRS)
    model = SetFitModel.from_pretrained(task.model, device="cpu")
    data = Dataset.from_dict({"text": task.joined("train"), "label": task.classes("train")})
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                folder,
                batch_size=(PAIRS, 2),
                max_steps=steps,
                max_length=task.max_length,
                seed=task.seed,
                report_to="none",
                save_strategy="no",
            ),
            train_dataset=data,
        )
        with clock:
            trainer.train()
    answers = model.predict(task.joined("test"), use_labels=False)
    note = f"{steps} steps of {PAIRS} pairs"
    return line(clock, answers.tolist(), ["setfit", "sentence-transformers", "torch"], note)


if __name__ == "__main__":
    run(train)
