"""One loss per text, whatever the number of its windows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss

from tests.tasks.test_text_classification import Logits
from tunesmith.data.batches import Batch
from tunesmith.data.columns import Roles
from tunesmith.recipe import DataSettings
from tunesmith.tasks import task_named

OWNER = torch.tensor([0, 0, 0, 1, 2, 2])
WINDOWS = torch.tensor([[4.0, 0], [0, 2], [-1, 1], [3, 0], [0, 0], [1, 5]])
MEANS = torch.tensor([[1.0, 1], [3, 0], [0.5, 2.5]])
HIGHEST = torch.tensor([[4.0, 2], [3, 0], [1, 5]])


def forward(name: str, windows: torch.Tensor, labels: torch.Tensor, **options: object) -> Any:
    settings = DataSettings(train="x", labels=("a", "b"))
    roles = Roles("text", None, "label")
    task = task_named(name).make(roles, settings, [], {"long": "windows", **options})
    batch = Batch({}, labels, labels.numel(), 0, np.arange(3), owner=OWNER)
    return task.forward(Logits(windows), batch)


def test_of_classes_by_the_mean_of_logits() -> None:
    labels = torch.tensor([0, 0, 1])
    outputs = forward("text-classification", WINDOWS, labels)
    assert torch.equal(outputs.per_example["logits"], MEANS)
    torch.testing.assert_close(outputs.loss_sum, cross_entropy(MEANS, labels, reduction="sum"))


@pytest.mark.parametrize(("pooling", "expected"), [("mean", MEANS), ("max", HIGHEST)])
def test_of_several_labels_by_the_mean_or_the_maximum(pooling: str, expected: torch.Tensor) -> None:
    labels = torch.tensor([[1.0, 0], [0, 0], [1, 1]])
    outputs = forward("multi-label-classification", WINDOWS, labels, pooling=pooling)
    assert torch.equal(outputs.per_example["logits"], expected)
    loss = binary_cross_entropy_with_logits(expected, labels, reduction="sum")
    torch.testing.assert_close(outputs.loss_sum, loss)


def test_of_numbers_by_the_mean() -> None:
    labels = torch.tensor([1.0, 3, 0])
    outputs = forward("text-regression", WINDOWS[:, :1], labels)
    torch.testing.assert_close(outputs.loss_sum, mse_loss(MEANS[:, 0], labels, reduction="sum"))


def test_rare_classes_weigh_by_text() -> None:
    labels = torch.tensor([0, 0, 1])
    settings = DataSettings(train="x", labels=("a", "b"))
    options = {"long": "windows", "class_weights": {"b": 3.0}, "focal_gamma": 2.0}
    task: Any = task_named("text-classification").make(
        Roles("text", None, "label"), settings, [], options
    )
    weights = task.loss_weights.for_classes({"a": 2, "b": 1})
    batch = Batch({}, labels, 3, 0, np.arange(3), owner=OWNER)
    outputs = replace(task, loss_weights=weights).forward(Logits(WINDOWS), batch)
    torch.testing.assert_close(outputs.loss_sum, weights.loss_sum(cross_entropy, MEANS, labels))
