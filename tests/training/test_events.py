from __future__ import annotations

import dataclasses

import pytest

from tunesmith.training.events import Evaluated, Finished, Saved, StepDone, Warned


@pytest.mark.parametrize("kind", [StepDone, Evaluated, Saved, Warned, Finished])
def test_events_are_frozen_and_say_their_step(kind: type) -> None:
    fields = {field.name for field in dataclasses.fields(kind)}
    assert "step" in fields
    assert kind.__doc__
    for name in fields:
        assert f"{name}:" in kind.__doc__, f"{kind.__name__}.{name} is not explained"
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
