from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.interop.eject.conftest import Train, working_in
from tunesmith.api.train import train as train_plainly
from tunesmith.errors import IntegrityError, ResourceError
from tunesmith.interop.eject.source_run import ScriptSelection, SourceRun, load_run
from tunesmith.runs.folder import RunFolder


@pytest.fixture(scope="module")
def run(train: Train, desk: Path) -> SourceRun:
    with working_in(desk):
        return load_run(train("single").folder, style="loop")


@settings(max_examples=60)
@given(every=st.floats(0.3, 40) | st.integers(1, 40).map(float), total=st.integers(1, 120))
def test_evaluations_fall_where_the_plan_says(run: SourceRun, every: float, total: int) -> None:
    plan = replace(run.plan, evaluation_interval=every, total_steps=total)
    changed = replace(run, plan=plan)
    names = {"TOTAL_STEPS": total, "EVALUATE_EVERY": changed.evaluation_interval}
    due = [s for s in range(1, total + 1) if eval(changed.evaluation_due, names, {"step": s})]
    assert due == [step for step in range(total + 1) if plan.evaluation_due(step)]


def with_best(run: SourceRun, best: str | None) -> SourceRun:
    train = run.train.model_copy(update={"select_by": best})
    return replace(run, recipe=run.recipe.model_copy(update={"train": train}))


def test_the_selecting_score(run: SourceRun) -> None:
    assert with_best(run, "accuracy").selection == ScriptSelection(
        "accuracy", higher=True, patience=None
    )
    assert with_best(run, "loss").selection == ScriptSelection("loss", higher=False, patience=None)
    assert with_best(run, "lowest f1").selection == ScriptSelection(
        "f1", higher=False, patience=None
    )
    assert with_best(run, None).selection is None
    own = with_best(run, "highest sure")
    assert own.selection is None
    assert list(own.left_out) == ["train.select_by"]


@pytest.mark.parametrize(("rate", "draws"), [(0.0, False), (0.1, True), (1.0, True), (None, True)])
def test_a_rate_of_zero_draws_nothing(run: SourceRun, rate: float | None, draws: bool) -> None:
    train = run.train.model_copy(update={"dropout": rate})
    changed = replace(run, recipe=run.recipe.model_copy(update={"train": train}))
    assert changed.draws_dropout is draws
    assert bool(changed.dropout_rates) is (rate is not None)


def test_what_cannot_be_reproduced(run: SourceRun) -> None:
    plan = replace(run.plan, micro_batch_size=3, num_examples=10_000_000)
    changed = replace(run, style="trainer", plan=plan, skipped=(4, 5), custom_metrics=("sure",))
    assert list(changed.left_out) == [
        "compute_metrics", "train.micro_batch_size", "train.seed", "gradients that were not finite",
    ]  # fmt: skip
    assert replace(changed, style="loop").micro_batch_size == 3
    assert not run.left_out
    train = run.train.model_copy(update={"sampling": "balanced"})
    balanced = replace(run, recipe=run.recipe.model_copy(update={"train": train}))
    assert list(balanced.left_out) == ["train.sampling"]


def test_runs_that_cannot_be_loaded(train: Train, desk: Path, tmp_path: Path) -> None:
    folder = train("numbers").folder
    empty = RunFolder(tmp_path / "empty")
    empty.path.mkdir()
    (empty.path / "recipe.yaml").write_text(folder.recipe.read_text())
    with working_in(desk):
        with pytest.raises(ResourceError, match="C121"):
            load_run(empty, style="loop")
        planned = json.loads(folder.plan.read_text())
        planned["fingerprint"]["data"]["train"] = "another"
        empty.plan.write_text(json.dumps(planned))
        with pytest.raises(IntegrityError, match="C122"):
            load_run(empty, style="loop")


def test_rows_passed_from_python_cannot_be_read_again(tmp_path: Path, small_bert: Path) -> None:
    rows = [{"text": "good" if i % 2 else "bad", "label": "ab"[i % 2]} for i in range(12)]
    settings = {"train.max_steps": 1, "data.validation": None}
    run = train_plainly(rows, out=tmp_path / "run", model=str(small_bert), settings=settings)
    with pytest.raises(ResourceError, match="C123"):
        load_run(RunFolder(run.folder), style="loop")
