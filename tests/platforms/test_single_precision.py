"""Whole runs on a device of its own without double precision: `tests/platforms/device.py`.

It stands for Apple's GPUs: what the run needs in float64, or mixes with tensors of the host, fails.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from torch.utils import backend_registration

from tests.conftest import make_tiny_bert, ticket_rows
from tests.runs.children import in_child

pytestmark = pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this torch takes no device from Python",
)

SETTINGS = (
    "--model", "bert", "--epochs", "1", "--set", "train.precision=fp32",
    "--set", "train.log_every=1", "--set", "train.engine=exact", "-q",
)  # fmt: skip
TASKS: dict[str, Sequence[str]] = {
    "text-classification": ("--set", "options.class_weights=balanced", "--label", "queue"),
    "text-regression": ("--label", "id"),
    "masked-lm": (),
    "multi-label-classification": ("--label", "queue", "--label-separator", ";"),
}


def train_on_both(home: Path, task: str) -> None:
    """In a child: on the CPU, then on the device; losses and answers are the same numbers."""
    os.chdir(home)
    os.environ["TUNESMITH_CACHE"] = str(home / "cache")
    make_tiny_bert(home / "bert", layers=1)
    with (home / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(ticket_rows(40))
    from tests.platforms.device import make_device
    from tunesmith.cli import main

    device = make_device()  # torch counts devices at its first backward pass
    flags = ("rows.csv", "--text", "body", "--task", task, *TASKS[task], *SETTINGS)
    assert main(["train", *flags, "--out", "runs/cpu"]) == 0
    _use(device)
    assert main(["train", *flags, "--out", "runs/device"]) == 0
    assert losses("cpu") == losses("device") != []
    plan = json.loads(Path("runs/device/plan.json").read_text(encoding="utf-8"))
    assert plan["fingerprint"]["machine"]["device"].startswith("single")
    for run in ("cpu", "device"):
        words = ["predict", f"runs/{run}", "--file", "rows.csv", "--out", f"{run}.jsonl", "-q"]
        assert main(words) == 0
    assert Path("cpu.jsonl").read_bytes() == Path("device.jsonl").read_bytes()


def _use(device: object) -> None:
    import accelerate
    import torch
    from accelerate.state import PartialState

    real = accelerate.Accelerator

    def on_device(*arguments: Any, **keywords: Any) -> accelerate.Accelerator:
        made = real(*arguments, **keywords)
        PartialState._shared_state["device"] = made.state.device = device
        return made

    accelerate.Accelerator = on_device
    torch.inference_mode = torch.no_grad  # views in it are more than the device imitates


def losses(run: str) -> list[float]:
    lines = Path(f"runs/{run}/events.jsonl").read_text(encoding="utf-8").splitlines()
    return [event["loss"] for event in map(json.loads, lines) if event["event"] == "step"]


def refuses(_home: Path) -> None:
    """In a child: what the device refuses, without which the runs would show nothing."""
    import torch

    from tests.platforms.device import make_device
    from tunesmith.training.device import widest_float

    device = make_device()
    held = torch.ones(2).to(device)
    for act in (
        held.double,
        lambda: torch.zeros(1, dtype=torch.float64, device=device),
        lambda: torch.ones(2, dtype=torch.float64).to(device),
        lambda: held + torch.ones(2),
        held.numpy,
    ):
        with pytest.raises((TypeError, RuntimeError)):
            act()
    assert widest_float(device) is torch.float32
    assert widest_float(torch.device("cpu")) is torch.float64
    assert float(torch.stack([held.sum(), held.sum()]).sum(dtype=widest_float(device))) == 4


def test_the_device_refuses(tmp_path: Path) -> None:
    assert in_child(refuses, tmp_path) == 0


@pytest.mark.parametrize(
    "task",
    [name if name == "text-classification" else pytest.param(name, marks=pytest.mark.slow)
     for name in TASKS],
)  # fmt: skip
def test_a_run_on_it_computes_the_numbers_of_the_cpu(task: str, tmp_path: Path) -> None:
    assert in_child(train_on_both, tmp_path, task) == 0
