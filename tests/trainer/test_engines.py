from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers.data.data_collator import default_data_collator

from tests.trainer.conftest import MakeModel
from tunesmith.batching import Batch
from tunesmith.errors import RecipeError
from tunesmith.optim import adamw
from tunesmith.trainer.arguments import TrainingArguments
from tunesmith.trainer.engines import (
    Followed,
    is_plain_adamw,
    make_plan,
    named_optimizer,
    recompute_activations,
    way_for,
)
from tunesmith.trainer.heads import KnownHead

SCHEDULES = [
    ("linear", None),
    ("cosine", None),
    ("cosine_with_restarts", {"num_cycles": 2}),
    ("polynomial", {"power": 2.0}),
    ("constant", None),
    ("constant_with_warmup", None),
    ("inverse_sqrt", None),
    ("cosine_with_min_lr", {"min_lr_rate": 0.1}),
    ("warmup_stable_decay", {"num_decay_steps": 4}),
]


@pytest.mark.parametrize(("name", "options"), SCHEDULES, ids=str)
def test_learning_rates_are_those_of_transformers(name: str, options: Any) -> None:
    args = TrainingArguments(
        "out", lr_scheduler_type=name, lr_scheduler_kwargs=options, warmup_steps=3,
        learning_rate=1e-3,
    )  # fmt: skip
    plan = make_plan(args, num_examples=30, num_processes=1)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    scheduler = transformers.get_scheduler(
        name, optimizer, num_warmup_steps=3, num_training_steps=plan.total_steps,
        scheduler_specific_kwargs=options,
    )  # fmt: skip
    for step in range(plan.total_steps):
        assert plan.learning_rate_at(step) == pytest.approx(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()


def test_steps_and_batches_of_a_plan() -> None:
    args = TrainingArguments(
        "out", per_device_train_batch_size=3, gradient_accumulation_steps=2, num_train_epochs=1.5,
        warmup_ratio=0.5, data_seed=9,
    )  # fmt: skip
    plan = make_plan(args, num_examples=20, num_processes=2)
    assert (plan.batch_size, plan.micro_batch_size, plan.steps_per_epoch) == (12, 3, 2)
    assert (plan.total_steps, plan.warmup_steps, plan.seed) == (3, 2, 9)
    assert make_plan(
        TrainingArguments("out", max_steps=7), num_examples=20, num_processes=1
    ).total_steps == 7  # fmt: skip


def test_a_scheduler_leads_each_group() -> None:
    one, two = (torch.nn.Parameter(torch.ones(1)) for _ in range(2))
    optimizer = torch.optim.SGD([{"params": [one], "lr": 1.0}, {"params": [two], "lr": 4.0}])
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    followed = Followed(optimizer, scheduler)
    rates = []
    for _step in range(2):
        for parameter in (one, two):
            parameter.grad = torch.ones(1)
        for group in optimizer.param_groups:
            group["lr"] = 99.0  # as an engine writes it
        optimizer.step()
        rates.append(followed.rate)
    assert rates == [1.0, 0.5]
    assert (one.item(), two.item()) == (1 - 1.5, 1 - 6.0)
    again = torch.optim.SGD([{"params": [one], "lr": 1.0}, {"params": [two], "lr": 4.0}])
    later = torch.optim.lr_scheduler.StepLR(again, 1, gamma=0.5)
    Followed(again, later).skip(2)
    assert later.get_last_lr() == scheduler.get_last_lr() == [0.25, 1.0]
    followed.release()
    optimizer.step()
    assert scheduler.last_epoch == 2


def test_a_scheduler_that_waits_for_scores() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    with pytest.raises(RecipeError, match=r"R134"):
        Followed(optimizer, torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer))


def test_optimizers(make_model: MakeModel) -> None:
    model = make_model()
    args = TrainingArguments("out", weight_decay=0.1, optim="sgd", optim_args="momentum=0.9")
    assert not is_plain_adamw(args) and is_plain_adamw(TrainingArguments("out"))
    made = named_optimizer(model, args, None)
    assert [group["weight_decay"] for group in made.param_groups] == [0.1, 0.0]
    chosen = named_optimizer(model, args, (torch.optim.Adagrad, {"lr": 0.5}))
    assert isinstance(chosen, torch.optim.Adagrad) and chosen.param_groups[0]["lr"] == 0.5
    ours = adamw(model, args)
    counted = [sum(p.numel() for g in o.param_groups for p in g["params"]) for o in (made, ours)]
    assert counted == [model.num_parameters()] * 2
    with pytest.raises(RecipeError, match=r"R131"):
        named_optimizer(model, args, (lambda: None, {}))


def test_adamw_takes_what_torch_takes(make_model: MakeModel) -> None:
    """A learning rate of zero, such as a recipe would refuse."""
    args = TrainingArguments("out", learning_rate=0.0, weight_decay=0.1, adam_beta2=0.9)
    made = adamw(make_model(), args)
    assert isinstance(made, torch.optim.AdamW)
    assert made.defaults["lr"] == 0.0 and made.defaults["betas"] == (0.9, 0.9)
    assert [group["weight_decay"] for group in made.param_groups] == [0.1, 0.0]


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_activations_are_recomputed_if_asked(make_model: MakeModel) -> None:
    model = make_model()
    recompute_activations(model, SimpleNamespace(gradient_checkpointing=False))
    assert not model.is_gradient_checkpointing
    asked = SimpleNamespace(gradient_checkpointing=True, gradient_checkpointing_kwargs=None)
    recompute_activations(model, asked)
    assert model.is_gradient_checkpointing


@pytest.mark.parametrize(
    ("inputs", "collate", "half", "reason"),
    [
        ({}, default_data_collator, False, "the rows have no attention_mask"),
        ({"attention_mask": 1, "pixels": 1}, default_data_collator, False, "pixels"),
        ({"attention_mask": 1}, dict, False, "the collator may change the rows"),
        ({"attention_mask": 1}, default_data_collator, True, "the weights are not float32"),
    ],
)
def test_why_the_fast_engine_is_not_tried(
    make_model: MakeModel, inputs: dict[str, int], collate: Any, half: bool, reason: str
) -> None:
    ids = torch.ones((2, 3), dtype=torch.long)
    some = Batch({"input_ids": ids, **dict.fromkeys(inputs, ids)}, None, 2, 6, np.arange(2))
    model = make_model().half() if half else make_model()
    head = KnownHead(model.config, per_token=False)
    way = way_for(head, model, some, torch.device("cpu"), collate=collate, trains=False)
    assert not way.is_fast and reason in way.reason
    mps = way_for(head, model, some, torch.device("mps"), collate=collate, trains=False)
    assert mps.reason == "it does not know mps"
