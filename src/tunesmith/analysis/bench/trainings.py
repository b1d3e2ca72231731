"""The same training by tunesmith and by transformers' Trainer, as iterators of steps."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from queue import Queue
from typing import Any, NamedTuple

from tunesmith.analysis.bench.roofline import measure_machine, products_of, work_of
from tunesmith.training.learning_rate import SCHEDULERS

__all__ = [
    "Steps",
    "TrainedStep",
    "Training",
    "as_features",
    "collator_for",
    "network_of",
    "prepare",
    "trainer_arguments",
    "trainer_steps",
    "tunesmith_steps",
]


class TrainedStep(NamedTuple):
    """One step.

    Attributes:
        indices: of the rows it trained.
        tokens: without padding.
        loss: the mean over its rows.
        limit: the least seconds it can take, 0 if unknown.
    """

    indices: list[int]
    tokens: int
    loss: float
    limit: float = 0.0


def prepare(settings: Mapping[str, object]) -> Any:
    """Return the prepared run of these recipe keys."""
    from tunesmith.inputs import resolve_inputs, validate_inputs
    from tunesmith.recipe import gather
    from tunesmith.runs.prepare import prepare_run

    flags = {tuple(key.split(".")): (key, value) for key, value in settings.items()}
    return prepare_run(validate_inputs(resolve_inputs(gather(flags=flags, environment={}))))


def tunesmith_steps(settings: Mapping[str, object]) -> Generator[TrainedStep, None, None]:
    """Train as `tunesmith train` does, in a temporary folder."""
    import torch

    from tunesmith.runs.folder import RunFolder
    from tunesmith.runs.signals import StopRequest
    from tunesmith.runs.train import opened_session
    from tunesmith.training.events import StepDone
    from tunesmith.training.fast.engine import FastEngine
    from tunesmith.training.loop import train

    job = prepare(settings)
    is_fast = job.recipe.train.engine == "fast"
    with (
        tempfile.TemporaryDirectory() as folder,
        opened_session(job, RunFolder(Path(folder)), stop=StopRequest()) as session,
    ):
        engine: Any = session.engine
        lengths = job.examples["train"].lengths
        half = session.precision == "bf16"
        first = job.plan.examples_at(0)
        products = None
        if job.task.needs_label:  # other heads compute masked tokens only
            with engine.plain_model():
                products = products_of(session.network, job.task.forward, job.batch(0, first[:4]))
        machine = measure_machine(
            session.network, int(lengths[first].sum()), torch.bfloat16 if half else torch.float32
        )
        table = session.network.get_input_embeddings().weight
        cuts = isinstance(engine, FastEngine) and engine.probe_result.exit == (
            "first token, last layer cut"
        )
        trained = sum(p.numel() for p in session.network.parameters() if p.requires_grad)
        stream = train(
            engine, plan=job.plan, progress=session.progress, micro_batches=session.micro_batches
        )
        for event in stream:
            if isinstance(event, StepDone):
                indices = job.plan.examples_at(event.step - 1)
                limit = 0.0
                if products is not None:
                    limit = work_of(
                        session.network, products, lengths[indices].tolist(), updated=trained,
                        table_rows=len(table), cuts_last_layer=cuts, half=half and is_fast,
                    ).seconds(machine)  # fmt: skip
                yield TrainedStep(indices.tolist(), event.tokens, event.loss, limit)


class Steps:
    """The steps of a training that waits after each until the next is requested.

    The training goes on in one thread, preferably the main one, where scripts train: memory is
    managed differently in others. Who requests its steps is in another.

    Attributes:
        done: how many were given.
    """

    def __init__(self) -> None:
        self._requests: Queue[bool] = Queue()
        self._results: Queue[TrainedStep | Exception] = Queue()
        self.done = 0

    def __iter__(self) -> Iterator[TrainedStep]:
        return self

    def __next__(self) -> TrainedStep:
        """Request a step; what the training raises is raised here."""
        self._requests.put(True)
        result = self._results.get()
        if isinstance(result, Exception):
            raise result
        return result

    def stop(self) -> None:
        """Let the training end where it waits."""
        self._requests.put(False)

    def run(self, training: Training) -> None:
        """Train; begins with the first request."""
        if not self._requests.get():
            return
        try:
            training(self)
            self._results.put(ValueError("the training is over"))
        except _Stopped:
            pass
        except Exception as error:  # raised where steps are requested
            self._results.put(error)

    def give(self, step: TrainedStep) -> None:
        """Hand over a step, and wait for the next request."""
        self.done += 1
        self._results.put(step)
        if not self._requests.get():
            raise _Stopped


class _Stopped(BaseException):
    """No more steps are requested."""


Training = Callable[[Steps], None]
"""Trains, and gives each step when it is done."""


def trainer_steps(
    settings: Mapping[str, object], arguments: Mapping[str, object], *, tunes_process: bool
) -> Training:
    """Return a training by transformers' Trainer on the same rows."""
    from tunesmith.training.fast.process import tuned

    job = prepare(settings)

    def train(steps: Steps) -> None:
        with tuned(True) if tunes_process else nullcontext():
            _run_trainer(job, arguments, steps)

    return train


def _run_trainer(job: Any, arguments: Mapping[str, object], steps: Steps) -> None:
    import torch
    from transformers import Trainer, TrainerCallback, TrainingArguments

    settings = job.recipe.train
    rows, lengths = as_features(job.examples["train"]), job.examples["train"].lengths
    collate = collator_for(job)
    batches: list[list[int]] = []

    def collator(features: list[dict[str, Any]]) -> Any:
        batches.append([feature["row"] for feature in features])
        return collate([{k: v for k, v in f.items() if k != "row"} for f in features])

    class LossTrainer(Trainer):  # type: ignore[misc]
        def training_step(self, *arguments: Any, **more: Any) -> Any:
            loss = super().training_step(*arguments, **more)
            self.loss = float(loss)  # Trainer reads it, too, to see whether it is finite
            return loss

    class Turns(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, _arguments: Any, state: Any, _control: Any, **_more: Any) -> None:
            indices = batches[state.global_step - 1]
            tokens = int(lengths[indices].sum())
            steps.give(TrainedStep(indices, tokens, trainer.loss))

    network = network_of(job)
    with tempfile.TemporaryDirectory() as folder:
        trainer = LossTrainer(
            model=network,
            args=TrainingArguments(
                folder, seed=settings.seed, max_steps=job.plan.total_steps, save_strategy="no",
                report_to="none", disable_tqdm=True, remove_unused_columns=False,
                use_cpu=settings.device == "cpu" or not torch.accelerator.is_available(),
                **trainer_arguments(job),
                **arguments,
            ),
            train_dataset=rows,
            data_collator=collator,
            processing_class=job.tokenizer,
            callbacks=[Turns()],
        )  # fmt: skip
        trainer.train()


def network_of(job: Any) -> Any:
    """Return the model of a recipe; torch's random numbers begin with its seed."""
    from transformers import set_seed

    settings = job.recipe.train
    set_seed(settings.seed)
    return job.task.build(
        job.files,
        seed=settings.seed,
        dropout=settings.dropout,
        allow_missing=settings.allow_missing,
    ).model


def collator_for(job: Any) -> Any:
    """Return transformers' own collator for rows of this form."""
    import transformers

    prepared = job.examples["train"].prepared
    name = "DataCollatorWithPadding"
    if prepared.has_parts:
        name = "DataCollatorForMultipleChoice"
    elif "labels" in prepared.names:
        name = "DataCollatorForTokenClassification"
    return getattr(transformers, name)(tokenizer=job.tokenizer)


def trainer_arguments(job: Any) -> dict[str, Any]:
    """Return the recipe as arguments of `TrainingArguments`.

    Raises:
        ValueError: Trainer would do something differently.
    """
    settings, plan = job.recipe.train, job.plan
    if not job.task.needs_label:
        raise ValueError("Trainer draws other masks, so losses cannot be compared")
    if settings.micro_batch_size and settings.micro_batch_size < settings.batch_size:
        raise ValueError("with train.micro_batch_size its rows cannot be tracked")
    if settings.freeze:
        raise ValueError("Trainer does not support train.freeze")
    if settings.sampling != "natural":
        raise ValueError("Trainer does not support train.sampling: it draws each row once")
    for option in ("class_weights", "focal_gamma"):
        if job.recipe.options.get(option) is not None:
            raise ValueError(f"Trainer does not support options.{option}: its loss differs")
    return {
        "per_device_train_batch_size": settings.batch_size,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": SCHEDULERS[settings.schedule],
        "warmup_steps": plan.warmup_steps,
        "weight_decay": settings.weight_decay,
        "adam_beta1": settings.adam_beta1,
        "adam_beta2": settings.adam_beta2,
        "adam_epsilon": settings.adam_epsilon,
        "max_grad_norm": settings.max_grad_norm or 0.0,
        # transformers is renaming it
        **({"gradient_checkpointing": True} if settings.gradient_checkpointing else {}),
    }


def as_features(examples: Any) -> list[dict[str, Any]]:
    """Return tokenized rows as lists of numbers, as `datasets` gives them to a collator."""
    import numpy as np

    prepared = examples.prepared
    features = []
    for index, example in enumerate(examples.at(np.arange(len(examples))).tolist()):
        feature: dict[str, Any] = {}
        for name in prepared.names:
            parts = [part.tolist() for part in prepared.sequences(name, example)]
            feature[name] = parts if prepared.has_parts else parts[0]
            if name == "input_ids":
                masks = [[1] * len(part) for part in parts]
                feature["attention_mask"] = masks if prepared.has_parts else masks[0]
        if "labels" in prepared.fixed:
            feature |= _label(prepared.fixed["labels"][example])
        features.append({**feature, "row": index})
    return features


def _label(label: Any) -> dict[str, Any]:
    """The label of a row by the names that models of transformers have for it."""
    if label.dtype.kind in "fb":
        return {"labels": label.astype("float32")}
    if label.ndim == 0:
        return {"labels": int(label)}
    first, last = map(int, label)  # of the tokens of an answer
    return {"start_positions": first, "end_positions": last}
