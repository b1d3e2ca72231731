from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from tests.training.fast.models import batch_of
from tunesmith.training.fast import attention
from tunesmith.training.fast.attention import PackContext, attend, attending
from tunesmith.training.fast.packing import Pack, pack_batch

SIZES = [7, 3, 12, 1, 5]
HEADS, WIDTH = 3, 8
LAYER = nn.Identity()


@pytest.fixture
def pack() -> Iterator[Pack]:
    result, _packed = pack_batch(batch_of(SIZES), first_position=0)
    context = PackContext()
    with attending(LAYER, context):
        context.pack = result
        yield result


def inputs(tokens: int, *, heads: int = HEADS, seed: int = 0) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    rows = (torch.randn(1, tokens, heads * WIDTH, generator=random) for _tensor in range(3))
    return [
        row.view(1, tokens, heads, WIDTH).transpose(1, 2).detach().requires_grad_() for row in rows
    ]


def alone(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    pack: Pack,
    *,
    causal: bool,
    window: int | None,
) -> torch.Tensor:
    """Sequence by sequence, by the definition."""
    result = torch.zeros(1, q.shape[2], q.shape[1], WIDTH)
    for start, stop in zip(pack.starts[:-1], pack.starts[1:], strict=True):
        one, two, three = (t[:, :, start:stop] for t in (q, k, v))
        scores = one @ two.transpose(2, 3) / math.sqrt(WIDTH)
        distance = torch.arange(stop - start)[:, None] - torch.arange(stop - start)[None]
        hidden = torch.zeros_like(distance, dtype=torch.bool)
        if causal:
            hidden |= distance < 0
        if window is not None:
            hidden |= distance.abs() >= window
        scores = scores.masked_fill(hidden, -math.inf)
        result[:, start:stop] = (scores.softmax(-1) @ three).transpose(1, 2)
    return result


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", [None, 3])
def test_every_sequence_attends_to_itself_alone(
    pack: Pack, causal: bool, window: int | None
) -> None:
    mine, theirs = inputs(sum(SIZES)), inputs(sum(SIZES))
    result, nothing = attend(
        LAYER, *mine, None, is_causal=causal, sliding_window=window, dropout=0.0
    )
    expected = alone(*theirs, pack, causal=causal, window=window)
    assert nothing is None
    torch.testing.assert_close(result, expected)
    weights = torch.randn(result.shape, generator=torch.Generator().manual_seed(9))
    (result * weights).sum().backward()
    (expected * weights).sum().backward()
    for one, two in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one.grad, two.grad)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("sizes", [[8, 8, 8], [16], [24, 24]])
def test_rows_of_equal_length_are_masked_like_any_other(
    sizes: list[int], causal: bool, window: int | None
) -> None:
    """A group without padding needs no mask for padding, but still one for what comes later."""
    pack_of_rows, _packed = pack_batch(batch_of(sizes), first_position=0)
    assert all(group.is_even for group in pack_of_rows.groups)
    context = PackContext()
    with attending(LAYER, context):
        context.pack = pack_of_rows
        mine, theirs = inputs(sum(sizes)), inputs(sum(sizes))
        answers, _nothing = attend(LAYER, *mine, is_causal=causal, sliding_window=window)
        expected = alone(*theirs, pack_of_rows, causal=causal, window=window)
        torch.testing.assert_close(answers, expected)
        weights = torch.randn(answers.shape, generator=torch.Generator().manual_seed(9))
        (answers * weights).sum().backward()
        (expected * weights).sum().backward()
    for one, two in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one.grad, two.grad)


def test_what_fills_up_a_pack_is_zero_there_and_back(pack: Pack) -> None:
    filled = inputs(32)
    result, _nothing = attend(LAYER, *filled, dropout=0.1)
    assert result.shape[1] == 32 and not result[:, sum(SIZES) :].any()
    result.square().sum().backward()
    for tensor in filled:
        assert tensor.grad is not None and not tensor.grad[:, :, sum(SIZES) :].any()
        assert tensor.grad[:, :, : sum(SIZES)].abs().sum() > 0


def test_changing_one_sequence_leaves_the_others_to_the_bit(pack: Pack) -> None:
    q, k, v = inputs(sum(SIZES))
    before, _nothing = attend(LAYER, q, k, v)
    start, stop = int(pack.starts[1]), int(pack.starts[2])
    with torch.no_grad():
        for tensor in (q, k, v):
            tensor[:, :, start:stop] += 1.0
    after, _nothing = attend(LAYER, q, k, v)
    same = torch.ones(sum(SIZES), dtype=torch.bool)
    same[start:stop] = False
    assert torch.equal(before[:, same], after[:, same])
    assert not torch.equal(before[:, ~same], after[:, ~same])


def test_dropout_has_the_right_gradient(pack: Pack) -> None:
    """By finite differences with the same draw, in double precision."""
    q, k, v = (t.detach().double().requires_grad_() for t in inputs(sum(SIZES)))

    def run(*tensors: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(3)
        return attention._Attention.apply(*tensors, pack, 0.3, 0.2, False, None)  # type: ignore[no-untyped-call]

    assert torch.autograd.gradcheck(run, (q, k, v), fast_mode=True, atol=1e-6)


def test_dropout_keeps_the_mean(pack: Pack) -> None:
    q, k, v = inputs(sum(SIZES))
    plain, _nothing = attend(LAYER, q, k, v)
    torch.manual_seed(0)
    many = torch.stack([attend(LAYER, q, k, v, dropout=0.3)[0] for _time in range(600)])
    torch.testing.assert_close(many.mean(0), plain, atol=0.15, rtol=0.05)
    assert not torch.equal(many[0], many[1])


def test_few_key_heads_are_shared(pack: Pack) -> None:
    q, _k, _v = inputs(sum(SIZES), heads=4)
    _q, k, v = inputs(sum(SIZES), heads=2, seed=1)
    result, _nothing = attend(LAYER, q, k, v)
    wide = [t.repeat_interleave(2, dim=1) for t in (k, v)]
    torch.testing.assert_close(result, attend(LAYER, q, *wide)[0])


def test_without_a_pack_it_is_an_error(pack: Pack) -> None:
    q, k, v = inputs(sum(SIZES))
    with pytest.raises(RuntimeError, match="without a pack"):
        attend(LAYER, q, k, v, torch.ones(1))
    with pytest.raises(RuntimeError, match="without a pack"):
        attend(nn.Identity(), q, k, v)  # a layer of another model


@pytest.mark.parametrize("wish", ["softcap", "s_aux", "position_bias"])
def test_what_it_cannot_do_is_refused(wish: str, pack: Pack) -> None:
    q, k, v = inputs(sum(SIZES))
    attend(LAYER, q, k, v, **{wish: None})
    with pytest.raises(RuntimeError, match=wish):
        attend(LAYER, q, k, v, **{wish: 30.0})


def test_every_model_has_its_own_pack(pack: Pack) -> None:
    other, context = nn.Identity(), PackContext()
    short, _packed = pack_batch(batch_of([4, 2]), first_position=0)
    with attending(other, context):
        context.pack = short
        assert attend(other, *inputs(6))[0].shape[1] == 6
        assert attend(LAYER, *inputs(sum(SIZES)))[0].shape[1] == sum(SIZES)
    with pytest.raises(RuntimeError, match="without a pack"):
        attend(other, *inputs(6))
    attend(LAYER, *inputs(sum(SIZES)))


def test_rotated_queries_in_float32_next_to_values_in_16_bits(pack: Pack) -> None:
    q, k, v = inputs(sum(SIZES))
    plain, _nothing = attend(LAYER, q, k, v)
    half = v.detach().bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        result, _nothing = attend(LAYER, q, k, half)
    assert result.dtype == torch.bfloat16
    torch.testing.assert_close(result.float(), plain, rtol=0.05, atol=0.05)
    result.float().sum().backward()
    assert q.grad is not None and q.grad.dtype == torch.float32
    assert half.grad is not None and half.grad.dtype == torch.bfloat16


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", [None, 3])
def test_long_rows_without_dropout_take_torchs_kernel(
    pack: Pack, causal: bool, window: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same outputs and gradients, fewer numbers kept."""
    weights = torch.randn(1, 32, HEADS, WIDTH, generator=torch.Generator().manual_seed(9))
    result = []
    for long in (1024, 8):
        monkeypatch.setattr(attention, "LONG", long)
        tensors = inputs(32)
        out, _nothing = attend(LAYER, *tensors, is_causal=causal, sliding_window=window)
        (out * weights).sum().backward()
        result.append([out, *(tensor.grad for tensor in tensors)])
    for one, two in zip(*result, strict=True):
        assert one is not None and two is not None
        torch.testing.assert_close(one, two)
    dropped, _nothing = attend(LAYER, *inputs(32), dropout=0.2)  # torch's has none on a CPU
    assert "_Attention" in type(dropped.grad_fn).__name__
