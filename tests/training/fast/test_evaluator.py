from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.runs.test_session import session
from tunesmith.runs.session import Session
from tunesmith.training.events import StepDone
from tunesmith.training.fast import inference_layer
from tunesmith.training.loop import train

needs_kernels = pytest.mark.skipif(
    not inference_layer.has_kernels(), reason="torch has no oneDNN here"
)


def steps_of(made: Session, count: int) -> list[float]:
    stream = train(
        made.engine,
        plan=made.job.plan,
        progress=made.progress,
        micro_batches=made.micro_batches,
    )
    events = (event for event in stream if isinstance(event, StepDone))
    return [next(events).loss for _step in range(count)]


@needs_kernels
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_evaluations_agree_with_the_engine_and_change_no_step(
    tickets: Path, tiny_bert: Path, tmp_path: Path, precision: str
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run", precision=precision)
    other = session(tickets, tiny_bert, tmp_path / "other", precision=precision)
    other.evaluator = None
    assert made.evaluator is not None
    for _turn in range(2):
        assert steps_of(made, 1) == steps_of(other, 1)
        evaluation, expected = made.predict("validation"), other.predict("validation")
        tolerance = 1e-5 if precision == "fp32" else 0.02
        np.testing.assert_allclose(
            evaluation.predictions["logits"], expected.predictions["logits"], atol=tolerance
        )
        assert evaluation.loss == pytest.approx(expected.loss, abs=tolerance)
        made.engine.set_training(True)
        other.engine.set_training(True)
    assert all(
        torch.equal(one, two)
        for one, two in zip(made.network.parameters(), other.network.parameters(), strict=True)
    )


@needs_kernels
def test_layers_that_compute_something_else_are_not_used(
    tickets: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = inference_layer._Layer._behind

    def wrong(layer: Any, rows: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        return right(layer, rows, attended * 1.5)

    monkeypatch.setattr(inference_layer._Layer, "_behind", wrong)
    made = session(tickets, tiny_bert, tmp_path / "run")
    assert made.evaluator is None
    assert made.evaluate().values


@pytest.mark.parametrize(
    "setting", ["train.engine=exact", "train.disable=[layers]", "train.disable=[packing]"]
)
def test_some_engines_evaluate_by_themselves(
    setting: str, tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    assert session(tickets, tiny_bert, tmp_path / "run", [setting]).evaluator is None
