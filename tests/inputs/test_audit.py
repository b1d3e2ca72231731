"""The audit through the front door: what stops, what is reported, that training begins with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunesmith.errors import DataError, RecipeError
from tunesmith.inputs import resolve_inputs, validate_inputs
from tunesmith.recipe import gather
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.start import inputs_of

GOOD = "text,label\n" + "".join(f"text number {i} {i * 7919},{'ab'[i % 2]}\n" for i in range(20))


def test_problems_of_rows_and_of_the_whole_come_together(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(GOOD + ",a\n")
    (tmp_path / "t.csv").write_text("\n".join(GOOD.splitlines()[:5]) + "\nwhat,c\n")
    layers = gather(
        sets=[f"data.train={tmp_path / 'a.csv'}", f"data.test={tmp_path / 't.csv'}"],
        environment={},
    )
    with pytest.raises(DataError) as caught:
        validate_inputs(resolve_inputs(layers), audited=True)
    assert {"D310", "D206", "D401"} <= {problem.code for problem in caught.value.problems}


def test_training_begins_with_it_once(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(GOOD)
    (tmp_path / "t.csv").write_text("\n".join(GOOD.splitlines()[:5]) + "\n")
    sets = [
        "model=embedded:mini",
        f"data.train={tmp_path / 'a.csv'}",
        f"data.test={tmp_path / 't.csv'}",
    ]
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    with pytest.raises(DataError, match="D401"):
        inputs_of(gather(sets=sets, environment={}), run)
    assert not run.exists
    allowed = gather(sets=[*sets, "data.allow_leak=true"], environment={})
    assert "D401" in {problem.code for problem in inputs_of(allowed, run).warnings}


def test_a_model_whose_classes_are_in_another_order(tmp_path: Path, tiny_bert: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_text((tiny_bert / name).read_text())
    config = json.loads((tiny_bert / "config.json").read_text())
    config |= {"id2label": {"0": "b", "1": "a"}}
    (folder / "config.json").write_text(json.dumps(config))
    (tmp_path / "a.csv").write_text(GOOD)
    base = [f"model={folder}", f"data.train={tmp_path / 'a.csv'}"]
    for sets, is_reported in (([], True), (["data.labels=[b, a]"], False)):
        result = validate_inputs(
            resolve_inputs(gather(sets=[*base, *sets], environment={})), audited=True
        )
        assert ("D407" in {problem.code for problem in result.warnings}) == is_reported


def test_scores_that_do_not_exist_are_reported_before_anything_is_read(tickets: Path) -> None:
    layers = gather(sets=[f"data.train={tickets}", "metrics=[f2]"], environment={})
    with pytest.raises(RecipeError, match="R110"):
        validate_inputs(resolve_inputs(layers))
