"""A script of transformers, with its own Trainer or with ours in its place.

It is that of chapter 3 of the Hugging Face course: a `datasets.Dataset`, `DataCollatorWithPadding`,
`TrainingArguments`, one line for the Trainer. Nothing but the class differs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from typing import Any

from tunesmith.analysis.bench.trainings import (
    Steps,
    TrainedStep,
    Training,
    as_features,
    collator_for,
    network_of,
    prepare,
    trainer_arguments,
)

__all__ = ["script_steps"]


def script_steps(
    settings: Mapping[str, object], arguments: Mapping[str, object], *, drop_in: bool
) -> Training:
    """Return the training of the script on the rows of a recipe.

    Args:
        settings: recipe keys.
        arguments: of `TrainingArguments`, in addition to what the recipe says.
        drop_in: whether the class is ours.
    """
    job = prepare(settings)
    return lambda steps: _run(job, arguments, steps, _drop_in if drop_in else _stock)


def _run(
    job: Any,
    arguments: Mapping[str, object],
    steps: Steps,
    watch: Callable[[Any, Any, Steps], tuple[Any, Any]],
) -> None:
    import torch
    from datasets import Dataset
    from transformers import TrainingArguments

    settings = job.recipe.train
    network = network_of(job)
    rows = [{k: v for k, v in f.items() if k != "row"} for f in as_features(job.examples["train"])]
    make_trainer, data = watch(job, Dataset.from_list(rows), steps)
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(
            network,
            TrainingArguments(
                folder, seed=settings.seed, max_steps=job.plan.total_steps, save_strategy="no",
                report_to="none", disable_tqdm=True,
                use_cpu=settings.device == "cpu" or not torch.accelerator.is_available(),
                **trainer_arguments(job),
                **arguments,
            ),
            train_dataset=data,
            data_collator=collator_for(job),
            processing_class=job.tokenizer,
        )  # fmt: skip
        trainer.train()


def _stock(job: Any, data: Any, steps: Steps) -> tuple[Any, Any]:
    """The class of transformers, with a callback that waits; rows note when they are read."""
    from datasets import Dataset
    from transformers import Trainer, TrainerCallback

    lengths = job.examples["train"].lengths
    read: list[list[int]] = []

    class Noted(Dataset):  # type: ignore[misc]
        def __getitems__(self, keys: list[int]) -> Any:
            read.append(list(keys))
            return super().__getitems__(keys)

    class Stock(Trainer):  # type: ignore[misc]
        def training_step(self, *arguments: Any, **more: Any) -> Any:
            loss = super().training_step(*arguments, **more)
            self.loss = float(loss)  # Trainer reads it, too, to see whether it is finite
            return loss

    class Waits(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, _arguments: Any, state: Any, _control: Any, **_more: Any) -> None:
            indices = read[state.global_step - 1]
            steps.give(TrainedStep(indices, int(lengths[indices].sum()), made[0].loss))

    made: list[Any] = []

    def make(*arguments: Any, **more: Any) -> Any:
        made.append(Stock(*arguments, callbacks=[Waits()], **more))
        return made[0]

    data.__class__ = Noted
    return make, data


def _drop_in(job: Any, data: Any, steps: Steps) -> tuple[Any, Any]:
    """Our class, which waits after each step; callbacks are shown the plain model, which costs."""
    from tunesmith.interop.trainer.trainer import Trainer

    lengths = job.examples["train"].lengths

    class DropIn(Trainer):
        def act(self, session: Any, *arguments: Any, **more: Any) -> None:
            super().act(session, *arguments, **more)
            if session.progress.step > steps.done:
                indices = session.plan.examples_at(session.position - 1)
                loss, self.reported = session.sums["loss"] - self.reported, session.sums["loss"]
                steps.give(TrainedStep(indices.tolist(), int(lengths[indices].sum()), loss))

        reported = 0.0

    return DropIn, data
