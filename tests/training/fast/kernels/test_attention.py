from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.training.fast.kernels.attention import PaddedHeads
from tunesmith.training.fast.kernels.parallel import Dropout
from tunesmith.training.fast.packing import groups_of

KINDS = [torch.float32, torch.bfloat16]
LENGTHS = st.lists(st.integers(1, 90), min_size=1, max_size=9)


def heads_of(lengths: list[int], heads: int = 2) -> tuple[PaddedHeads, int]:
    ordered = np.sort(np.array(lengths, dtype=np.int64))[::-1].copy()
    return PaddedHeads(groups_of(ordered), heads), int(ordered.sum())


@pytest.mark.parametrize("kind", KINDS)
@given(lengths=LENGTHS, planes=st.sampled_from([1, 3]))
def test_rows_come_back_from_padded_heads(
    kind: torch.dtype, lengths: list[int], planes: int
) -> None:
    heads, tokens = heads_of(lengths)
    rows = torch.randn(tokens + 5, planes * 2 * 16).to(kind)
    places = heads.spread(rows, planes)
    back = heads.gather(places, tokens + 5)
    assert torch.equal(back[:tokens], rows[:tokens])
    assert not back[tokens:].any()
    assert float(places.float().abs().sum()) == pytest.approx(
        float(rows[:tokens].float().abs().sum()), rel=1e-4
    )


def test_padded_heads_are_the_tokens_of_each_sequence() -> None:
    heads, _tokens = heads_of([3, 2])
    rows = torch.arange(5 * 64, dtype=torch.float32).view(5, 64)
    ((plane,),) = heads.groups(heads.spread(rows.contiguous()[:, :32].contiguous(), 1))
    assert plane.shape == (4, 8, 16)
    assert torch.equal(plane[1, :3], rows[:3, 16:32])
    assert torch.equal(plane[2, :2], rows[3:, :16])
    assert not plane[2, 2:].any()


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20)
@given(lengths=LENGTHS, spread=st.sampled_from([1.0, 30.0, 300.0]))
def test_softmax_and_its_gradient_are_torchs(
    kind: torch.dtype, lengths: list[int], spread: float
) -> None:
    heads, _tokens = heads_of(lengths)
    scores = (torch.randn_like(heads.pairs(torch.empty(0))) * spread).to(kind)
    gradient = torch.randn_like(scores)
    shares, of_scores = scores.clone(), gradient.clone()
    assert heads.softmax(shares, Dropout()) is shares
    heads.softmax_backward(shares, of_scores, Dropout())
    ordered = sorted(lengths, reverse=True)
    close = {"rtol": 1e-4, "atol": 1e-6} if kind == torch.float32 else {"rtol": 1e-2, "atol": 1e-2}
    for mine, theirs, own, given_ in zip(
        *(heads.split(t) for t in (shares, scores, of_scores, gradient)), strict=True
    ):
        for i in range(len(mine)):
            length = ordered[0]
            real = mine[i].float().sum(dim=1) > 0.5
            length = int(real.sum())
            assert length in lengths
            block = theirs[i, :length, :length].float().requires_grad_()
            expected = block.softmax(-1)
            torch.testing.assert_close(mine[i, :length, :length].float(), expected, **close)
            assert not mine[i, :, length:].any()
            assert not mine[i, length:].any()
            expected.backward(given_[i, :length, :length].float())
            assert block.grad is not None
            torch.testing.assert_close(own[i, :length, :length].float(), block.grad, **close)
            assert not own[i, length:].any()
            assert not own[i, :, length:].any()
        ordered = ordered[len(mine) // 2 :]


def test_a_row_far_below_the_others_keeps_its_digits() -> None:
    heads, _tokens = heads_of([8])
    scores = torch.zeros(2, 8, 8)
    scores[:, 0] = 500.0
    scores[:, 3] = torch.linspace(-600, -599, 8)
    shares = scores.flatten().clone()
    heads.softmax(shares, Dropout())
    torch.testing.assert_close(shares.view(2, 8, 8), scores.softmax(-1))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_a_number_stays_so(kind: torch.dtype) -> None:
    heads, _tokens = heads_of([8], heads=1)
    shares = torch.zeros(64).to(kind)
    shares[9] = math.nan
    heads.softmax(shares, Dropout())
    assert shares.view(8, 8)[1].isnan().all()


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_the_same_backward(kind: torch.dtype) -> None:
    torch.manual_seed(2)
    heads, _tokens = heads_of([88, 80, 72, 72])
    scores = torch.randn_like(heads.pairs(torch.empty(0))).to(kind)
    dropout = Dropout.draw(0.25)
    retained = heads.softmax(scores, dropout)
    real = scores > 0
    assert float((retained[real] == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert torch.equal(retained[retained != 0], scores[retained != 0])
    gradient = torch.randn_like(scores)
    again = heads.softmax_backward(scores, gradient, dropout)
    assert torch.equal(again[real], retained[real])
