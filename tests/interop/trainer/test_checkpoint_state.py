from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau, StepLR

from tunesmith.errors import IntegrityError
from tunesmith.interop.trainer.checkpoint_state import (
    lead_on,
    random_state,
    read_random_state,
    read_saved,
    restore_optimizer,
    set_random_state,
    undisturbed_chance,
    write_random_states,
    write_saved,
)
from tunesmith.training.optimizer import read_state
from tunesmith.training.progress import Progress


def stepped(
    kind: type[torch.optim.Optimizer], steps: int, **more: Any
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A model of two weights and its optimizer after some steps on the same rows."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = kind(
        [{"params": [model.weight], "weight_decay": 0.1}, {"params": [model.bias]}], **more
    )
    for step in range(steps):
        model(torch.full((1, 3), step + 1.0)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return model, optimizer


def take_a_step(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    model(torch.ones(1, 3)).square().sum().backward()
    optimizer.step()
    return [parameter.detach().clone() for parameter in model.parameters()]


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        (torch.optim.AdamW, {"lr": 0.1, "betas": (0.8, 0.9)}),
        (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
        (torch.optim.Adagrad, {"lr": 0.1}),
        (torch.optim.RMSprop, {"lr": 0.1}),
    ],
)
def test_an_optimizer_resumes_its_state(
    kind: type[torch.optim.Optimizer], more: dict[str, Any], tmp_path: Path
) -> None:
    """With the options that a callback wrote into its groups."""
    model, optimizer = stepped(kind, 3, **more)
    optimizer.param_groups[0]["lr"] = 0.03
    scheduler = StepLR(optimizer, 1)
    write_saved(
        tmp_path, read_state(model, optimizer), optimizer=optimizer, scheduler=scheduler,
        progress=Progress(step=3, skipped=1), facts={"left_out": 2},
    )  # fmt: skip
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    expected = take_a_step(model, optimizer)
    saved = read_saved(tmp_path)
    assert (saved.progress, saved.facts) == (Progress(step=3, skipped=1), {"left_out": 2})
    again, other = stepped(kind, 0, lr=0.5)
    again.load_state_dict(weights)
    restore_optimizer(saved, again, other)
    assert type(other.param_groups[0].get("betas", ())) is tuple
    for one, two in zip(take_a_step(again, other), expected, strict=True):
        assert torch.equal(one, two)


def half(step: int) -> float:
    return 0.5**step


class Unspeakable(StepLR):
    """Its state is no JSON."""

    def state_dict(self) -> dict[str, Any]:
        return {"what": object()}


def saved_of(folder: Path, optimizer: torch.optim.Optimizer, scheduler: LRScheduler) -> Any:
    write_saved(folder, {}, optimizer=optimizer, scheduler=scheduler, progress=Progress(), facts={})
    return read_saved(folder)


@pytest.mark.parametrize("kind", ["lambda", "steps", "without a state in JSON"])
def test_a_scheduler_resumes_its_state(kind: str, tmp_path: Path) -> None:
    def make() -> tuple[torch.optim.Optimizer, LRScheduler]:
        optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0)
        if kind == "lambda":
            return optimizer, LambdaLR(optimizer, half)
        return optimizer, (StepLR if kind == "steps" else Unspeakable)(optimizer, 2)

    optimizer, scheduler = make()
    for _step in range(3):
        optimizer.step()
        scheduler.step()
    saved = saved_of(tmp_path, optimizer, scheduler)
    assert (saved.scheduler is None) == (kind == "without a state in JSON")
    assert saved.scheduler_steps == 3
    other, later = make()
    other.step()
    lead_on(saved, later)
    restore_optimizer(saved, nn.Module(), other)  # afterwards: some schedulers move the rates
    assert later.last_epoch == 3 and later.get_last_lr() == scheduler.get_last_lr()
    optimizer.step()
    for one in (scheduler, later):
        one.step()
    assert later.get_last_lr() == scheduler.get_last_lr()


def test_a_scheduler_that_waits_for_scores_remembers_them(tmp_path: Path) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0)
    scheduler = ReduceLROnPlateau(optimizer, patience=1)
    for score in (1.0, 2.0):
        scheduler.step(score)
    saved = saved_of(tmp_path, optimizer, scheduler)
    later = ReduceLROnPlateau(torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0), patience=1)
    lead_on(saved, later)
    assert (later.best, later.num_bad_epochs) == (1.0, 1)


def test_another_optimizer_is_refused(tmp_path: Path) -> None:
    model, optimizer = stepped(torch.optim.AdamW, 1, lr=0.1)
    tensors = read_state(model, optimizer)
    more = {"scheduler": StepLR(optimizer, 1), "progress": Progress(), "facts": {}}
    write_saved(tmp_path, tensors | {"other.exp_avg": torch.ones(1)}, optimizer=optimizer, **more)
    with pytest.raises(IntegrityError, match=r"M130.*its optimizer does not match: other"):
        restore_optimizer(read_saved(tmp_path), model, optimizer)
    write_saved(tmp_path, tensors, optimizer=optimizer, **more)
    with pytest.raises(IntegrityError, match=r"M130.*its optimizer does not match: 2 != 1"):
        restore_optimizer(read_saved(tmp_path), model, torch.optim.AdamW(model.parameters()))


@pytest.mark.parametrize("name", ["progress", "facts", "groups", "scheduler", "scheduler_steps"])
@pytest.mark.parametrize("change", ["gone", "of another type"])
def test_a_state_of_something_else_is_reported(name: str, change: str, tmp_path: Path) -> None:
    model, optimizer = stepped(torch.optim.AdamW, 1, lr=0.1)
    write_saved(
        tmp_path, read_state(model, optimizer), optimizer=optimizer,
        scheduler=StepLR(optimizer, 1), progress=Progress(), facts={},
    )  # fmt: skip
    state = json.loads((tmp_path / "state.json").read_text())
    if change == "gone":
        del state[name]
    else:
        state[name] = 3 if name != "scheduler_steps" else "three"
    (tmp_path / "state.json").write_text(json.dumps(state))
    with pytest.raises(IntegrityError, match=r"M130.*cannot be resumed from"):
        restore_optimizer(read_saved(tmp_path), model, optimizer)
    (tmp_path / "optimizer.safetensors").write_bytes(b"no tensors")
    with pytest.raises(IntegrityError, match=r"M130"):
        read_saved(tmp_path)


Drawn = tuple[float, float, float, float]


def draw() -> Drawn:
    return (
        random.gauss(0, 1),
        float(np.random.normal()),
        float(torch.rand(())),
        random.random(),
    )


def test_random_numbers_go_on_from_a_file(tmp_path: Path) -> None:
    """Also from between the two halves of a pair of normal numbers, and each process's own."""
    draw()
    states = [random_state()]
    first = draw()
    states.append(random_state())
    second = draw()
    write_random_states(tmp_path, states)
    for rank, expected in enumerate((first, second)):
        stored = read_random_state(tmp_path, rank)
        assert stored is not None
        set_random_state(stored)
        assert draw() == expected
    assert read_random_state(tmp_path, 2) is None
    assert read_random_state(tmp_path / "none", 0) is None


def test_what_is_drawn_inside_changes_nothing() -> None:
    torch.manual_seed(5)
    before = random_state()
    expected = draw()
    set_random_state(before)
    with pytest.raises(KeyError), undisturbed_chance():
        torch.manual_seed(9)
        draw()
        raise KeyError
    assert torch.initial_seed() == 5 and draw() == expected


def test_a_damaged_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "random.safetensors").write_bytes(b"no tensors")
    with pytest.raises(IntegrityError, match=r"M130"):
        read_random_state(tmp_path, 0)
