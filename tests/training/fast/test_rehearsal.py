from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.training.fast.models import batch_of, classify, model_of
from tunesmith.training.fast.probe import ProbeResult, probe
from tunesmith.training.fast.ragged_attention import Kernels
from tunesmith.training.fast.rehearsal import rehearse

CPU = torch.device("cpu")


def test_without_kernels_there_is_nothing_to_try() -> None:
    network: Any = model_of("bert")
    verdict = probe(network, classify, batch_of(), CPU)
    assert verdict.kernels is None and verdict.without_kernels == ""
    assert rehearse(network, classify, batch_of(), CPU, verdict=verdict, half=False) == (
        verdict, (),
    )  # fmt: skip
    told = replace(verdict, without_kernels="off by 1")
    assert rehearse(network, classify, batch_of(), CPU, verdict=told, half=False)[1] == (
        "off by 1",
    )


@pytest.mark.parametrize("half", [False, True])
def test_kernels_that_are_not_there_are_told_and_the_model_is_as_before(half: bool) -> None:
    """On a CPU each call is refused, and groups compute."""
    network: Any = model_of("bert")
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    given = ProbeResult("first token", by_length=False, reason="", kernels=Kernels())
    verdict, reasons = rehearse(network, classify, batch_of(), CPU, verdict=given, half=half)
    assert verdict.kernels is not None and len(reasons) == 1
    assert all(torch.equal(p, before[name]) for name, p in network.named_parameters())
    assert all(p.grad is None for p in network.parameters())
    assert not any("forward" in vars(module) for module in network.modules())


def test_a_gradient_that_is_not_finite_speaks_against_them() -> None:
    network: Any = model_of("bert")
    with torch.no_grad():
        network.classifier.weight.fill_(float("inf"))
    given = ProbeResult("first token", by_length=False, reason="", kernels=Kernels())
    verdict, reasons = rehearse(network, classify, batch_of(), CPU, verdict=given, half=False)
    assert verdict.kernels is None and reasons == ("the gradient is not finite",)
