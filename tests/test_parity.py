"""Parity with transformers' Trainer: the same batches and the same losses, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.conftest import WORDS, make_tiny_bert
from tunesmith.api.train import start
from tunesmith.data.batches import Batch, Examples, Padding, make_batch
from tunesmith.data.columns import Roles
from tunesmith.data.encoded import hold_in_memory
from tunesmith.data.open import from_python
from tunesmith.models import load_tokenizer, locate
from tunesmith.recipe import DataSettings, TrainSettings
from tunesmith.tasks import Outputs, task_named
from tunesmith.training.device import make_accelerator
from tunesmith.training.engine import ExactEngine
from tunesmith.training.events import StepDone
from tunesmith.training.loop import train
from tunesmith.training.optimizer import make_optimizer
from tunesmith.training.plan import make_plan
from tunesmith.training.progress import Progress

SEED = 42


def encoded(folder: Path, rows: Sequence[dict[str, object]]) -> tuple[Examples, Padding]:
    tokenizer = load_tokenizer(locate(str(folder)))
    task = task_named("text-classification").make(
        Roles("sentence1", "sentence2", "label"), DataSettings(train="x", labels=("0", "1")), [], {}
    )
    source = from_python(rows)["train"]
    listed = [row for chunk in source.chunks() for row in chunk]
    tokenized = task.encode(listed, tokenizer, 64, labeled=True)
    return Examples(hold_in_memory(tokenized)), Padding.of(tokenizer)


def pair_rows(count: int) -> list[dict[str, object]]:
    random = np.random.default_rng(5)

    def sentence() -> str:
        return " ".join(random.choice(WORDS, random.integers(3, 20)))

    return [
        {"sentence1": sentence(), "sentence2": sentence(), "label": int(random.integers(2))}
        for _row in range(count)
    ]


class Recorded:
    """A Trainer of transformers, and what it saw: the rows of each batch, the loss of each step."""

    def __init__(
        self,
        folder: Path,
        rows: Sequence[dict[str, object]],
        output: Path,
        *,
        dtype: torch.dtype = torch.float32,
        **arguments: object,
    ) -> None:
        from datasets import Dataset
        from transformers import (
            AutoModelForSequenceClassification,
            AutoTokenizer,
            DataCollatorWithPadding,
            Trainer,
            TrainerCallback,
            TrainingArguments,
            set_seed,
        )

        tokenizer = AutoTokenizer.from_pretrained(folder)
        data = Dataset.from_list([{**row, "place": i} for i, row in enumerate(rows)])
        data = data.map(
            lambda batch: tokenizer(batch["sentence1"], batch["sentence2"], truncation=True),
            batched=True,
        ).rename_column("label", "labels")
        self.batches: list[list[int]] = []
        self.shapes: list[tuple[int, ...]] = []
        self.losses: list[float] = []
        collate = DataCollatorWithPadding(tokenizer)
        features = [name for name in data.column_names if name not in ("sentence1", "sentence2")]

        def collator(features: list[dict[str, Any]]) -> Any:
            self.batches.append([feature.pop("place") for feature in features])
            batch = collate(features)
            self.shapes.append(tuple(batch["input_ids"].shape))
            return batch

        recorded = self

        class Losses(Trainer):
            def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
                loss: torch.Tensor = super().training_step(*args, **kwargs)
                recorded.losses.append(loss.item())
                return loss

        set_seed(SEED)
        model = AutoModelForSequenceClassification.from_pretrained(
            folder,
            num_labels=2,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            dtype=dtype,
        )
        trainer = Losses(
            model=model,
            args=TrainingArguments(
                str(output), seed=SEED, use_cpu=True, save_strategy="no", report_to="none",
                disable_tqdm=True, remove_unused_columns=False, **arguments,
            ),
            train_dataset=data.select_columns(features),
            data_collator=collator,
            callbacks=[TrainerCallback()],
        )  # fmt: skip
        trainer.train()
        self.model = model


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_fifty_steps_in_float32(tmp_path: Path, tiny_bert: Path) -> None:
    """The whole of our run by each engine against the whole of theirs: dropout 0."""
    from transformers import AutoModelForSequenceClassification

    rows = pair_rows(200)
    theirs = Recorded(
        tiny_bert,
        rows,
        tmp_path / "t",
        max_steps=50,
        weight_decay=0.01,
        learning_rate=1e-3,
        warmup_steps=5,
    )
    batches = make_plan(TrainSettings(max_steps=50, seed=SEED), num_examples=len(rows))
    assert [batches.examples_at(step).tolist() for step in range(50)] == theirs.batches
    for engine in ("exact", "fast"):
        losses = our_losses(tiny_bert, rows, tmp_path / engine, engine)
        assert len(theirs.losses) == len(losses) == 50
        np.testing.assert_allclose(losses, theirs.losses, rtol=1e-5)
        final = AutoModelForSequenceClassification.from_pretrained(tmp_path / engine / "model")
        pairs = zip(final.named_parameters(), theirs.model.parameters(), strict=True)
        for (name, one), two in pairs:
            torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-5, msg=name)


def our_losses(
    model: Path, rows: Sequence[dict[str, object]], out: Path, engine: str
) -> list[float]:
    events = start(
        rows,
        out=out,
        settings={
            "model": str(model),
            "data.validation": None,
            "train.engine": engine,
            "train.dropout": 0.0,
            "train.max_steps": 50,
            "train.learning_rate": 1e-3,
            "train.weight_decay": 0.01,
            "train.warmup": "5 steps",
            "train.seed": SEED,
        },
    )
    return [event.loss for event in events if isinstance(event, StepDone)]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_a_hundred_steps_in_float64(tmp_path: Path) -> None:
    """Two layers, no rounding to hide behind: 1e-9 over a hundred steps, clipping at work."""
    from transformers import AutoModelForSequenceClassification, set_seed

    folder = make_tiny_bert(tmp_path / "bert", dropout=0.0)
    rows = pair_rows(150)
    theirs = Recorded(
        folder,
        rows,
        tmp_path / "t",
        dtype=torch.float64,
        max_steps=100,
        learning_rate=1e-3,
        max_grad_norm=0.5,
    )
    set_seed(SEED)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        dtype=torch.float64,
    )  # fmt: skip
    examples, padding = encoded(folder, rows)
    settings = TrainSettings(max_steps=100, learning_rate=1e-3, seed=SEED, max_grad_norm=0.5)
    plan = make_plan(settings, num_examples=len(rows))

    def run(model: torch.nn.Module, batch: Batch) -> Outputs:
        logits = model(**batch.inputs).logits
        loss = torch.nn.functional.cross_entropy(logits, batch.labels, reduction="sum")
        return Outputs(loss, {})

    engine = ExactEngine(
        model,
        run,
        make_accelerator(device="cpu"),
        make_optimizer=lambda: make_optimizer(model, settings),
        max_grad_norm=0.5,
    )
    events = train(
        engine,
        plan=plan,
        progress=Progress(),
        micro_batches=lambda step: [
            (number, make_batch(examples, places, padding))
            for number, places in plan.micro_batches_at(step)
        ],
    )
    ours = [event.loss for event in events if isinstance(event, StepDone)]
    assert len(ours) == len(theirs.losses) == 100
    np.testing.assert_allclose(ours, theirs.losses, rtol=1e-9)
