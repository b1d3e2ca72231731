"""Fused layers against the model's own code: outputs, gradients and, on average, dropout."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest
import torch
from torch import nn

from tests.training.fast.models import batch_of, classify
from tests.training.fast.test_encoder_layer import FAMILIES, wide
from tunesmith.training.fast.bf16_linear import HalfCopies
from tunesmith.training.fast.packed_model import Exit, PackedLayout
from tunesmith.training.fast.probe import probe

CPU = torch.device("cpu")
LENGTHS = (5, 33, 17, 9, 12, 40, 2)


def computed(
    model: Any,
    *,
    fuses: bool,
    exit_: Exit = "first token",
    half: bool = False,
    copies: bool = False,
    **batch: Any,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Logits, and the gradients of the summed loss."""
    model.zero_grad(set_to_none=True)
    with ExitStack() as stack:
        layout = PackedLayout(model, exit_, fuses=fuses)
        half_copies = HalfCopies(model) if copies else None
        layout.enter(stack)
        if half_copies is not None and layout.fused is not None:
            layout.fused.copies = half_copies.by_weight
        assert (layout.fused is not None) == fuses
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            outputs = layout.run(classify, batch_of(batch.pop("lengths", LENGTHS), **batch), CPU)
        assert outputs.loss_sum is not None
        torch.autograd.backward([outputs.loss_sum])
    gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    return next(iter(outputs.tensors().values())).detach().float(), gradients


def distance(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> float:
    """The largest difference of gradients, relative to their size and a part of the whole."""
    assert one.keys() == two.keys()
    whole = sum(float(g.norm()) ** 2 for g in one.values()) ** 0.5
    return max(
        float((g - two[name]).norm()) / (float(g.norm()) + 1e-3 * whole) for name, g in one.items()
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_the_probe_accepts_them(family: str) -> None:
    result = probe(wide(family), classify, batch_of(LENGTHS), CPU)
    assert result.fuses
    assert result.fuse_refusal == ""
    assert not probe(
        wide(family), classify, batch_of(LENGTHS), CPU, disabled=frozenset({"layers"})
    ).fuses


@pytest.mark.parametrize("exit_", ["first token, last layer cut", "first token", "padded"])
def test_outputs_and_gradients_are_those_of_the_model(exit_: Exit) -> None:
    model = wide("bert").eval()
    logits, gradients = computed(model, fuses=False, exit_=exit_)
    theirs, others = computed(model, fuses=True, exit_=exit_)
    torch.testing.assert_close(theirs, logits, rtol=1e-5, atol=1e-6)
    assert distance(gradients, others) < 1e-4


def test_heads_for_tokens_take_them_too() -> None:
    model = wide("bert", head="AutoModelForTokenClassification").eval()
    logits, gradients = computed(model, fuses=False, exit_="every token", per_token=True)
    theirs, others = computed(model, fuses=True, exit_="every token", per_token=True)
    torch.testing.assert_close(theirs, logits, rtol=1e-5, atol=1e-6)
    assert distance(gradients, others) < 1e-4


@pytest.mark.parametrize("copies", [False, True])
def test_in_bfloat16_they_are_as_near_as_autocast(copies: bool) -> None:
    model = wide("bert", hidden_size=64, intermediate_size=128).eval()
    exact = computed(model, fuses=False)
    autocast = computed(model, fuses=False, half=True)
    fused = computed(model, fuses=True, half=True, copies=copies)
    own = float((autocast[0] - exact[0]).abs().max())
    assert float((fused[0] - exact[0]).abs().max()) < 3 * own + 1e-3
    assert distance(exact[1], fused[1]) < 2 * distance(exact[1], autocast[1]) + 1e-3


def test_dropout_is_the_same_backward_as_forward() -> None:
    """The gradient in a direction is the slope, with what is dropped held."""
    model = wide("bert", hidden_dropout_prob=0.4, attention_probs_dropout_prob=0.4).train()
    weight = model.bert.encoder.layer[0].attention.self.value.weight

    def loss(shift: float) -> float:
        with torch.no_grad():
            weight.add_(direction, alpha=shift)
            value = float(losses(model))
            weight.add_(direction, alpha=-shift)
        return value

    torch.manual_seed(5)
    _logits, gradients = computed(model, fuses=True)
    gradient = gradients["bert.encoder.layer.0.attention.self.value.weight"]
    direction = gradient / gradient.norm()
    slope = (loss(2e-2) - loss(-2e-2)) / 4e-2
    assert slope == pytest.approx(float(gradient.norm()), rel=0.02)


def losses(model: nn.Module, *, seed: int = 5, fuses: bool = True) -> torch.Tensor:
    torch.manual_seed(seed)
    with ExitStack() as stack:
        layout = PackedLayout(model, "first token", fuses=fuses)
        layout.enter(stack)
        loss = layout.run(classify, batch_of(LENGTHS), CPU).loss_sum
    assert loss is not None
    return loss.detach()


def test_dropout_changes_with_the_seed_and_not_the_mean() -> None:
    model = wide("bert", initializer_range=0.3).train()
    drawn = torch.stack([losses(model, seed=seed) for seed in range(200)])
    again = losses(model, seed=3)
    assert torch.equal(again, drawn[3])
    assert drawn.unique().numel() > 190
    others = torch.stack([losses(model, seed=seed, fuses=False) for seed in range(200)])
    error = ((drawn.var() + others.var()) / 200) ** 0.5
    assert abs(float(drawn.mean() - others.mean())) < 4 * float(error)
    assert float(drawn.std() / others.std()) == pytest.approx(1, abs=0.25)


def test_frozen_weights_get_no_gradient() -> None:
    model = wide("bert").eval()
    layer = model.bert.encoder.layer[0]
    for parameter in (*layer.attention.parameters(), layer.output.dense.weight):
        parameter.requires_grad_(False)
    _logits, gradients = computed(model, fuses=False)
    _same, others = computed(model, fuses=True)
    assert distance(gradients, others) < 1e-4


def test_gradient_checkpointing_computes_the_same() -> None:
    model = wide("bert").train()
    torch.manual_seed(1)
    _logits, gradients = computed(model, fuses=True)
    older = model.gradient_checkpointing_enable
    getattr(model, "activation_checkpointing_enable", older)()
    torch.manual_seed(1)
    _same, others = computed(model, fuses=True)
    assert distance(gradients, others) < 1e-6


def test_layers_are_plain_again_behind() -> None:
    model = wide("bert").eval()
    before = classify(model, batch_of(LENGTHS)).per_example["logits"]
    computed(model, fuses=True)
    assert not any("forward" in vars(module) for module in model.modules())
    assert torch.equal(classify(model, batch_of(LENGTHS)).per_example["logits"], before)


def test_without_gradients_nothing_is_kept() -> None:
    model = wide("bert").eval()
    with ExitStack() as stack, torch.inference_mode():
        layout = PackedLayout(model, "first token", fuses=True)
        layout.enter(stack)
        fused = layout.run(classify, batch_of(LENGTHS), CPU).per_example["logits"]
    plain = classify(model, batch_of(LENGTHS)).per_example["logits"]
    torch.testing.assert_close(fused, plain.detach(), rtol=1e-5, atol=1e-6)
