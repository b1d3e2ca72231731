from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.interop.eject.conftest import Train, working_in
from tunesmith.interop.eject.data_cells import rows_cell
from tunesmith.interop.eject.setup_cells import model_cell, seeds_cell, settings_cell, tokens_cell
from tunesmith.interop.eject.source_run import SourceRun, load_run


@pytest.fixture(scope="module")
def run(train: Train, desk: Path) -> SourceRun:
    with working_in(desk):
        return load_run(train("single").folder, style="loop")


def with_training(run: SourceRun, **settings: object) -> SourceRun:
    train = run.train.model_copy(update=settings)
    return replace(run, recipe=run.recipe.model_copy(update={"train": train}))


def test_settings_hold_the_numbers_of_plan_and_recipe(run: SourceRun, desk: Path) -> None:
    with working_in(desk):
        reading = rows_cell(run, Path("x.py"))
    space: dict[str, Any] = {}
    exec(settings_cell(run, reading, model="m", output="o").code, space)
    assert space["TOTAL_STEPS"] == run.plan.total_steps
    assert space["LABELS"] == ["a", "b"]
    assert (space["TEXT"], space["LABEL"], space["SEED"]) == ("body", "queue", 42)


def test_seeds_are_those_of_the_plan(run: SourceRun) -> None:
    cell = seeds_cell(run)
    assert cell is not None
    space: dict[str, Any] = {}
    exec(cell.code, space)
    for step, part in ((0, 0), (3, 1), (10**6, 7)):
        assert space["seed_of"](run.plan.seed, step, part) == run.plan.dropout_seed(step, part)
    assert seeds_cell(with_training(run, dropout=0.0)) is None


def test_frozen_weights(run: SourceRun) -> None:
    code = model_cell(with_training(run, freeze=("base", "*.bias"))).code
    assert "model.base_model.parameters()" in code
    assert 'fnmatch.fnmatchcase(name, "*.bias")' in code


def test_models_without_padding_and_with_an_old_head(
    run: SourceRun, desk: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "decoder"
    shutil.copytree(run.files.folder, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "pad_token_id": None,
        "eos_token_id": 3,
        "architectures": ["XForSequenceClassification"],
    }
    (folder / "config.json").write_text(json.dumps(config))
    changed = replace(run, files=replace(run.files, folder=folder, revision="c0ffee"))
    code = model_cell(changed).code
    assert "pad_token_id=3" in code
    assert "ignore_mismatched_sizes=True" in code
    assert "revision=REVISION" in code
    with working_in(desk):
        tokens = tokens_cell(changed, rows_cell(changed, Path("x.py"))).code
    assert "tokenizer.pad_token = tokenizer.eos_token" in tokens


def test_padding_that_the_class_knows_is_left_to_it(run: SourceRun, tmp_path: Path) -> None:
    """Old configurations of BERT do not name it."""
    config = json.loads((run.files.folder / "config.json").read_text())
    del config["pad_token_id"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    changed = replace(run, files=replace(run.files, folder=tmp_path))
    assert "pad_token_id" not in model_cell(changed).code


def test_kernels_that_repeat_on_a_gpu(run: SourceRun) -> None:
    assert "use_deterministic_algorithms" in model_cell(replace(run, device="cuda")).code
    assert "use_deterministic_algorithms" not in model_cell(run).code
