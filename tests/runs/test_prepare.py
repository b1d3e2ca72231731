from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.errors import RecipeError
from tunesmith.inputs import resolve_inputs, validate_inputs
from tunesmith.models import ModelFiles, locate
from tunesmith.recipe import gather
from tunesmith.runs import prepare as module
from tunesmith.runs.fingerprint import versions
from tunesmith.runs.prepare import PreparedRun, prepare_run


def job(tickets: Path, model: Path | str, *sets: str, custom_metrics: bool = False) -> PreparedRun:
    layers = gather(sets=[f"data.train={tickets}", f"model={model}", *sets], environment={})
    return prepare_run(validate_inputs(resolve_inputs(layers)), custom_metrics=custom_metrics)


def test_all_that_training_needs(tickets: Path, tiny_bert: Path) -> None:
    made = job(tickets, tiny_bert, "data.validation=25%")
    assert {name: len(rows) for name, rows in made.examples.items()} == {
        "validation": 15,
        "train": 45,
    }
    train, validation = made.examples["train"], made.examples["validation"]
    assert train.prepared.key == validation.prepared.key  # one file is tokenized once
    assert not set(train.rows) & set(validation.rows)
    assert made.plan.num_examples == 45
    assert made.selection is not None and made.selection.score == "f1"
    assert any("median" in note for note in made.notes)


def test_cut_rows_are_counted_and_said(tickets: Path, tiny_bert: Path) -> None:
    made = job(tickets, tiny_bert, "train.max_length=6")
    assert made.max_length == 6
    assert made.examples["train"].lengths.max() == 6
    assert any("rows were longer than 6 tokens and lost" in note for note in made.notes)


def test_the_model_limits_the_length(tickets: Path, tiny_bert: Path) -> None:
    made = job(tickets, tiny_bert, "train.max_length=500")
    assert made.max_length == 64
    assert [w.code for w in made.warnings] == ["M119"]


def test_the_fingerprint_holds_data_tokenizer_and_model(tickets: Path, tiny_bert: Path) -> None:
    first = job(tickets, tiny_bert).fingerprint
    assert first == job(tickets, tiny_bert).fingerprint
    other = job(tickets, "embedded:mini").fingerprint
    assert first["data"] == other["data"]
    assert first["tokenizer"] != other["tokenizer"]
    assert first["model"] != other["model"]
    assert first["model"]["files"] == locate(str(tiny_bert)).fingerprint()
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= first["model"]["files"].keys()
    assert first["recipe"]["train.seed"] == 42
    assert first["recipe"] != job(tickets, tiny_bert, "train.seed=7").fingerprint["recipe"]
    assert first["versions"] == versions()


def test_the_commit_that_a_run_began_with_goes_before_the_recipes(
    tickets: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    revisions = []

    def located(name: str, *, revision: str | None) -> ModelFiles:
        revisions.append(revision)
        return ModelFiles(name, tiny_bert, revision)

    monkeypatch.setattr(module, "locate", located)
    sets = [f"data.train={tickets}", f"model={tiny_bert}", "revision=main"]
    checked = validate_inputs(resolve_inputs(gather(sets=sets, environment={})))
    assert prepare_run(checked, revision="0" * 40).files.revision == "0" * 40
    assert prepare_run(checked).files.revision == "main"
    assert revisions == ["0" * 40, "main"]


def test_places_are_numbers_where_the_file_cannot_be_read(tickets: Path, tiny_bert: Path) -> None:
    made = job(tickets, tiny_bert)
    assert [str(place) for place in made.places_of("train", [3])] == [f"{tickets}:5"]
    tickets.unlink()
    assert [str(place) for place in made.places_of("train", [3])] == [f"{tickets}[3]"]


def test_balanced_sampling_is_reported_and_planned(tickets: Path, tiny_bert: Path) -> None:
    made = job(tickets, tiny_bert, "train.sampling=balanced")
    assert any(note.startswith("balanced sampling: about 27 rows") for note in made.notes)
    assert made.plan.classes is not None
    labels = made.examples["train"].labels
    for number, members in enumerate(made.plan.classes.members):
        assert set(labels[members]) == {number}


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("masked-lm", "masked-lm has none"),
        ("multi-label-classification", "options.class_weights=balanced"),
    ],
)
def test_balanced_sampling_needs_one_class_per_row(
    task: str, words: str, tickets: Path, tiny_bert: Path
) -> None:
    sets = ["train.sampling=balanced", f"task={task}"]
    with pytest.raises(RecipeError, match="R189") as caught:
        job(tickets, tiny_bert, *sets)
    assert words in str(caught.value)
    assert "--set train.sampling=balanced" in str(caught.value)
