from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn import metrics as sklearn_metrics
from torch.nn import functional

from tunesmith.data.columns import Roles
from tunesmith.interop.eject.setup_cells import scores_cell
from tunesmith.metrics.scores import METRICS, compute
from tunesmith.tasks import task_named

LABELS = ("a", "b", "c")
RANDOM = np.random.default_rng(3)


def scores_of(task: str, **fields: object) -> Any:
    kind: Any = task_named(task)
    fitted = kind(Roles("text", None, "label"), **fields)
    run: Any = SimpleNamespace(metrics=tuple(kind.metrics), parts=fitted.script_parts)
    computed = {
        name: getattr(home, name)
        for home in (sklearn_metrics, stats, functional)
        for name in dir(home)
    }
    space = {**computed, "torch": torch, "math": math}
    exec(scores_cell(run).code, space)
    return space["compute_scores"]


def assert_equal(computed: dict[str, float], expected: Any) -> None:
    assert list(computed) == list(expected)
    for name, value in expected.items():
        assert computed[name] == pytest.approx(value, rel=1e-12, abs=1e-12), name


@pytest.mark.parametrize("positive", [0, 2])
def test_classes(positive: int) -> None:
    logits = RANDOM.normal(size=(40, 3)).astype(np.float32)
    labels = RANDOM.integers(0, 3, 40)
    task = "text-classification"
    computed = scores_of(task, labels=LABELS, positive_label=LABELS[positive])(logits, labels)
    loss = functional.cross_entropy(torch.tensor(logits), torch.tensor(labels)).item()
    chosen = [METRICS[name] for name in task_named(task).metrics]
    expected = compute(chosen, logits.argmax(-1), labels, positive=positive, loss=loss)
    assert_equal(computed, expected.values)


def test_sets() -> None:
    logits = RANDOM.normal(size=(40, 3)).astype(np.float32)
    labels = RANDOM.integers(0, 2, (40, 3)).astype(np.float32)
    task = "multi-label-classification"
    computed = scores_of(task, labels=LABELS)(logits, labels)
    chosen = [METRICS[name] for name in task_named(task).metrics]
    expected = compute(chosen, (logits >= 0).astype(int), labels.astype(int), loss=computed["loss"])
    assert_equal(computed, expected.values)


def test_numbers() -> None:
    logits = RANDOM.normal(size=(40, 1)).astype(np.float32)
    labels = (logits[:, 0] + RANDOM.normal(size=40)).astype(np.float32)
    task = "text-regression"
    computed = scores_of(task)(logits, labels)
    chosen = [METRICS[name] for name in task_named(task).metrics]
    expected = compute(chosen, logits[:, 0], labels.astype(float), loss=computed["loss"])
    assert_equal(computed, expected.values)


def test_masked_words() -> None:
    sums = np.abs(RANDOM.normal(size=(10, 3))).astype(np.float32)
    sums[:, 2] = RANDOM.integers(1, 5, 10)
    scores = scores_of("masked-lm")(sums, None)
    chosen = list(task_named("masked-lm").metrics.values())
    expected = compute(chosen, sums[:, :2].astype(float), sums[:, 2].astype(float), loss=1.0)
    assert scores["perplexity"] == pytest.approx(expected["perplexity"])
    assert scores["token_accuracy"] == pytest.approx(expected["token_accuracy"])
    assert math.exp(scores["loss"]) == pytest.approx(scores["perplexity"])
