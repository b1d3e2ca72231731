from __future__ import annotations

import os

import pytest
import torch

from tunesmith.errors import RecipeError, ResourceError
from tunesmith.training import device
from tunesmith.training.device import (
    choose_device,
    deterministic_kernels,
    is_main_process,
    make_accelerator,
    num_processes,
    resolve_precision,
    rng_of,
)


def test_one_process_unless_reported_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (is_main_process(), num_processes()) == (True, 1)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert (is_main_process(), num_processes()) == (False, 2)
    monkeypatch.setenv("RANK", "0")
    assert (is_main_process(), num_processes()) == (True, 2)
    monkeypatch.delenv("WORLD_SIZE")
    monkeypatch.setenv("RANK", "3")  # a script of its own may set the rank alone
    assert (is_main_process(), num_processes()) == (False, 1)


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"RANK": "x"}, "RANK"), ({"RANK": ""}, "RANK"), ({"RANK": "-1"}, "RANK"),
        ({"RANK": "1.0"}, "RANK"), ({"RANK": "٣"}, "RANK"), ({"RANK": "9" * 5000}, "RANK"),
        ({"WORLD_SIZE": "0"}, "RANK"), ({"WORLD_SIZE": "two"}, "WORLD_SIZE"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "RANK"), ({"LOCAL_RANK": " 1"}, "LOCAL_RANK"),
        ({"LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "1"}, "LOCAL_RANK"),
        ({"MASTER_PORT": "http"}, "MASTER_PORT"),
    ],
)  # fmt: skip
def test_an_environment_without_sense(
    environment: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for read in (is_main_process, num_processes):
        with pytest.raises(RecipeError, match="C139") as caught:
            read()
        assert caught.value.exit_code == 2
        assert f"the environment has {named}=" in str(caught.value)


def test_a_second_run_may_want_another_precision() -> None:
    assert make_accelerator(device="cpu", precision="bf16").mixed_precision == "bf16"
    assert make_accelerator(device="cpu", precision="fp32").mixed_precision == "no"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there() -> None:
    with pytest.raises(ResourceError, match="M117") as caught:
        make_accelerator(device="cuda")
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("requested", "cuda", "mps", "processes", "chosen"),
    [
        ("auto", False, False, 1, "cpu"), ("auto", True, False, 1, "cuda"),
        ("auto", True, False, 2, "cuda"), ("auto", False, True, 1, "mps"),
        ("auto", False, True, 2, "cpu"), ("mps", False, True, 1, "mps"),
        ("cpu", True, True, 1, "cpu"), ("cpu", False, True, 2, "cpu"),
        ("cuda", True, False, 8, "cuda"),
    ],
)  # fmt: skip
def test_the_device_of_a_process(
    requested: str, cuda: bool, mps: bool, processes: int, chosen: str
) -> None:
    available = {"cuda": cuda, "mps": mps}
    assert choose_device(requested, available, processes=processes) == chosen


def test_several_processes_do_not_share_the_gpu_of_a_mac() -> None:
    with pytest.raises(RecipeError, match=r"M149: several processes"):
        choose_device("mps", {"cuda": False, "mps": True}, processes=2)


def test_auto_is_bf16_where_a_processor_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for has, expected in ((False, "fp32"), (True, "bf16")):
        monkeypatch.setattr(device, "has_fast_bf16", lambda result=has: result)
        assert resolve_precision("auto", "cpu") == expected
        assert resolve_precision("fp32", "cpu") == "fp32"
    assert resolve_precision("bf16", "cpu") == "bf16"


@pytest.mark.parametrize("expectation", [True, False])
def test_the_settings_of_the_process_are_put_back(expectation: bool) -> None:
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
    )
    with pytest.raises(ZeroDivisionError), deterministic_kernels(expectation):
        assert torch.are_deterministic_algorithms_enabled() == expectation
        _ = 1 / 0
    assert before == (
        torch.are_deterministic_algorithms_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
    )
    assert "RANK" not in os.environ


def test_a_process_that_warns_of_other_kernels_warns_again_afterwards() -> None:
    torch.set_deterministic_debug_mode("warn")
    try:
        with deterministic_kernels(True):
            assert torch.get_deterministic_debug_mode() == 2
        assert torch.get_deterministic_debug_mode() == 1
    finally:
        torch.set_deterministic_debug_mode("default")


def test_what_is_dropped_follows_the_seed() -> None:
    drawn = []
    for seed in (3, 2**63, 3):
        rng_of(make_accelerator(device="cpu")).manual_seed(seed)
        drawn.append(torch.rand(8))
    torch.manual_seed(3)
    assert torch.equal(drawn[0], torch.rand(8))
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])
