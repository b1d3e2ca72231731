from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.training.fast.kernels.attention import Attention, Vectors
from tunesmith.training.fast.kernels.parallel import Dropout

KINDS = [torch.float32, torch.bfloat16]
LENGTHS = st.lists(st.integers(1, 150), min_size=1, max_size=7)
HEADS = 2


def vectors_of(lengths: list[int], width: int, kind: torch.dtype) -> torch.Tensor:
    """Random queries, keys and values, with two more tokens that belong to no sequence."""
    return torch.randn(sum(lengths) + 2, 3 * HEADS * width).to(kind)


def split(vectors: torch.Tensor) -> Vectors:
    return Vectors(*vectors.chunk(3, dim=1))


def backward(
    attention: Attention,
    gradient: torch.Tensor,
    vectors: torch.Tensor,
    probabilities: torch.Tensor,
    scale: float,
    dropout: Dropout,
) -> torch.Tensor:
    of_vectors = torch.zeros_like(vectors)
    attention.backward(gradient, split(vectors), probabilities, scale, dropout, split(of_vectors))
    return of_vectors


def expected(
    vectors: torch.Tensor, lengths: list[int], scale: float, factors: list[torch.Tensor] | None
) -> torch.Tensor:
    """Attention by torch's operators in float64; `factors` multiply a sequence's probabilities."""
    outputs = []
    for i, part in enumerate(vectors[: sum(lengths)].split(lengths)):
        query, key, value = part.view(len(part), 3, HEADS, -1).permute(1, 2, 0, 3)
        probabilities = torch.softmax(query @ key.transpose(1, 2) * scale, dim=-1)
        if factors is not None:
            probabilities = probabilities * factors[i]
        outputs.append((probabilities @ value).transpose(0, 1).flatten(1))
    return torch.cat(outputs)


def each_of(
    attention: Attention, probabilities: torch.Tensor, lengths: list[int]
) -> list[torch.Tensor]:
    """The probabilities of each sequence, (heads, length, length)."""
    sizes = [(-(-n // 8) * 8, -(-n // 16) * 16) for n in lengths]
    parts = probabilities.split([HEADS * rows * columns for rows, columns in sizes])
    return [
        part.view(HEADS, rows, columns)[:, :n, :n]
        for part, (rows, columns), n in zip(parts, sizes, lengths, strict=True)
    ]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25)
@given(lengths=LENGTHS, width=st.sampled_from([16, 32, 48, 64]), spread=st.sampled_from([0.5, 3.0]))
def test_outputs_and_gradients_are_torchs(
    kind: torch.dtype, lengths: list[int], width: int, spread: float
) -> None:
    vectors = vectors_of(lengths, width, kind) * spread
    gradient = torch.randn(len(vectors), HEADS * width).to(kind)
    attention = Attention(np.array(lengths), HEADS)
    scale = width**-0.5
    output, probabilities = attention.forward(split(vectors), scale, Dropout())
    of_vectors = backward(attention, gradient, vectors, probabilities, scale, Dropout())
    tokens = sum(lengths)
    exact = vectors.double().requires_grad_()
    theirs = expected(exact, lengths, scale, None)
    theirs.backward(gradient[:tokens].double())
    assert exact.grad is not None
    for mine, other in ((output, theirs.detach()), (of_vectors, exact.grad)):
        assert mine.dtype == kind
        assert not mine[tokens:].any()
        far = float((mine[:tokens].double() - other[:tokens]).abs().max())
        assert far < (2e-5 if kind == torch.float32 else 3e-2) * float(other.abs().max())


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_drops_shares_and_the_same_ones_backward(kind: torch.dtype) -> None:
    """With values that show each probability, and the gradient of what was dropped."""
    torch.manual_seed(2)
    lengths, width, rate = [96, 64, 33], 96, 0.25
    vectors = vectors_of(lengths, width, kind)
    for part in vectors[: sum(lengths)].split(lengths):
        values = part.view(len(part), 3, HEADS, width)[:, 2]
        values.copy_(torch.eye(width)[: len(part), None])
    dropout = Dropout.draw(rate)
    attention = Attention(np.array(lengths), HEADS)
    output, probabilities = attention.forward(split(vectors), 0.1, dropout)
    factors = []
    for part, own in zip(
        output[: sum(lengths)].split(lengths),
        each_of(attention, probabilities, lengths),
        strict=True,
    ):
        retained = part.view(len(part), HEADS, width).transpose(0, 1)[..., : len(part)].float()
        is_retained = retained != 0
        close = {"rtol": 1e-5, "atol": 0} if kind == torch.float32 else {"rtol": 1e-2, "atol": 0}
        torch.testing.assert_close(
            retained[is_retained], own.float()[is_retained] * dropout.lift, **close
        )
        factors.append(is_retained.double() * dropout.lift)
    dropped = 1 - torch.cat([each.flatten() for each in factors]).mean() / dropout.lift
    assert float(dropped) == pytest.approx(rate, abs=0.01)
    gradient = torch.randn(len(vectors), HEADS * width).to(kind)
    of_vectors = backward(attention, gradient, vectors, probabilities, 0.1, dropout)
    exact = vectors.double().requires_grad_()
    theirs = expected(exact, lengths, 0.1, factors)
    theirs.backward(gradient[: sum(lengths)].double())
    assert exact.grad is not None
    far = float((of_vectors.double() - exact.grad).abs().max())
    assert far < (2e-5 if kind == torch.float32 else 2e-2) * float(exact.grad.abs().max())


def test_a_query_far_below_the_others_keeps_its_digits() -> None:
    vectors = torch.zeros(8, 3 * HEADS * 16)
    parts = vectors.view(8, 3, HEADS, 16)
    parts[:, 0, :, 0] = torch.tensor([500.0, -600, 1, 0, 2, 3, 4, 5])[:, None]
    parts[:, 1, :, 0] = torch.linspace(0.5, 1, 8)[:, None]
    parts[:, 2] = torch.randn(8, HEADS, 16)
    output, _pairs = Attention(np.array([8]), HEADS).forward(split(vectors), 1.0, Dropout())
    theirs = expected(vectors.double(), [8], 1.0, None).float()
    torch.testing.assert_close(output, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_a_number_stays_in_its_head(kind: torch.dtype) -> None:
    vectors = vectors_of([9, 8], 16, kind)
    vectors[3, 0] = math.nan
    attention = Attention(np.array([9, 8]), HEADS)
    output, _pairs = attention.forward(split(vectors), 1.0, Dropout())
    is_nan = output.isnan().view(-1, HEADS, 16)
    assert is_nan[3, 0].all()
    assert not is_nan[9:].any()
    assert not is_nan[:, 1].any()


@pytest.mark.parametrize("kind", KINDS)
def test_neither_threads_nor_addresses_change_a_bit(kind: torch.dtype) -> None:
    lengths = [150, 40, 7]
    vectors = vectors_of(lengths, 32, kind)
    gradient = torch.randn(len(vectors), HEADS * 32).to(kind)
    attention, dropout = Attention(np.array(lengths), HEADS), Dropout.draw(0.1)
    results = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            moved = torch.empty(vectors.numel() + count, dtype=kind)[count:].view_as(vectors)
            moved.copy_(vectors)
            output, probabilities = attention.forward(split(moved), 0.2, dropout)
            results.append(
                (output, backward(attention, gradient, moved, probabilities, 0.2, dropout))
            )
    finally:
        torch.set_num_threads(1)
    for other in results[1:]:
        assert all(torch.equal(one, two) for one, two in zip(results[0], other, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15)
@given(lengths=LENGTHS, seed=st.integers(0, 99))
def test_one_query_of_each_sequence(kind: torch.dtype, lengths: list[int], seed: int) -> None:
    """As if all tokens had queries, those of first tokens in any order."""
    width, places = 32, np.random.default_rng(seed).permutation(len(lengths))
    vectors = vectors_of(lengths, width, kind)
    starts = torch.from_numpy(np.cumsum(lengths) - lengths)
    rows = torch.empty_like(starts)
    rows[places] = starts
    every, few = (Attention(np.array(lengths), HEADS, each) for each in (None, places))
    query, key, value = split(vectors)
    part = Vectors(query[rows], key, value)
    output, probabilities = every.forward(split(vectors), 0.2, Dropout())
    own, own_probabilities = few.forward(part, 0.2, Dropout())
    assert torch.equal(own, output[rows])
    gradient = torch.zeros_like(output)
    gradient[rows] = torch.randn_like(own)
    of_vectors = backward(every, gradient, vectors, probabilities, 0.2, Dropout())
    of_part = Vectors(*map(torch.zeros_like, part))
    few.backward(gradient[rows], part, own_probabilities, 0.2, Dropout(), of_part)
    of_query, of_key, of_value = split(of_vectors)
    close = {"rtol": 1e-4, "atol": 1e-6} if kind == torch.float32 else {"rtol": 1e-2, "atol": 1e-3}
    torch.testing.assert_close(of_part.queries, of_query[rows], **close)
    torch.testing.assert_close(of_part.keys, of_key, **close)
    torch.testing.assert_close(of_part.values, of_value, **close)
