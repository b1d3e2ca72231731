from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import get_scheduler

from tests.interop.eject.conftest import KINDS, Train, working_in
from tests.interop.eject.proof import OTHER_LIBRARIES, RunScript, check_kind, check_settings
from tunesmith.interop.eject.loop_cells import loop_cells
from tunesmith.interop.eject.source_run import load_run
from tunesmith.recipe import Duration, TrainSettings
from tunesmith.training.learning_rate import SCHEDULERS
from tunesmith.training.plan import make_plan


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant", "polynomial", "inverse_sqrt"])
@pytest.mark.parametrize("warmup", [None, Duration(5, "steps")], ids=["at once", "warm-up"])
def test_schedules_are_those_of_the_plan(schedule: str, warmup: Duration | None) -> None:
    settings = TrainSettings(schedule=schedule, warmup=warmup, learning_rate=3e-4, max_steps=40)
    plan = make_plan(settings, num_examples=100)
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=3e-4)
    scheduler = get_scheduler(
        SCHEDULERS[schedule], optimizer,
        num_warmup_steps=plan.warmup_steps, num_training_steps=plan.total_steps,
    )  # fmt: skip
    for step in range(plan.total_steps):
        assert scheduler.get_last_lr()[0] == pytest.approx(plan.learning_rate_at(step), rel=1e-9)
        optimizer.step()
        scheduler.step()


def test_half_precision_is_said_in_each_style(train: Train, desk: Path) -> None:
    from dataclasses import replace

    with working_in(desk):
        run = replace(load_run(train("single").folder, style="loop"), precision="bf16")
    alone = "\n".join(cell.code for cell in loop_cells(run))
    assert alone.count("torch.autocast(device.type, torch.bfloat16)") == 2
    shared = "\n".join(cell.code for cell in loop_cells(replace(run, style="accelerate")))
    assert 'mixed_precision="bf16"' in shared
    assert "autocast" not in shared


@pytest.mark.filterwarnings(*OTHER_LIBRARIES)
@pytest.mark.parametrize("style", ["loop", "accelerate"])
@pytest.mark.parametrize("kind", KINDS)
def test_losses_and_scores_are_those_of_the_exact_engine(
    kind: str, style: str, train: Train, desk: Path, run_script: RunScript
) -> None:
    check_kind(kind, style, train, desk, run_script)


@pytest.mark.filterwarnings(*OTHER_LIBRARIES)
@pytest.mark.parametrize("style", ["loop", "accelerate"])
def test_every_setting_is_reproduced(
    style: str, train: Train, desk: Path, run_script: RunScript
) -> None:
    check_settings(style, train, desk, run_script)
