from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForTokenClassification,
)
from transformers.trainer_pt_utils import LabelSmoother

from tunesmith.data.batches import IGNORED, Batch, count_targets
from tunesmith.interop.trainer.losses import (
    OwnLoss,
    flops_per_place,
    known_head,
    mean_loss,
    no_predictions,
    shifts_labels,
)

MakeModel = Callable[..., Any]


def batch(labels: torch.Tensor | None, **more: torch.Tensor) -> Batch:
    ids = torch.tensor([[2, 8, 9, 3], [2, 7, 3, 0]])
    inputs = {"input_ids": ids, "attention_mask": (ids > 0).long(), **more}
    targets = 2 if labels is None else count_targets(labels)
    return Batch(inputs, labels, targets, 7, np.arange(2))


KINDS: list[tuple[dict[str, Any], torch.Tensor]] = [
    ({"num_labels": 3}, torch.tensor([2, 0])),
    ({"num_labels": 1}, torch.tensor([0.5, -1.0])),
    ({"num_labels": 3}, torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])),
    ({"num_labels": 2, "problem_type": "regression"}, torch.tensor([[1.0, 0.5], [0.0, 2.0]])),
]


@pytest.mark.parametrize(("settings", "labels"), KINDS)
def test_the_sum_of_a_known_head_is_the_models_mean_times_its_targets(
    make_model: MakeModel, settings: dict[str, Any], labels: torch.Tensor
) -> None:
    model, some = make_model(**settings).eval(), batch(labels)
    head = known_head(model, some, 0.0)
    assert head is not None
    result = head(model, some)
    own = model(**some.inputs, labels=labels)
    assert result.loss_sum is not None
    torch.testing.assert_close(result.loss_sum / some.num_targets, own.loss)
    assert torch.equal(result.per_example["logits"], own.logits)
    assert head.is_of_classes == (labels.dtype == torch.long)
    assert head(model, batch(None)).loss_sum is None


def test_tokens_count_each_for_itself(make_model: MakeModel) -> None:
    model = make_model(AutoModelForTokenClassification, num_labels=3).eval()
    some = batch(torch.tensor([[IGNORED, 1, 2, IGNORED], [0, IGNORED, IGNORED, IGNORED]]))
    head = known_head(model, some, 0.0)
    assert head is not None and head.is_of_classes and some.num_targets == 3
    loss_sum = head(model, some).loss_sum
    assert loss_sum is not None
    torch.testing.assert_close(loss_sum / 3, model(**some.inputs, labels=some.labels).loss)


def test_a_head_whose_loss_is_another_is_not_known(make_model: MakeModel) -> None:
    model = make_model(num_labels=2)
    forward = model.forward

    def doubled(*args: Any, **more: Any) -> Any:
        outputs = forward(*args, **more)
        outputs["loss"] = outputs["loss"] * 2
        return outputs

    labels = torch.tensor([1, 0])
    assert known_head(model, batch(labels), 0.0) is not None
    model.forward = doubled
    assert known_head(model, batch(labels), 0.0) is None
    assert known_head(make_model(AutoModelForMaskedLM), batch(labels), 0.0) is None
    assert known_head(nn.Linear(1, 1), batch(labels), 0.0) is None


def test_the_loss_of_its_own_is_a_mean_times_targets(make_model: MakeModel) -> None:
    seen: list[int] = []

    def compute(model: Any, inputs: Any, targets: int) -> tuple[torch.Tensor, Any]:
        seen.append(targets)
        outputs = model(**inputs)
        return outputs["loss"], outputs

    model, labels = make_model(num_labels=3).eval(), torch.tensor([2, 0])
    result = OwnLoss(compute, ("labels",))(model, batch(labels))
    outputs = model(**batch(labels).inputs, labels=labels)
    assert result.loss_sum is not None and seen == [2]
    torch.testing.assert_close(result.loss_sum, outputs.loss * 2)
    assert torch.equal(result.per_example["logits"], outputs.logits)
    without = OwnLoss(compute, ("labels",))(model, batch(None))
    assert without.loss_sum is None and torch.equal(without.per_example["logits"], outputs.logits)


def test_a_mean_over_no_targets_adds_nothing(make_model: MakeModel) -> None:
    """It is not a number, and would make the gradients of a whole step none."""

    def compute(model: Any, inputs: Any, _targets: int) -> tuple[torch.Tensor, Any]:
        outputs = model(**inputs)
        return outputs["loss"], outputs

    model = make_model(AutoModelForTokenClassification, num_labels=3)
    result = OwnLoss(compute, ("labels",))(model, batch(torch.full((2, 4), IGNORED)))
    assert result.loss_sum is not None and result.loss_sum.item() == 0
    result.loss_sum.backward()
    assert not model.classifier.weight.grad.any()


def test_models_with_several_labels(make_model: MakeModel) -> None:
    model = make_model(AutoModelForQuestionAnswering).eval()
    where = {"start_positions": torch.tensor([1, 1]), "end_positions": torch.tensor([2, 1])}
    names = ("start_positions", "end_positions")

    def compute(model: Any, inputs: Any, _targets: int) -> tuple[torch.Tensor, Any]:
        outputs = model(**inputs)
        return outputs["loss"], outputs

    result = OwnLoss(compute, names)(model, batch(None, **where))
    assert result.loss_sum is not None
    assert list(result.per_example) == ["start_logits", "end_logits"]
    assert OwnLoss(compute, names)(model, batch(None)).loss_sum is None


@pytest.mark.parametrize("returns_loss", [False, True])
def test_a_model_without_labels(returns_loss: bool) -> None:
    """It must have a loss to be trained; in evaluation it may have one."""

    class Twice(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x.mean(), x * 2

    rows = torch.ones(2, 3, requires_grad=True)
    some = Batch({"x": rows}, None, 2, 0, np.arange(2))
    own = OwnLoss(lambda model, inputs, _targets: (model(**inputs)[0], model(**inputs)), (),
                  returns_loss)  # fmt: skip
    trained = own(Twice(), some)
    assert trained.loss_sum is not None and trained.loss_sum.item() == 2
    assert list(trained.per_example) == ["0"] and torch.equal(trained.per_example["0"], rows * 2)
    with torch.no_grad():
        result = own(Twice(), some)
    assert (result.loss_sum is not None) == returns_loss
    assert list(result.per_example) == (["0"] if returns_loss else ["0", "1"])


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("shifts", [False, True])
def test_the_mean_loss_of_a_model(make_model: MakeModel, smoothing: float, shifts: bool) -> None:
    """Its own, or smoothed as transformers smooths it."""
    model = make_model(AutoModelForTokenClassification, num_labels=3).eval()
    labels = torch.tensor([[IGNORED, 1, 2, 0], [0, 1, IGNORED, IGNORED]])
    inputs = {**batch(labels).inputs, "labels": labels}
    loss, outputs = mean_loss(model, inputs, smoothing=smoothing, shifts=shifts)
    plain = model(**inputs)
    smooth = LabelSmoother(epsilon=smoothing)
    expected = smooth(plain, labels, shift_labels=shifts) if smoothing else plain.loss
    torch.testing.assert_close(loss, expected)
    assert torch.equal(outputs["logits"], plain.logits) and inputs["labels"] is labels
    pairs = nn.Identity()
    pairs.forward = lambda **_given: (torch.tensor(3.0), "rest")  # type: ignore[assignment]
    assert mean_loss(pairs, {}, smoothing=smoothing, shifts=False)[0] == 3.0


def test_a_model_that_returns_no_loss_is_reported(make_model: MakeModel) -> None:
    with pytest.raises(
        ValueError, match=r"R198 Trainer: .*only logits\n  the batch holds input_ids"
    ):
        mean_loss(make_model(), dict(batch(None).inputs), smoothing=0.1, shifts=False)


def test_facts_of_models(make_model: MakeModel) -> None:
    model = make_model()
    model.config.keys_to_ignore_at_inference = ["mems"]
    assert no_predictions(model) == ["mems"]
    assert no_predictions(nn.Linear(1, 1)) == ["past_key_values"]
    assert not shifts_labels(model) and not shifts_labels(nn.Linear(1, 1))
    assert flops_per_place(model) == 6 * model.num_parameters(exclude_embeddings=True)
    assert flops_per_place(nn.Linear(1, 1)) == 0
