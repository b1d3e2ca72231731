from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tunesmith.batching import Examples
from tunesmith.data.prepared import Encoded, hold_in_memory
from tunesmith.errors import RecipeError
from tunesmith.evaluate import Evaluation
from tunesmith.metrics import Scores
from tunesmith.run.own_scores import with_own

THEIRS = Scores({"f1": 0.5}, {"f1": True})
LOGITS = np.array([[1.0, 2.0], [3.0, 0.0]], dtype=np.float32)


def computed(compute: Callable[[Any], Any], name: str = "logits") -> Scores:
    count = np.arange(2)
    labelled = Encoded({}, {"labels": np.array([1, 1])}, count, count)
    evaluation = Evaluation({name: LOGITS}, 0.1, 2)
    return with_own(THEIRS, compute, evaluation, Examples(hold_in_memory(labelled)))


def test_they_stand_before_the_others_and_never_hide_one() -> None:
    scores = computed(lambda pair: {"hits": (pair[0].argmax(-1) == pair[1]).mean(), "f1": 9})
    assert list(scores.values.items()) == [("hits", 0.5), ("f1", 0.5)]
    assert scores.higher_is_better == {"hits": None, "f1": True}


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
def test_what_a_persons_code_does_is_told(compute: Callable[[Any], Any], said: str) -> None:
    with pytest.raises(RecipeError, match="R170") as caught:
        computed(compute)
    assert said in str(caught.value)


def test_a_task_without_logits() -> None:
    with pytest.raises(RecipeError, match="R116"):
        computed(lambda _pair: {}, name="nats")
