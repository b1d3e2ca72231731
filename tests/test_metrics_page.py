"""The page of metrics says of every score what the code computes."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from docs.generate import metrics as page

from tunesmith.metrics.scores import METRICS
from tunesmith.tasks import TASKS, task_named

Floats = np.ndarray[Any, Any]
RANDOM = np.random.default_rng(3)
TRUTH, ANSWERS = RANDOM.integers(0, 3, 40), RANDOM.integers(0, 4, 40)
SETS, GUESSES = RANDOM.integers(0, 2, (30, 4)), RANDOM.integers(0, 2, (30, 4))
NUMBERS, ESTIMATES = RANDOM.normal(size=25), RANDOM.normal(size=25).round(1)


def counts(predicted: Floats, truth: Floats) -> list[tuple[int, int, int]]:
    """TP, FP and FN of each class or label, as the page defines them."""
    if truth.ndim == 1:
        classes = sorted({*truth.tolist(), *predicted.tolist()})
        pairs = [(predicted == c, truth == c) for c in classes]
    else:
        pairs = [(predicted[:, c] == 1, truth[:, c] == 1) for c in range(truth.shape[1])]
    return [(int((p & t).sum()), int((p & ~t).sum()), int((~p & t).sum())) for p, t in pairs]


def fraction(above: float, below: float) -> float:
    return above / below if below else 0.0


def part(name: str, tp: int, fp: int, fn: int) -> float:
    if name == "f1":
        return fraction(2 * tp, 2 * tp + fp + fn)
    return fraction(tp, tp + (fp if name == "precision" else fn))


def averaged(name: str, average: str, predicted: Floats, truth: Floats) -> float:
    each = counts(predicted, truth)
    if average == "micro":
        return part(name, *(sum(column) for column in zip(*each, strict=True)))
    weights = [1 if average == "macro" else tp + fn for tp, _fp, fn in each]
    values = [part(name, *one) for one in each]
    return sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)


def matthews(predicted: Floats, truth: Floats) -> float:
    n, each = len(truth), counts(predicted, truth)
    above = n * sum(tp for tp, _fp, _fn in each) - sum((a + b) * (a + c) for a, b, c in each)
    claimed = n**2 - sum((tp + fp) ** 2 for tp, fp, _fn in each)
    real = n**2 - sum((tp + fn) ** 2 for tp, _fp, fn in each)
    return above / math.sqrt(claimed * real)


def pearson(one: Floats, two: Floats) -> float:
    one, two = one - one.mean(), two - two.mean()
    return float((one * two).sum() / math.sqrt((one**2).sum() * (two**2).sum()))


def ranks(values: Floats) -> Floats:
    return np.array([(values < v).sum() + ((values == v).sum() + 1) / 2 for v in values])


FORMULAS: dict[str, Callable[[Floats, Floats], float]] = {
    "accuracy": lambda p, t: float((p == t).reshape(len(t), -1).all(axis=1).mean()),
    **{
        f"{name}_{average}": partial(averaged, name, average)
        for name, average in (
            ("f1", "macro"), ("f1", "micro"), ("f1", "weighted"), ("precision", "macro"),
            ("precision", "micro"), ("recall", "macro"), ("recall", "micro"),
        )
    },
    **{
        name: lambda p, t, name=name: part(name, *counts(1 * (p == 1), 1 * (t == 1))[1])
        for name in ("f1", "precision", "recall")
    },
    "matthews_correlation": matthews,
    "pearson": pearson,
    "spearman": lambda p, t: pearson(ranks(p), ranks(t)),
    "mean_squared_error": lambda p, t: float(((p - t) ** 2).mean()),
}  # fmt: skip
"""The formulas of the page, written out."""

DATA = {"classes": (ANSWERS, TRUTH), "labels": (GUESSES, SETS), "numbers": (ESTIMATES, NUMBERS)}


def test_every_score_is_on_the_page() -> None:
    """A new score needs an entry of `DESCRIBED` in docs/generate/metrics.py."""
    reported = {*METRICS, "loss"} | {name for task in TASKS for name in task_named(task).metrics}
    assert reported == {*page.DESCRIBED}


def test_every_entry_is_whole() -> None:
    for name, described in page.DESCRIBED.items():
        assert described.formula and described.span, name
        assert described.interval in page.INTERVALS, name
        for text in (described.text, described.undefined):
            assert text.english and text.chinese and text.english != text.chinese, name
        assert bool(described.reference) == (name in METRICS), name


@pytest.mark.parametrize("name", FORMULAS)
def test_formulas_and_references_give_the_number(name: str) -> None:
    module, _dot, function = page.DESCRIBED[name].reference.rpartition(".")
    reference = getattr(importlib.import_module(module), function)
    for kind in METRICS[name].kinds:
        predicted, truth = DATA[kind]
        value = METRICS[name].function(predicted, truth, 1)
        assert FORMULAS[name](predicted, truth) == pytest.approx(value), kind
        if module == "scipy.stats":
            assert reference(predicted, truth).statistic == pytest.approx(value)
            continue
        options: dict[str, object] = {}
        if name in ("f1", "precision", "recall"):
            predicted, truth = predicted == 1, truth == 1
        elif "_" in name and name.split("_", maxsplit=1)[0] in ("f1", "precision", "recall"):
            options = {"average": name.split("_")[1], "zero_division": 0.0}
        assert reference(truth, predicted, **options) == pytest.approx(value), kind


def test_formulas_cover_the_registry() -> None:
    assert {*FORMULAS} == {*METRICS}


def test_edge_cases_are_as_the_page_says() -> None:
    ones, mixed = np.ones(4, dtype=int), np.array([0, 0, 2, 2])
    for name in ("f1", "precision", "recall"):
        assert METRICS[name].function(mixed, mixed, 1) == 0.0
    assert METRICS["matthews_correlation"].function(ones, mixed, 1) == 0.0
    assert METRICS["f1_macro"].function(np.array([0, 0]), np.array([0, 3]), 1) == pytest.approx(
        1 / 3
    )
    for name in ("pearson", "spearman"):
        with pytest.warns():
            assert math.isnan(METRICS[name].function(np.ones(3), np.arange(3.0), 0))
        assert math.isnan(METRICS[name].function(np.ones(1), np.ones(1), 0))
