"""What torch's ragged kernels are given; what they compute is tested where there is a GPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from tests.training.fast.models import batch_of
from tunesmith.training.fast import ragged_attention
from tunesmith.training.fast.attention import PackContext, attend, attending
from tunesmith.training.fast.packing import pack_batch
from tunesmith.training.fast.ragged_attention import (
    Kernels,
    Ragged,
    efficient_arguments,
    flash_arguments,
    missing_arguments,
)

SIZES = [7, 3, 12, 1, 5]
ON_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
META = torch.device("meta")


def given_on(
    device: torch.device, dtype: torch.dtype, *, heads: int = 4, width: int = 16, key_heads: int = 4
) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    result = []
    for count in (heads, key_heads, key_heads):
        rows = torch.randn(1, sum(SIZES), count, width, generator=random)
        result.append(rows.to(device, dtype).transpose(1, 2).requires_grad_())
    return result


def ragged_on(device: torch.device, kernels: Kernels) -> Ragged:
    starts = torch.tensor([0, *SIZES]).cumsum(0)
    return kernels.ragged(starts, max(SIZES), device)


@pytest.mark.parametrize("name", ["flash", "efficient"])
def test_this_torch_has_all_arguments(name: str) -> None:
    assert missing_arguments(name) == ()


def test_another_torch_is_refused_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def another(ragged: Ragged, **how: Any) -> dict[str, Any]:
        return {**efficient_arguments(ragged, **how), "novelty": 1}

    monkeypatch.setattr(ragged_attention, "efficient_arguments", another)
    missing_arguments.cache_clear()
    try:
        kernels = Kernels()
        query, key, _value = given_on(META, torch.float32)
        assert kernels.choose(query, key, None) is None
        assert "novelty" in kernels.refusals[0]
    finally:
        missing_arguments.cache_clear()


@pytest.mark.parametrize("window", [None, 4])
@pytest.mark.parametrize("causal", [False, True])
def test_flash_is_called_and_derived_with_all_its_arguments(
    causal: bool, window: int | None
) -> None:
    """On the device that knows shapes alone; autograd is torch's own."""
    kernels = Kernels()
    query, key, value = given_on(META, torch.bfloat16, key_heads=2)
    result = ragged_on(META, kernels).attend(
        query, key, value, scale=0.3, rate=0.1, causal=causal, window=window
    )
    assert result is not None and result.shape == (1, sum(SIZES), 4, 16)
    made: Any = result.grad_fn.next_functions[0][0]  # type: ignore[union-attr]
    assert made._saved_dropout_p == 0.1 and made._saved_scale == 0.3
    assert made._saved_is_causal is causal and made._saved_max_q == max(SIZES)
    reach = (None, None) if window is None else (3, 0 if causal else 3)
    assert (made._saved_window_size_left, made._saved_window_size_right) == reach
    result.float().sum().backward()
    assert all(t.grad is not None and t.grad.shape == t.shape for t in (query, key, value))
    assert kernels.refusals == []


@pytest.mark.parametrize("causal", [False, True])
def test_the_efficient_kernel_is_called_with_all_its_arguments(causal: bool) -> None:
    kernels = Kernels()
    query, key, value = given_on(META, torch.float32, key_heads=2)
    result = ragged_on(META, kernels).attend(
        query, key, value, scale=0.3, rate=0.1, causal=causal, window=None
    )
    assert result is not None and result.shape == (1, sum(SIZES), 4, 16)
    made: Any = result.grad_fn
    assert made._saved_dropout_p == 0.1 and made._saved_scale == 0.3
    assert made._saved_custom_mask_type == int(causal)
    assert made._saved_max_seqlen_batch_q == max(SIZES)
    # what derives it knows no window: that is why it is given none
    assert not hasattr(made, "_saved_window_size")


@pytest.mark.parametrize(
    ("dtype", "width", "window", "expected"),
    [
        (torch.bfloat16, 64, None, "flash"),
        (torch.float16, 64, 9, "flash"),
        (torch.float32, 64, None, "efficient"),
        (torch.bfloat16, 256, None, "efficient"),
        (torch.bfloat16, 12, None, "12"),
        (torch.bfloat16, 512, None, "512"),
        (torch.float32, 64, 9, "windows"),
        (torch.float64, 64, None, "float64"),
    ],
)
def test_the_kernel_fits_the_call(
    dtype: torch.dtype, width: int, window: int | None, expected: str
) -> None:
    kernels = Kernels()
    query, key, _value = given_on(META, dtype, width=width)
    chosen = kernels.choose(query, key, window)
    if chosen is None:
        assert expected in kernels.refusals[0]
        kernels.choose(query, key, window)
        assert len(kernels.refusals) == 1
    else:
        assert chosen == expected and kernels.refusals == []


def test_where_the_kernel_fails_groups_compute() -> None:
    """On a CPU it is not there: the reason is kept, and it is not called again."""
    batch = batch_of(SIZES)
    pack, _packed = pack_batch(batch, first_position=0)
    kernels = Kernels()
    on_cpu = torch.device("cpu")
    sizes = sorted(SIZES, reverse=True)
    ragged = kernels.ragged(torch.tensor([0, *sizes]).cumsum(0), max(SIZES), on_cpu)
    tensors = given_on(on_cpu, torch.float32)
    layer, context = nn.Identity(), PackContext()
    with attending(layer, context):
        context.pack = pack
        expected, _nothing = attend(layer, *tensors)
        context.pack = replace(pack, ragged=ragged)
        result, _nothing = attend(layer, *tensors)
    assert torch.equal(result, expected)
    assert len(kernels.refusals) == 1
    assert kernels.choose(tensors[0], tensors[1], None) is None


def test_a_window_reaches_to_both_sides_unless_causal() -> None:
    ragged = ragged_on(torch.device("cpu"), Kernels())
    reported = flash_arguments(ragged, scale=1.0, rate=0.0, causal=False, window=1)
    assert (reported["window_size_left"], reported["window_size_right"]) == (0, 0)
    assert "window_size_left" not in flash_arguments(
        ragged, scale=1.0, rate=0.0, causal=False, window=None
    )


@ON_GPU
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_on_a_gpu_kernels_and_groups_agree(
    dtype: torch.dtype, window: int | None, causal: bool
) -> None:
    device = torch.device("cuda")
    pack, _packed = pack_batch(batch_of(SIZES), first_position=0)
    kernels = Kernels()
    sizes = sorted(SIZES, reverse=True)
    ragged = kernels.ragged(torch.tensor([0, *sizes]).cumsum(0), max(SIZES), device)
    result = []
    for whole in (None, ragged):
        tensors = given_on(device, dtype, key_heads=2)
        layer, context = nn.Identity(), PackContext()
        with attending(layer, context):
            context.pack = replace(pack, ragged=whole)
            out, _nothing = attend(layer, *tensors, is_causal=causal, sliding_window=window)
        weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(9)).to(device)
        (out.float() * weights).sum().backward()
        result.append([out, *(t.grad for t in tensors)])
    assert bool(kernels.refusals) is (dtype == torch.float32 and window is not None)
    near = 1e-5 if dtype == torch.float32 else 3e-2
    for one, two in zip(*result, strict=True):
        torch.testing.assert_close(one, two, rtol=near, atol=near)


@ON_GPU
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_on_a_gpu_dropout_keeps_the_rate_and_the_mean(dtype: torch.dtype) -> None:
    """With equal scores and values of one, an output is the fraction that was kept, scaled."""
    device, rate, count = torch.device("cuda"), 0.3, 64
    starts = torch.arange(0, 64 * count + 1, count)
    zeros = torch.zeros(1, 8, 64 * count, 16, device=device, dtype=dtype)
    torch.manual_seed(0)
    result = (
        Kernels()
        .ragged(starts, count, device)
        .attend(
            zeros, zeros, torch.ones_like(zeros), scale=1.0, rate=rate, causal=False, window=None
        )
    )
    assert result is not None
    retained = result[..., 0].float() * (1 - rate)
    assert float(retained.mean()) == pytest.approx(1 - rate, abs=5e-3)
    assert float(retained.std()) == pytest.approx((rate * (1 - rate) / count) ** 0.5, rel=0.1)


@ON_GPU
def test_on_a_gpu_an_empty_sequence_harms_no_one() -> None:
    device = torch.device("cuda")
    starts = torch.tensor([0, *SIZES]).cumsum(0)
    tensors = given_on(device, torch.bfloat16)
    how: dict[str, Any] = {"scale": 0.25, "rate": 0.0, "causal": False, "window": None}
    plain = Kernels().ragged(starts, max(SIZES), device).attend(*tensors, **how)
    more = torch.cat([starts, starts[-1:].expand(3)])
    padded = Kernels().ragged(more, max(SIZES), device).attend(*tensors, **how)
    assert plain is not None and padded is not None
    assert torch.equal(plain, padded)
