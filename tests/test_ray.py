"""Training as a function of Ray Train, as far as it needs no cluster."""

from __future__ import annotations

import os
import pickle
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.runs.children import ended, start_pair, train
from tunesmith.api.train import events_of
from tunesmith.data.rows import BadRecordsError
from tunesmith.errors import (
    FolderInUseError,
    PeerError,
    Place,
    Problem,
    RecipeError,
    TunesmithError,
)
from tunesmith.runs.signals import StopRequest
from tunesmith.training import device
from tunesmith.training.events import Saved, StepDone

PROBLEM = Problem("R101", "wrong")


def subclasses(kind: type[TunesmithError]) -> list[type[TunesmithError]]:
    return [kind, *(one for child in kind.__subclasses__() for one in subclasses(child))]


def test_any_error_reaches_another_process_whole() -> None:
    from tunesmith.training import memory  # has errors with arguments of their own

    kinds = subclasses(TunesmithError)
    assert {RecipeError, PeerError, BadRecordsError, memory.OneRowTooLarge} < set(kinds)
    problems = [PROBLEM, Problem("D301", "two", Place("a.csv", row=3), ("seen",))]
    for kind in kinds:
        error = kind.__new__(kind, problems)
        TunesmithError.__init__(error, problems)
        error.exit_code = 99
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is kind and copy.problems == error.problems
        assert copy.exit_code == 99 and str(copy) == str(error)


class SavesAt(StopRequest):
    """Requests a checkpoint at the n-th question, and asks at each step."""

    asks = True

    def __init__(self, *numbers: int) -> None:
        super().__init__()
        self.numbers, self.count = numbers, 0

    def save_is_requested(self) -> bool:
        self.count += 1
        return self.count in self.numbers


def test_a_requested_save_does_not_stop(tmp_path: Path, tickets: Path, tiny_bert: Path) -> None:
    settings = {"model": str(tiny_bert), "train.max_steps": 5, "train.save_every": "100 steps",
                "train.evaluate_every": "100 steps", "train.preflight": False,
                "train.engine": "exact"}  # fmt: skip
    events = list(
        events_of(
            str(tickets), tmp_path / "run", settings,
            compute_metrics=None, restart=False, stop=SavesAt(2, 4),
        )
    )  # fmt: skip
    assert [event.step for event in events if isinstance(event, Saved)][:2] == [2, 4]
    assert [event.step for event in events if isinstance(event, StepDone)] == [1, 2, 3, 4, 5]


def in_a_group(out: Path, data: Path, model: Path, settings: dict[str, object], port: int) -> None:
    """Train as a worker of Ray Train does, whose group does not come from the environment."""
    from datetime import timedelta

    from torch.distributed import init_process_group

    del os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"]
    init_process_group(
        "gloo", f"tcp://127.0.0.1:{port}", timedelta(seconds=60),
        int(os.environ["WORLD_SIZE"]), int(os.environ["RANK"]),
    )  # fmt: skip
    train(out, data, model, settings)


def test_processes_of_a_group_meet_in_its_store(
    tmp_path: Path, tickets: Path, tiny_bert: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"train.max_steps": 3, "train.batch_size": 4, "data.validation": "20%",
                "train.engine": "exact", "train.preflight": False}  # fmt: skip
    out = tmp_path / "run"
    pair = start_pair(in_a_group, out, tickets, tiny_bert, settings, port)
    assert ended(pair, timeout=120) == [0, 0]
    assert (out / "model" / "model.safetensors").is_file()


def test_a_launcher_gives_a_process_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda: True)
    monkeypatch.setattr(device, "has_fast_bf16", lambda: False)
    assert device.device_of("auto") == "cuda"
    monkeypatch.setenv("ACCELERATE_TORCH_DEVICE", "cpu")
    assert device.device_of("auto") == "cpu"
    assert device.resolve_precision("auto", "auto") == "fp32"
    assert device.device_of("cuda") == "cuda"
    monkeypatch.setenv("ACCELERATE_TORCH_DEVICE", "cuda:3")
    assert device.device_of("auto") == "cuda"
    assert device.resolve_precision("auto", "auto") == "bf16"


# ---------------------------------------------------------------------------- with Ray installed


@pytest.fixture
def ray_module() -> Any:
    pytest.importorskip("ray.train")
    from tunesmith import ray

    return ray


def refusal(ray_module: Any, **config: Any) -> TunesmithError:
    with pytest.raises(TunesmithError) as caught:
        ray_module.train_loop(config)
    return caught.value


def test_a_wrong_configuration_is_refused(ray_module: Any, tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    assert [p.code for p in refusal(ray_module, what="a.csv", out="runs/a").problems] == ["C175"]
    assert [p.code for p in refusal(ray_module, out=out).problems] == ["C176"]
    several = refusal(ray_module, what="a.csv", out=out, seeds=3, restart=True, epoch=2)
    assert [p.code for p in several.problems] == ["R151", "C176", "C176"]
    assert "epochs=2" in str(several)
    missing = refusal(ray_module, what=str(tmp_path / "no.csv"), out=out, verbose=False)
    assert missing.problems[0].code.startswith("D")
    assert missing.__cause__ is None and not (tmp_path / "run" / "plan.json").exists()


class Leaving:
    def __init__(self, *nodes: str) -> None:
        self.preempted_node_ids = list(nodes)


def test_each_machine_that_leaves_is_one_save(
    ray_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, leaving = [100.0], [None]
    monkeypatch.setattr(ray_module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(ray_module.ray_train, "get_preemption_info", lambda: leaving[0])
    request = ray_module._Preemption()
    assert not request.asks
    now[0] += 1.0
    assert request.asks and not request.save_is_requested() and not request.asks
    leaving[0] = Leaving("a")  # type: ignore[call-overload]
    assert [request.save_is_requested() for _twice in range(2)] == [True, False]
    leaving[0] = Leaving("a", "b")  # type: ignore[call-overload]
    assert [request.save_is_requested() for _twice in range(2)] == [True, False]
    assert not request.was_made


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (RecipeError(PROBLEM), True),
        (FolderInUseError(PROBLEM), True),
        (PeerError(PROBLEM, exit_code=2), True),
        (PeerError(PROBLEM), False),
        (RuntimeError("NCCL"), False),
    ],
)
def test_only_errors_that_would_come_again_end_the_job(
    ray_module: Any, error: Exception, ends: bool
) -> None:
    callback = ray_module.EndOnErrors()
    failures = {0: RuntimeError("a worker died"), 1: error}
    if not ends:
        callback.after_exception(None, failures)
        return
    with pytest.raises(type(error)) as caught:
        callback.after_exception(None, failures)
    assert caught.value is error
