from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import tunesmith
from tests.interop.trainer.scripts import arguments, model_of, rows_of
from tunesmith.data.batches import Batch
from tunesmith.interop.trainer.predictions import Answers, collect, metrics_of
from tunesmith.tasks import Outputs


def batches(lengths: list[int], *, labeled: bool = True) -> list[Batch]:
    """Two rows each, of so many tokens."""
    made = []
    for i, length in enumerate(lengths):
        ids = torch.full((2, length), i)
        labels = torch.full((2, length), i) if labeled else None
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
    answers = gathered(batches([2, 3]), keeps_inputs=True)
    assert answers.predictions.tolist() == [[0, 0, -100]] * 2 + [[1, 1, 1]] * 2
    assert answers.labels.tolist() == answers.predictions.tolist() == answers.inputs.tolist()
    assert answers.losses.tolist() == [0, 0, 1, 1]
    assert answers.count == 4


def test_what_is_not_asked_for_is_not_kept() -> None:
    heard: list[None] = []
    answers = gathered(
        batches([2, 2]), keeps_predictions=False, after_batch=lambda: heard.append(None)
    )
    assert answers.predictions is None and answers.inputs is None and len(heard) == 2
    both = gathered(batches([2]), ignored=())
    assert isinstance(both.predictions, tuple) and len(both.predictions) == 2
    less = gathered(batches([2, 2]), reduce=lambda answers, labels: answers[:, 0] + labels[:, 0])
    assert less.predictions.tolist() == [0, 0, 2, 2]


def test_rows_without_labels_have_no_loss() -> None:
    answers = gathered(batches([2], labeled=False))
    assert answers.losses is None and answers.labels is None
    assert metrics_of(answers, lambda _given: {"x": 1}, prefix="test", include=()) == {}


def test_a_batch_without_targets_has_a_loss_of_zero() -> None:
    nothing, some = batches([2, 2])
    answers = gathered([replace(nothing, num_targets=0), some])
    assert answers.losses.tolist() == [0, 0, 1, 1]
    assert metrics_of(answers, None, prefix="eval", include=())["eval_loss"] == 0.5


def test_several_labels_are_a_pair(tmp_path: Path) -> None:
    """And none where one of them is missing."""
    (some,) = batches([2], labeled=False)
    both = {"start": torch.tensor([1, 2]), "end": torch.tensor([3, 4])}
    labeled = replace(some, inputs={**some.inputs, **both})
    answers = gathered([labeled], label_names=("start", "end"))
    assert [part.tolist() for part in answers.labels] == [[1, 2], [3, 4]]
    del both["end"]
    assert gathered([replace(some, inputs={**some.inputs, **both})],
                    label_names=("start", "end")).labels is None  # fmt: skip
    assert gathered([some], label_names=()).labels is None


def test_half_precision_is_kept_as_single() -> None:
    """numpy knows no bfloat16; also in nests of tensors, and with what is no tensor."""

    def halves(batch: Batch) -> Outputs:
        half = torch.ones(2, 1, dtype=torch.bfloat16)
        per_example: Any = {"nest": (half, [half * 2]), "double": half.double()}
        return Outputs(None, per_example)

    answers = gathered(batches([2], labeled=False), ignored=())
    assert answers.predictions[0].dtype == np.float32
    nest, double = collect(
        halves, batches([2], labeled=False), label_names=("labels",), ignored=(),
        keeps_predictions=True, keeps_inputs=False, reduce=None, after_batch=lambda: None,
    ).predictions  # fmt: skip
    assert nest[0].dtype == np.float32 and nest[0].tolist() == [[1.0], [1.0]]
    assert nest[1][0].tolist() == [[2.0], [2.0]] and double.dtype == np.float64


def test_losses_that_are_not_finite_are_left_out_if_requested() -> None:
    losses = np.array([1.0, np.nan, 3.0, np.inf], np.float32)
    answers = Answers(None, None, None, losses, 4)

    def loss(only_finite: bool, of: Any = answers) -> float:
        metrics = metrics_of(of, None, prefix="x", include=(), only_finite=only_finite)
        return float(metrics["x_loss"])

    assert loss(True) == 2.0 and np.isnan(loss(False))
    assert np.isnan(loss(True, replace(answers, losses=losses[1:2])))


@pytest.mark.parametrize("only_loss", [False, True])
def test_an_evaluation_is_that_of_transformers(tmp_path: Path, only_loss: bool) -> None:
    """With everything that metrics may be given, and callbacks hear of each batch."""
    results = []
    for library in (transformers, tunesmith):
        seen: list[Any] = []
        heard: list[None] = []

        class Hears(transformers.TrainerCallback):
            def on_prediction_step(
                self, *_given: Any, _heard: list[None] = heard, **_more: Any
            ) -> None:
                _heard.append(None)

        def compute(answers: Any, _seen: list[Any] = seen) -> dict[str, float]:
            _seen.extend((answers.predictions, answers.label_ids, answers.inputs, answers.losses))
            return {"mean": float(answers.predictions.mean())}

        trainer = library.Trainer(
            model_of(), arguments(library, tmp_path, include_for_metrics=["inputs", "loss"],
                                  prediction_loss_only=only_loss),
            eval_dataset=rows_of(9), compute_metrics=compute, callbacks=[Hears()],
            preprocess_logits_for_metrics=lambda logits, labels: logits[:, 0] + labels,
        )  # fmt: skip
        metrics = trainer.evaluate(metric_key_prefix="seen")
        names = {"seen_loss", "seen_mean"} & metrics.keys()
        results.append(([metrics[name] for name in sorted(names)], seen, len(heard)))
    (theirs, expected, count), (ours, actual, heard_count) = results
    assert ours == pytest.approx(theirs, rel=1e-5) and count == heard_count == 2
    assert len(actual) == len(expected) == (0 if only_loss else 4)
    for one, two in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("include", [(), ("inputs", "loss")])
def test_metrics_are_named_with_the_prefix(include: tuple[str, ...]) -> None:
    def compute(prediction: Any) -> dict[str, Any]:
        logits, labels = (prediction.predictions, prediction.label_ids)
        assert (prediction.inputs is not None) == (prediction.losses is not None) == bool(include)
        return {"same": np.mean(logits == labels), "eval_named": 2}

    answers = gathered(batches([2, 2]), keeps_inputs=True)
    metrics = metrics_of(answers, compute, prefix="eval", include=include)
    assert metrics == {"eval_loss": 0.5, "eval_same": 1.0, "eval_named": 2}
    assert type(metrics["eval_same"]) is float
