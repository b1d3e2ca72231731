from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tunesmith.errors import RecipeError
from tunesmith.metrics.scores import Scores
from tunesmith.runs.custom_metrics import with_own
from tunesmith.training.early_stopping import ModelSelection
from tunesmith.training.progress import Progress

THEIRS = Scores({"f1": 0.5}, {"f1": True})
LOGITS = np.array([[1.0, 2.0], [3.0, 0.0]], dtype=np.float32)


def computed(compute: Callable[[Any], Any], name: str = "logits") -> Scores:
    return with_own(THEIRS, compute, {name: LOGITS}, np.array([1, 1]))


def test_they_stand_before_the_others() -> None:
    scores = computed(lambda pair: {"hits": (pair[0].argmax(-1) == pair[1]).mean()})
    assert list(scores.values.items()) == [("hits", 0.5), ("f1", 0.5)]
    assert scores.higher_is_better == {"hits": None, "f1": True}


def test_a_score_of_the_task_found_otherwise_is_an_error() -> None:
    """The function of the course returns accuracy and F1, as they are computed here, too."""
    assert computed(lambda _pair: {"mine": 1.0, "f1": 0.5000001}).values == {"mine": 1.0, "f1": 0.5}
    with pytest.raises(RecipeError, match=r'R172: compute_metrics finds other values for "f1"'):
        computed(lambda _pair: {"mine": 1.0, "f1": 9.0})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_none_and_never_the_best(value: float) -> None:
    scores = computed(lambda _pair: {"mine": np.float32(value)})
    assert scores["mine"] is None
    selection, progress = ModelSelection("mine", higher=value > 0), Progress(step=1)
    assert not progress.record(scores, selection)
    progress.step = 2
    assert progress.record(computed(lambda _pair: {"mine": 0.0}), selection)
    progress.step = 3
    assert not progress.record(scores, selection)
    assert (progress.best_step, progress.best_value) == (2, 0.0)


def failing(_pair: object) -> dict[str, float]:
    raise KeyError("f2")


@pytest.mark.parametrize(
    ("compute", "said"),
    [
        (failing, "compute_metrics failed: KeyError: 'f2'"),
        (lambda _pair: 0.5, "AttributeError"),
        (lambda _pair: {"mine": "high"}, "ValueError"),
    ],
)
def test_problems_of_custom_code_are_reported(compute: Callable[[Any], Any], said: str) -> None:
    with pytest.raises(RecipeError, match="R170") as caught:
        computed(compute)
    assert said in str(caught.value)


def test_a_task_without_logits() -> None:
    with pytest.raises(RecipeError, match="R116"):
        computed(lambda _pair: {}, name="nats")
