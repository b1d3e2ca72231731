from __future__ import annotations

import pytest
import torch

from tunesmith.training.fast.gpu_parts import left_out

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("enabled", "off"),
    [
        ([], {"varlen", "graphs", "device_data"}),
        (["varlen"], {"graphs", "device_data"}),
        (["graphs"], {"device_data"}),
        (["device_data"], set()),
        (["device_data", "varlen"], set()),
    ],
)
def test_on_a_gpu_they_are_off_until_enabled_with_what_they_need(
    enabled: list[str], off: set[str]
) -> None:
    assert left_out(CUDA, enabled=enabled) == off
    assert left_out(CUDA, enabled=enabled, disabled=["dropout", "varlen"]) == {
        "dropout", "varlen", *off,
    }  # fmt: skip


def test_on_a_cpu_nothing_changes() -> None:
    assert left_out(CPU) == left_out(CPU, enabled=["graphs"]) == frozenset()
    assert left_out(CPU, disabled=["graphs"]) == {"graphs"}
