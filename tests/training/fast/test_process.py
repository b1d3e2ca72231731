from __future__ import annotations

import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tunesmith.training.fast import process
from tunesmith.training.fast.process import tuned

MULTIPLY: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
NEEDS_GLIBC = pytest.mark.skipif(process._glibc() is None, reason="needs glibc")


def test_nothing_is_touched_when_declined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_keep_memory", lambda: pytest.fail("touched"))
    with tuned(False) as done:
        assert done == ()


@NEEDS_GLIBC
def test_memory_is_kept_and_given_back() -> None:
    """In a process of its own, whose memory no one else uses."""
    reported = subprocess.run(
        [sys.executable, "-c", _MEMORY], capture_output=True, text=True, check=True, timeout=120
    )
    before, inside, after, retained, left = map(int, reported.stdout.split())
    assert before < 100, "glibc learns to keep blocks of this size by itself"
    assert inside < 100
    assert after < 100, "the process is slower than it was"
    assert retained > 120 and left < 40, "megabytes"


_MEMORY = """
import ctypes, resource
from pathlib import Path
from tunesmith.training.fast.process import tuned

libc = ctypes.CDLL("libc.so.6")
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes, libc.memset.argtypes = [ctypes.c_void_p], [ctypes.c_void_p, ctypes.c_int,
                                                               ctypes.c_size_t]

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def fewest():
    found = []
    for _turn in range(20):
        before = faults()
        block = libc.malloc(8 << 20)
        libc.memset(block, 1, 8 << 20)
        libc.free(block)
        found.append(faults() - before)
    return min(found)

def megabytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() >> 20

before, at_first = fewest(), megabytes()
with tuned(True) as done:
    assert "malloc" in done
    inside = fewest()
    blocks = [libc.malloc(64 << 10) for _block in range(2400)]
    for block in blocks:
        libc.memset(block, 1, 64 << 10)
    for block in blocks:
        libc.free(block)
    kept = megabytes() - at_first
left = megabytes() - at_first
print(before, inside, fewest(), kept, left)
"""


@NEEDS_GLIBC
def test_a_glibc_that_refuses_high_thresholds_gets_a_lower_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held: dict[int, int] = {}

    def mallopt(name: int, value: int) -> int:
        if name == process._MMAP_THRESHOLD and value > 32 << 20:
            return 0
        held[name] = value
        return 1

    old = SimpleNamespace(mallopt=mallopt, malloc_trim=lambda _pad: 0)
    monkeypatch.setattr(process.ctypes, "CDLL", lambda _name: old)
    with tuned(True) as done:
        assert "malloc" in done
        assert held == {**process._TUNED, process._MMAP_THRESHOLD: 32 << 20}
    assert held == process._GLIBC


def test_the_first_to_enter_sets_and_the_last_to_leave_restores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "_profits_from_onednn", lambda: True)
    monkeypatch.setattr(process, "_multiplies_exactly", lambda: True)
    before = MULTIPLY.fp32_precision
    one, other = tuned(True), tuned(True)
    assert one.__enter__() == other.__enter__()
    one.__exit__(None, None, None)
    assert MULTIPLY.fp32_precision == "bf16", "the other still runs"
    with tuned(True) as done:
        assert "onednn" in done
    assert MULTIPLY.fp32_precision == "bf16"
    other.__exit__(None, None, None)
    assert MULTIPLY.fp32_precision == before


def test_threads_share_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_profits_from_onednn", lambda: True)
    monkeypatch.setattr(process, "_multiplies_exactly", lambda: True)
    before, seen = MULTIPLY.fp32_precision, []
    inside, alone = threading.Event(), threading.Event()

    def work() -> None:
        with tuned(True):
            inside.set()
            alone.wait(30)
            seen.append(MULTIPLY.fp32_precision)

    thread = threading.Thread(target=work)
    with tuned(True):
        thread.start()
        assert inside.wait(30)
    alone.set()
    thread.join()
    assert seen == ["bf16"]
    assert MULTIPLY.fp32_precision == before


def test_nothing_stays_set_if_setting_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory() -> bool:
        raise MemoryError

    monkeypatch.setattr(process, "_profits_from_onednn", lambda: True)
    monkeypatch.setattr(process, "_multiplies_exactly", out_of_memory)
    before = MULTIPLY.fp32_precision
    with pytest.raises(MemoryError), tuned(True):
        pass
    assert MULTIPLY.fp32_precision == before
    monkeypatch.setattr(process, "_multiplies_exactly", lambda: True)
    with tuned(True):
        assert MULTIPLY.fp32_precision == "bf16"
    assert MULTIPLY.fp32_precision == before


@pytest.mark.parametrize(("flags", "expected"), [
    ({"AuthenticAMD", "avx512bw", "avx512vl", "avx512dq"}, True),
    ({"AuthenticAMD", "avx2"}, False),
    ({"GenuineIntel", "avx512bw", "avx512vl", "avx512dq"}, False),
    ({"AuthenticAMD", "avx512bw", "avx512vl", "avx512dq", "amx_tile"}, False),
])  # fmt: skip
def test_products_are_routed_only_where_that_is_known_to_help(
    flags: set[str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "cpu_flags", lambda: frozenset(flags))
    before = MULTIPLY.fp32_precision
    with tuned(True) as done:
        if expected and process._multiplies_exactly():
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


def test_the_guard_leaves_room_for_other_orders_of_adding(monkeypatch: pytest.MonkeyPatch) -> None:
    real = torch.Tensor.__matmul__

    def a_little_off(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        result = real(one, other)
        return result * (1 + 2e-6) if one.dtype == torch.float32 else result

    monkeypatch.setattr(torch.Tensor, "__matmul__", a_little_off)
    assert process._multiplies_exactly()


def test_settings_are_put_back_after_an_error() -> None:
    before = MULTIPLY.fp32_precision
    with pytest.raises(RuntimeError, match="boom"), tuned(True):
        raise RuntimeError("boom")
    assert MULTIPLY.fp32_precision == before
