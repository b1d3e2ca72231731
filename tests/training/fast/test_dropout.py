from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tunesmith.training.fast.dropout import drop, keep, patch_dropout

KINDS = [torch.float32, torch.bfloat16, torch.float16]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [0.02, 0.1, 0.25, 0.5, 0.9])
def test_the_rate_is_kept_in_every_lane(rate: float, kind: torch.dtype) -> None:
    """Four elements share a number; none of the four may be dropped more often."""
    torch.manual_seed(3)
    retained = keep((40_000, 4), rate, torch.empty((), dtype=kind))[0] > 0
    share = 1 - retained.double().mean(dim=0)
    assert torch.allclose(share, torch.full((4,), rate, dtype=torch.float64), atol=0.012)


def test_lanes_do_not_hang_together() -> None:
    torch.manual_seed(4)
    retained = (keep((100_000, 4), 0.5, torch.empty(()))[0] > 0).double()
    correlation = torch.corrcoef(retained.T) - torch.eye(4, dtype=torch.float64)
    assert correlation.abs().max() < 0.02
    neighbors = torch.corrcoef(torch.stack([retained[:-1].flatten(), retained[1:].flatten()]))
    assert neighbors[0, 1].abs() < 0.02


@given(st.integers(1, 50), st.floats(0.01, 0.95))
def test_what_stays_is_scaled(count: int, rate: float) -> None:
    values = torch.ones(count, requires_grad=True)
    torch.manual_seed(0)
    dropped = drop(values, rate)
    dropped.sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad, dropped.detach())  # the same mask backward
    actual = set(dropped.detach().tolist())
    assert actual <= {0.0, torch.tensor(1 / (1 - rate)).item()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_the_mean_is_unchanged_there_and_back(rate: float, kind: torch.dtype) -> None:
    """To a few thousandths in 16 bits too, where a value that stays is rounded once."""
    torch.manual_seed(5)
    values = torch.ones(400_000, dtype=kind, requires_grad=True)
    dropped = drop(values, rate)
    dropped.sum().backward()
    assert values.grad is not None
    for result in (dropped.detach(), values.grad):
        assert result.double().mean().item() == pytest.approx(1.0, abs=0.006)
    same = drop(values, 0.0)
    assert same is values


def test_it_is_torchs_own_generator() -> None:
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(drop(torch.ones(64), 0.5))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_layers_are_patched_one_by_one_and_only_plain_ones() -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.0), nn.Dropout1d(0.5), nn.AlphaDropout(0.5))
    other = nn.Dropout(0.5)
    patched = patch_dropout(model)
    assert patched == [model[0], model[1]]
    assert "forward" not in vars(other)
    values = torch.ones(1, 400)
    model.eval()
    assert torch.equal(model[0](values), values)
    model.train()
    assert 120 < (model[0](values) == 0).sum() < 280
    assert torch.equal(model[1](values), values)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [1e-9, 0.1, 0.3, 0.999999])
def test_what_stays_is_not_rounded(rate: float, kind: torch.dtype) -> None:
    """1 / (1 - rate) in 16 bits would be wrong in the mean; products are in float32."""
    retained, lift = keep((50_000,), rate, torch.empty((), dtype=kind))
    actual = set((retained.double().unique() * lift).tolist())
    expected = torch.tensor(1 / (1 - rate)).item() if lift == 1.0 else 1 / (1 - rate)
    assert retained.dtype == kind and actual <= {0.0, expected}


def test_a_pass_that_is_made_again_drops_the_same() -> None:
    """As gradient checkpointing does it: torch's generator is set back."""
    state = torch.get_rng_state()
    first = drop(torch.ones(64), 0.5)
    torch.set_rng_state(state)
    assert torch.equal(drop(torch.ones(64), 0.5), first)


def test_half_precision_stays_half() -> None:
    assert drop(torch.ones(8, dtype=torch.bfloat16), 0.5).dtype == torch.bfloat16
