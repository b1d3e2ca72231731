from __future__ import annotations

from typing import Any

import numpy as np

from tests.metrics.logits import ONE, SEVERAL
from tunesmith.metrics.concrete_kinds import FreeText, Number
from tunesmith.metrics.output_kinds import OutputKind

NUMBER = Number(("stars",))


def texts(labels: list[Any], scores: list[float]) -> list[Any]:
    return [{"label": a, "score": b} for a, b in zip(labels, scores, strict=True)]


def test_a_kind_says_what_it_is() -> None:
    kinds: list[OutputKind] = [ONE, SEVERAL, NUMBER, FreeText()]
    assert [kind.name for kind in kinds] == ["classes", "labels", "numbers", "text"]
    assert [kind.column_type for kind in kinds] == ["text", "list", "number", "text"]
    assert [kind.label_kind is kind for kind in kinds] == [True, True, False, False]
    assert [kind.raw_kind is kind for kind in kinds] == [True, True, True, False]
    assert [kind.labels for kind in kinds] == [tuple("abc"), tuple("abc"), (), ()]
    assert [kind.has_probability for kind in kinds] == [True, False, False, True]


def test_text_is_compared_as_it_is() -> None:
    """What serves every kind: right or wrong, and the surest wrong answer first."""
    kind, truth = FreeText(), np.array(["Paris", "Rome", "Oslo", "Bern"], dtype=object)
    answers = kind.recorded(
        texts(["Paris", "Milan", "Bergen", "Bern"], [0.9, 0.6, 0.8, 0.2]), truth
    )
    right = kind.is_right(answers)
    assert right is not None and right.tolist() == [True, False, False, True]
    assert np.argsort(-kind.row_losses(answers)).tolist() == [2, 3, 1, 0]
    assert kind.format(truth[0]) == "Paris"
    assert kind.suspects(answers) is None and kind.confusion_matrix(answers) is None
    assert list(kind.confusions(answers)) == [] and kind.truth_probabilities(answers) is None
    lists = kind.recorded(texts([["a"], ["b"]], [float("nan")] * 2), np.array(["a", "b"], object))
    assert np.isfinite(kind.row_losses(lists)).all()
