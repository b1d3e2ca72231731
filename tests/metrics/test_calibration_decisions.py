from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.metrics.logits import KINDS, ONE, SEVERAL, drawn
from tunesmith.metrics.calibration import Calibration
from tunesmith.metrics.concrete_kinds import LabelSet, SingleClass
from tunesmith.metrics.output_kinds import LabelKind

seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=seeds, temperature=st.floats(0.1, 10))
def test_a_temperature_alone_decides_as_the_model_does(
    kind: LabelKind, seed: int, temperature: float
) -> None:
    logits, _truth = drawn(kind, 10, seed=seed)
    decision, answered = Calibration(kind.name, temperature).decide(kind, logits)
    assert answered.all()
    if kind is SEVERAL:
        assert ((decision > 0) == (logits >= 0)).all()
    else:
        assert (decision.argmax(-1) == logits.argmax(-1)).all()
        assert ((decision > 0).sum(-1) == 1).all()


@given(seeds, st.floats(0.01, 0.99), st.floats(0.5, 3))
def test_one_of_two_classes_is_given_from_its_threshold_on(
    seed: int, threshold: float, temperature: float
) -> None:
    kind = SingleClass(("no", "yes"))
    logits, _truth = drawn(kind, 20, seed=seed)
    result = Calibration(
        "classes", temperature, "positive", {"no": 1 - threshold, "yes": threshold}
    )
    decision, answered = result.decide(kind, logits)
    shares = kind.probabilities(logits / temperature)
    assert answered.all()
    assert (decision.argmax(-1) == (shares[:, 1] >= threshold)).all()


@given(seeds, st.floats(0, 1))
def test_what_is_less_sure_is_not_answered(seed: int, threshold: float) -> None:
    logits, _truth = drawn(ONE, 20, seed=seed)
    result = Calibration("classes", 2.0).with_threshold(ONE, threshold)
    decision, answered = result.decide(ONE, logits)
    shares = ONE.probabilities(logits / 2)
    assert (answered == (shares.max(-1) >= threshold)).all()
    assert (decision.argmax(-1) == logits.argmax(-1)).all()


def test_a_threshold_that_is_just_reached_counts() -> None:
    """And decisions are one or minus one, whatever the rule."""
    half = Calibration("labels", 1.0, "each", {"a": 0.5, "b": 0.5})
    for result in (half, Calibration("labels")):
        decision, _answered = result.decide(LabelSet(("a", "b")), np.array([[0.0, -0.1]]))
        assert decision.tolist() == [[1.0, -1.0]]
    abstained = Calibration("classes", 1.0, "unsure", {"a": 0.5, "b": 0.5})
    decision, answered = abstained.decide(
        SingleClass(("a", "b")), np.array([[0.0, 0.0], [0.0, 1.0]])
    )
    assert decision.tolist() == [[1.0, -1.0], [-1.0, 1.0]]
    assert answered.tolist() == [True, True]


def test_each_label_has_its_own_threshold_and_none_is_never_given() -> None:
    result = Calibration("labels", 1.0, "each", {"a": 0.2, "b": 0.9, "c": None})
    decision, answered = result.decide(SEVERAL, np.array([[-1.0, 1.0, 30.0], [-2.0, 3.0, 0.0]]))
    assert (decision > 0).tolist() == [[True, False, False], [False, True, False]]
    assert answered.all()


def test_a_class_without_a_threshold_is_never_answered() -> None:
    result = Calibration("classes", 1.0, "unsure", {"a": 0.5, "b": None})
    _decision, answered = result.decide(
        SingleClass(("a", "b")), np.array([[9.0, 0.0], [0.0, 40.0]])
    )
    assert answered.tolist() == [True, False]


@pytest.mark.parametrize(
    "result",
    [
        Calibration("labels", 1.5),
        Calibration("classes", 0.7, "unsure", {"a": 0.5, "b": None}, "precision=0.9"),
    ],
)
def test_it_comes_back_from_json(result: Calibration) -> None:
    facts = json.loads(json.dumps({**result.as_json(), "rows": 7}))
    assert Calibration.from_json(facts) == result
