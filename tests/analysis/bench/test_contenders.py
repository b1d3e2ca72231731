from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tunesmith.analysis.bench.contenders import CONTENDERS, Child, ablations, drop_in
from tunesmith.analysis.bench.trainings import tunesmith_steps


def settings(tickets: Path, model: Path) -> dict[str, object]:
    return {
        "data.train": str(tickets), "data.validation": None, "model": str(model), "preset": None,
        "train.max_steps": 12, "train.batch_size": 4, "train.device": "cpu", "train.dropout": 0.0,
    }  # fmt: skip


def test_turns_of_a_contender(tickets: Path, tiny_bert: Path) -> None:
    child = Child(CONTENDERS["fast"], settings(tickets, tiny_bert))
    assert child.ready() is None
    first, second = child.turn(2), child.turn(3)
    assert (first.steps, first.rows, second.rows) == (2, 8, 12)
    assert first.tokens > first.rows * 3
    assert first.limit > 0 and first.seconds > 0
    assert first.order != second.order
    assert child.stop() > 100


@pytest.mark.usefixtures("forked")
def test_steps_that_are_not_timed_are_taken(tickets: Path, tiny_bert: Path) -> None:
    one, other = (Child(CONTENDERS["fast"], settings(tickets, tiny_bert)) for _child in range(2))
    assert one.ready() is None and other.ready() is None
    one.turn(3)
    second, same = one.turn(2), other.turn(2, untimed=3)
    assert (second.order, second.loss, second.rows) == (same.order, same.loss, same.rows)
    one.stop()
    other.stop()


@pytest.mark.usefixtures("forked")
def test_one_that_cannot_begin_says_why(tickets: Path, tiny_bert: Path) -> None:
    broken = {**settings(tickets, tiny_bert), "train.device": "cuda"}
    child = Child(CONTENDERS["fast"], broken)
    problem = child.ready()
    assert problem is not None and "M117" in problem


@pytest.mark.parametrize("deterministic", [True, False])
def test_it_runs_in_a_process_set_up_as_for_training(
    deterministic: bool, tickets: Path, tiny_bert: Path
) -> None:
    values = {**settings(tickets, tiny_bert), **CONTENDERS["exact"].arguments}
    steps = tunesmith_steps({**values, "train.deterministic": deterministic})
    next(steps)
    assert torch.are_deterministic_algorithms_enabled() is deterministic
    steps.close()
    assert not torch.are_deterministic_algorithms_enabled()


def test_ablations_leave_out_a_part_each() -> None:
    parts = ablations("fast")
    assert parts[0] is CONTENDERS["fast"]
    left_out = [contender.arguments["train.disable"] for contender in parts[1:]]
    assert ["packing"] in left_out and ["copies"] not in left_out
    assert ["copies"] in [c.arguments.get("train.disable") for c in ablations("fast-bf16")]


def test_on_a_gpu_what_is_off_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not any("train.enable" in contender.arguments for contender in ablations("fast"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    added = [c for c in ablations("fast") if "train.enable" in c.arguments]
    assert [c.name for c in added] == [
        "fast with varlen", "fast with graphs", "fast with device_data",
    ]  # fmt: skip
    assert added[1].arguments["train.enable"] == ["graphs"]


def test_a_script_is_compared_in_the_precision_of_the_recipe() -> None:
    assert [c.name for c in drop_in("fast")] == ["script", "drop-in", "fast"]
    assert [c.name for c in drop_in("fast-bf16")] == ["script-bf16", "drop-in-bf16", "fast-bf16"]


@pytest.mark.parametrize("name", CONTENDERS)
def test_arguments_are_keys_that_exist(name: str) -> None:
    from transformers import TrainingArguments

    from tunesmith.recipe import gather

    contender = CONTENDERS[name]
    if contender.kind != "tunesmith":
        assert set(contender.arguments) <= set(TrainingArguments.__dataclass_fields__)
    else:
        flags = {tuple(k.split(".")): (k, v) for k, v in contender.arguments.items()}
        gather(flags={**flags, ("data", "train"): ("data", "x")}, environment={}).recipe()
