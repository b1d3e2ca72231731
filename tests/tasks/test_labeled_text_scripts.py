from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.columns import Roles
from tunesmith.data.open import from_python
from tunesmith.recipe import DataSettings
from tunesmith.tasks import task_named

LABELS: dict[str, list[object]] = {
    "text-classification": ["a", "b"],
    "multi-label-classification": [["a"], ["a", "b"]],
    "text-regression": [1.5, 2.0],
}


def fitted(name: str, options: dict[str, object]) -> Any:
    source = from_python([{"text": "x", "label": label} for label in LABELS[name]])["train"]
    task = task_named(name).make(
        Roles("text", None, "label"), DataSettings(train="x"), source.columns, options
    )
    return task.fit(row for chunk in source.chunks() for row in chunk)


@pytest.mark.parametrize("name", LABELS)
def test_every_metric_has_an_expression(name: str) -> None:
    task = fitted(name, {})
    assert set(task.script_parts.metrics) == {*task.metrics, "loss"}
    assert not task.script_parts.left_out


@pytest.mark.parametrize("name", ["text-classification", "multi-label-classification"])
def test_weights_of_the_loss_are_left_out(name: str) -> None:
    weighted = fitted(name, {"class_weights": "balanced"}).script_parts
    assert list(weighted.left_out) == ["options.class_weights"]
    focal = fitted(name, {"focal_gamma": 2.0}).script_parts
    assert list(focal.left_out) == ["options.focal_gamma"]
