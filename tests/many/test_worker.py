from __future__ import annotations

import os

import pytest

from tunesmith.many import worker


@pytest.mark.parametrize(
    ("visible", "chosen"),
    [("0,1,2", ["0", "1", "2", "0"]), ("GPU-a, GPU-b", ["GPU-a", "GPU-b"] * 2), ("3", ["3"] * 4)],
)
def test_jobs_take_the_gpus_in_turn(
    monkeypatch: pytest.MonkeyPatch, visible: str, chosen: list[str]
) -> None:
    seen = []
    for slot in range(4):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        worker._choose_gpu(slot)
        seen.append(os.environ["CUDA_VISIBLE_DEVICES"])
    assert seen == chosen


def test_all_gpus_are_divided_where_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    worker._choose_gpu(3)
    assert os.environ.pop("CUDA_VISIBLE_DEVICES") == "1"
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    worker._choose_gpu(3)
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
