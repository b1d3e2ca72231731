from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tunesmith.errors import (
    Interrupted,
    Severity,
)
from tunesmith.inputs import resolve_inputs, validate_inputs
from tunesmith.recipe import gather
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.open_session import (
    open_session,
)
from tunesmith.runs.prepare import prepare_run
from tunesmith.runs.session import Session
from tunesmith.runs.signals import StopRequest
from tunesmith.training.device import make_accelerator
from tunesmith.training.memory import OneRowTooLarge
from tunesmith.training.predict import Evaluation


def session(
    tickets: Path, model: Path, run: Path, sets: Sequence[str] = (), *, precision: str = "fp32"
) -> Session:
    layers = gather(sets=[f"data.train={tickets}", f"model={model}", *sets], environment={})
    run.mkdir(exist_ok=True)
    return open_session(
        prepare_run(validate_inputs(resolve_inputs(layers))),
        RunFolder(run),
        make_accelerator(device="cpu", precision=precision),
        precision=precision,
        stop=StopRequest(),
    )


def test_bf16_is_near_fp32(tickets: Path, tiny_bert: Path, tmp_path: Path) -> None:
    losses = []
    for precision in ("fp32", "bf16"):
        made = session(tickets, tiny_bert, tmp_path / precision, precision=precision)
        ((_number, batch),) = made.micro_batches(0)
        made.engine.set_training(False)
        losses.append(made.engine.outputs(batch).loss_sum)
    assert losses[0] is not None
    exact, near = losses[0].item(), losses[1]
    assert near is not None
    assert near.dtype == torch.float32
    assert near.item() == pytest.approx(exact, rel=0.02)
    assert near.item() != exact


def test_custom_metrics_are_next_to_the_others(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    layers = gather(sets=[f"data.train={tickets}", f"model={tiny_bert}"], environment={})
    seen = []

    def compute(pair):  # type: ignore[no-untyped-def]
        logits, labels = pair
        seen.append((logits.shape, labels.shape))
        return {"mine": (logits.argmax(-1) == labels).mean()}

    (tmp_path / "run").mkdir()
    made = open_session(
        prepare_run(validate_inputs(resolve_inputs(layers)), custom_metrics=True),
        RunFolder(tmp_path / "run"),
        make_accelerator(device="cpu"),
        precision="fp32",
        stop=StopRequest(),
        compute_metrics=compute,
    )
    scores = made.evaluate()
    assert scores["mine"] == scores["accuracy"]
    assert seen == [((6, 2), (6,))]


def test_the_newest_evaluation_is_not_computed_again(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run")
    made.evaluate()
    again = made.predict("validation")
    retained = made.evaluated("validation", made.progress.step)
    assert retained is made.evaluated("validation", made.progress.step) is not again
    assert np.array_equal(retained.predictions["logits"], again.predictions["logits"])
    assert retained.loss == again.loss
    assert made.evaluated("validation", made.progress.step + 1) is not retained
    assert made.evaluated("train", made.progress.step) is not retained


def test_a_process_without_rows_of_a_step_keeps_in_step(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run")
    plan = replace(made.job.plan, num_processes=2, micro_batch_size=4)
    made.job = replace(made.job, plan=plan)
    last = plan.steps_per_epoch - 1
    assert len(plan.examples_at(last)) == 6
    made.accelerator = SimpleNamespace(process_index=1)  # type: ignore[assignment]
    ((number, batch),) = made.micro_batches(last)
    assert (number, batch.is_dummy) == (1, False)
    assert batch.examples.tolist() == plan.examples_at(last)[4:].tolist()
    made.job = replace(made.job, plan=replace(plan, micro_batch_size=8))
    ((number, batch),) = made.micro_batches(last)
    assert (number, batch.is_dummy) == (3, True)  # a number that no batch that counts has
    assert batch.examples.tolist() == plan.examples_at(last)[:1].tolist()


def test_the_largest_batch_is_that_of_the_cut_in_force(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run")
    lengths = made.job.examples["train"].lengths
    for at_most in (None, 2):
        made.progress.micro_batch_size = at_most
        expected = made.job.plan.largest_micro_batch(
            lengths, at_most=at_most, padded=made.is_padded
        )
        assert made.largest_micro_batch().examples.tolist() == expected.tolist()
        assert len(expected) == (at_most or 8)


def test_a_stop_is_obeyed_between_batches_of_an_evaluation(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run", ["train.eval_batch_size=2"])
    assert len(made.predict("validation").predictions["logits"]) == 6
    made.stop.signal = 15
    with pytest.raises(Interrupted, match="stopped on request"):
        made.predict("validation")


def test_memory_that_halves_an_evaluation_is_reported_once(
    tickets: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run")
    made.take_warnings()
    before: list[int] = []

    def halved(*_arguments: Any, halvings: int, **_keywords: Any) -> Evaluation:
        before.append(halvings)
        return Evaluation({"logits": np.zeros((6, 2))}, None, 6, halvings=2)

    monkeypatch.setattr("tunesmith.runs.session.predict", halved)
    made.predict("validation")
    (problem,) = made.take_warnings()
    assert (problem.code, problem.severity) == ("M142", Severity.WARNING)
    assert "1/4 of their size" in problem.message
    made.predict("validation")
    assert (made.take_warnings(), before) == ([], [0, 2])

    def too_large(*_arguments: Any, **_keywords: Any) -> Evaluation:
        raise OneRowTooLarge(1, 99)

    monkeypatch.setattr("tunesmith.runs.session.predict", too_large)
    with pytest.raises(OneRowTooLarge, match="99 tokens") as caught:
        made.predict("validation")
    row = int(made.job.examples["validation"].rows[1])
    assert str(caught.value.place) == str(made.job.places_of("validation", [row])[0])
