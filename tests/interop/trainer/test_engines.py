from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers.data.data_collator import default_data_collator

from tests.interop.trainer.conftest import MakeModel
from tunesmith.data.batches import Batch
from tunesmith.interop.trainer.arguments import TrainingArguments
from tunesmith.interop.trainer.engines import make_plan, way_for
from tunesmith.interop.trainer.losses import KnownHead


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
