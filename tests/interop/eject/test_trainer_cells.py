from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.interop.eject.conftest import KINDS, Train, working_in
from tests.interop.eject.proof import OTHER_LIBRARIES, RunScript, check_kind, check_settings
from tunesmith.interop.eject.source_run import SourceRun, load_run
from tunesmith.interop.eject.trainer_cells import trainer_cells


@pytest.fixture
def run(train: Train, desk: Path) -> SourceRun:
    with working_in(desk):
        return load_run(train("single").folder, style="trainer")


def code_of(run: SourceRun) -> str:
    return "\n".join(cell.code for cell in trainer_cells(run))


def test_evaluations_by_epoch_by_step_or_by_hand(run: SourceRun) -> None:
    plan = run.plan

    def every(steps: float | None, total: int = 12) -> str:
        return code_of(
            replace(run, plan=replace(plan, evaluation_interval=steps, total_steps=total))
        )

    assert 'eval_strategy="epoch"' in every(float(plan.steps_per_epoch))
    assert "eval_steps=EVALUATE_EVERY" in every(3.0)
    assert "EvaluateWhenDue" not in every(3.0)
    assert "EvaluateWhenDue" in every(5.0)  # the last step is due, too
    assert "EvaluateWhenDue" in every(2.5)
    assert 'eval_strategy="no"' in every(None)
    assert "load_best_model_at_end" not in every(None)


def test_half_precision(run: SourceRun) -> None:
    assert "bf16=True" in code_of(replace(run, precision="bf16"))
    assert "bf16" not in code_of(run)


@pytest.mark.filterwarnings(*OTHER_LIBRARIES)
@pytest.mark.parametrize("style", ["trainer"])
@pytest.mark.parametrize("kind", KINDS)
def test_losses_and_scores_are_those_of_the_exact_engine(
    kind: str, style: str, train: Train, desk: Path, run_script: RunScript
) -> None:
    check_kind(kind, style, train, desk, run_script)


@pytest.mark.filterwarnings(*OTHER_LIBRARIES)
@pytest.mark.parametrize("style", ["trainer"])
def test_every_setting_is_reproduced(
    style: str, train: Train, desk: Path, run_script: RunScript
) -> None:
    check_settings(style, train, desk, run_script)
