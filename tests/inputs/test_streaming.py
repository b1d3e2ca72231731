from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.shards import write_shards
from tunesmith.errors import RecipeError
from tunesmith.inputs import ValidatedInputs, resolve_inputs, streaming, validate_inputs
from tunesmith.inputs.streaming import default_share
from tunesmith.recipe import Percentage, gather


@pytest.fixture
def shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))
    return write_shards(tmp_path / "data", 180)


def checked(shards: Path, *sets: str) -> ValidatedInputs:
    sets = (f"data.train={shards}", "model=embedded:mini", *sets)
    return validate_inputs(resolve_inputs(gather(sets=sets, environment={})), audited=True)


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("train.sampling=balanced", "class_weights"),
        ("data.on_bad_row=quarantine", "on_bad_row"),
        ("data.normalize_labels=true", "corrected copy"),
        ("data.group=label", "data.group"),
    ],
)
def test_what_needs_all_rows_is_refused_if_streaming_is_requested(
    shards: Path, setting: str, reason: str
) -> None:
    with pytest.raises(RecipeError) as raised:
        checked(shards, "data.streaming=true", setting)
    (problem,) = raised.value.problems
    assert problem.code == "R231"
    assert problem.fix is not None
    assert reason in problem.fix


def test_many_rows_are_streamed_and_a_sample_is_checked(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checked(shards).streaming is None
    monkeypatch.setattr(streaming, "STREAMED_FROM", 100)
    monkeypatch.setattr(streaming, "_SAMPLE_ROWS", 40)
    monkeypatch.setattr(streaming, "_HELD_OUT_ROWS", 9)
    inputs = checked(shards, "data.window=192")
    assert inputs.streaming is not None
    assert inputs.recipe.data.streaming is True  # so that the same run is one later, too
    assert inputs.recipe.data.validation == Percentage(0.05)
    assert {name: split.num_rows for name, split in inputs.splits.items()} == {
        "train": 171,
        "validation": 9,
    }
    (note,) = [problem for problem in inputs.warnings if problem.code == "D222"]
    assert "of 171 training rows were checked, chosen by data.seed 42" in note.message
    assert checked(shards, "data.streaming=false").streaming is None
    assert checked(shards, "train.sampling=balanced").streaming is None


def test_the_fraction_to_validate_on_is_that_of_some_thousand_rows() -> None:
    assert default_share(100_000, 0.1) is None
    assert default_share(6_000_000, 0.1) == "0.33%"
    assert default_share(1_000_000_000, 0.1) == "0.0020%"


def test_too_many_rows_to_evaluate_are_refused(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "_MOST_HELD_OUT", 20)
    with pytest.raises(RecipeError) as raised:
        checked(shards, "data.streaming=true", "data.validation=30%")
    assert [problem.code for problem in raised.value.problems] == ["R232"]


def test_a_class_that_the_sample_lacks_can_be_named(shards: Path) -> None:
    named = "data.labels=[order,repair,refund]"
    inputs = checked(shards, "data.streaming=true", named)
    assert inputs.task.output.names == ("order", "repair", "refund")
    with pytest.raises(RecipeError) as raised:
        checked(shards, named)
    assert [problem.code for problem in raised.value.problems] == ["R112"]
