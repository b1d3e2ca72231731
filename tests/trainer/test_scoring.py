from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tunesmith.batching import Batch
from tunesmith.tasks import Outputs
from tunesmith.trainer.scoring import Answers, collect, metrics_of


def batches(lengths: list[int], *, labelled: bool = True) -> list[Batch]:
    """Two rows each, of so many tokens."""
    made = []
    for i, length in enumerate(lengths):
        ids = torch.full((2, length), i)
        labels = torch.full((2, length), i) if labelled else None
        made.append(Batch({"input_ids": ids}, labels, 2 * length, 2 * length, np.arange(2)))
    return made


def outputs(batch: Batch) -> Outputs:
    ids = batch.inputs["input_ids"].float()
    return Outputs(ids.sum() if batch.labels is not None else None, {"logits": ids, "past": ids})


def gathered(some: list[Batch], **more: Any) -> Answers:
    usual = {
        "label_names": ("labels",), "ignored": ["past"], "keeps_predictions": True,
        "keeps_inputs": False, "reduce": None, "after_batch": lambda: None,
    }  # fmt: skip
    return collect(outputs, some, **{**usual, **more})


def test_answers_of_different_lengths_are_filled_up() -> None:
    found = gathered(batches([2, 3]), keeps_inputs=True)
    assert found.predictions.tolist() == [[0, 0, -100]] * 2 + [[1, 1, 1]] * 2
    assert found.labels.tolist() == found.predictions.tolist() == found.inputs.tolist()
    assert found.losses.tolist() == [0, 0, 1, 1]
    assert found.count == 4


def test_what_is_not_asked_for_is_not_kept() -> None:
    heard: list[None] = []
    found = gathered(
        batches([2, 2]), keeps_predictions=False, after_batch=lambda: heard.append(None)
    )
    assert found.predictions is None and found.inputs is None and len(heard) == 2
    both = gathered(batches([2]), ignored=())
    assert isinstance(both.predictions, tuple) and len(both.predictions) == 2
    less = gathered(batches([2, 2]), reduce=lambda answers, labels: answers[:, 0] + labels[:, 0])
    assert less.predictions.tolist() == [0, 0, 2, 2]


def test_rows_without_labels_have_no_loss() -> None:
    found = gathered(batches([2], labelled=False))
    assert found.losses is None and found.labels is None
    assert metrics_of(found, lambda _given: {"x": 1}, prefix="test", wanted=()) == {}


def test_a_batch_without_targets_has_a_loss_of_zero() -> None:
    nothing, some = batches([2, 2])
    found = gathered([replace(nothing, num_targets=0), some])
    assert found.losses.tolist() == [0, 0, 1, 1]
    assert metrics_of(found, None, prefix="eval", wanted=())["eval_loss"] == 0.5


@pytest.mark.parametrize("wanted", [(), ("inputs", "loss")])
def test_metrics_are_named_with_the_prefix(wanted: tuple[str, ...]) -> None:
    def compute(given: Any) -> dict[str, Any]:
        logits, labels = (given.predictions, given.label_ids)
        assert (given.inputs is not None) == (given.losses is not None) == bool(wanted)
        return {"same": np.mean(logits == labels), "eval_named": 2}

    answers = gathered(batches([2, 2]), keeps_inputs=True)
    found = metrics_of(answers, compute, prefix="eval", wanted=wanted)
    assert found == {"eval_loss": 0.5, "eval_same": 1.0, "eval_named": 2}
    assert type(found["eval_same"]) is float
