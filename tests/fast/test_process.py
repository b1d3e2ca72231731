from __future__ import annotations

import sys
from typing import Any

import pytest
import torch

from tunesmith.fast import process
from tunesmith.fast.process import tuned

MULTIPLY: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]


def test_nothing_is_touched_when_declined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_keep_memory", lambda _values: pytest.fail("touched"))
    with tuned(False) as done:
        assert done == ()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs glibc")
def test_memory_is_kept_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = process._keep_memory, []

    def noted(values: dict[int, int]) -> bool:
        calls.append(values)
        return real(values)

    monkeypatch.setattr(process, "_keep_memory", noted)
    with tuned(True) as done:
        assert "malloc" in done
        assert (torch.ones(1 << 22) * 2).sum() == 1 << 23
    assert calls == [process._TUNED, process._GLIBC]


@pytest.mark.parametrize(("flags", "wanted"), [
    ({"AuthenticAMD", "avx512bw", "avx512vl", "avx512dq"}, True),
    ({"AuthenticAMD", "avx2"}, False),
    ({"GenuineIntel", "avx512bw", "avx512vl", "avx512dq"}, False),
    ({"AuthenticAMD", "avx512bw", "avx512vl", "avx512dq", "amx_tile"}, False),
])  # fmt: skip
def test_products_are_routed_only_where_that_is_known_to_help(
    flags: set[str], wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "cpu_flags", lambda: frozenset(flags))
    before = MULTIPLY.fp32_precision
    with tuned(True) as done:
        if wanted and process._multiplies_exactly():
            assert "onednn" in done
            assert MULTIPLY.fp32_precision == "bf16"
        else:
            assert "onednn" not in done
    assert MULTIPLY.fp32_precision == before


def test_a_product_that_rounds_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard: on a processor whose kernel is not true float32 the routing does not stay."""
    monkeypatch.setattr(process, "_profits_from_onednn", lambda: True)
    monkeypatch.setattr(process, "_multiplies_exactly", lambda: False)
    before = MULTIPLY.fp32_precision
    with tuned(True) as done:
        assert "onednn" not in done
        assert MULTIPLY.fp32_precision == before


def test_the_guard_tells_float32_from_less(monkeypatch: pytest.MonkeyPatch) -> None:
    assert process._multiplies_exactly()
    real = torch.Tensor.__matmul__

    def rounded(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        if one.dtype == torch.float32:
            return real(one.bfloat16().float(), other.bfloat16().float())
        return real(one, other)

    monkeypatch.setattr(torch.Tensor, "__matmul__", rounded)
    assert not process._multiplies_exactly()


def test_settings_are_put_back_after_an_error() -> None:
    before = MULTIPLY.fp32_precision
    with pytest.raises(RuntimeError, match="boom"), tuned(True):
        raise RuntimeError("boom")
    assert MULTIPLY.fp32_precision == before
