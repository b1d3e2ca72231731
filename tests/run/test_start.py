from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.errors import FolderInUseError, RecipeError
from tunesmith.recipe import gather
from tunesmith.run.start import held, inputs_of, remarks, run_folder, start


def layers(tickets: Path, *sets: str):  # type: ignore[no-untyped-def]
    model = "model=embedded:mini"
    return gather(sets=[f"data.train={tickets}", model, *sets], environment={})


def test_the_recipe_is_written_with_every_choice_explained(tmp_path: Path, tickets: Path) -> None:
    run = run_folder(tmp_path / "run", asked_by="x")
    checked = inputs_of(layers(tickets), run)
    text = run.recipe.read_text()
    assert "label: queue" in text
    assert "automatic: by its name" in text
    again = gather(file=run.recipe, environment={}).recipe()
    assert again == checked.recipe
    assert ("data", "label") in remarks(checked.layers)


def test_the_same_recipe_may_come_again_and_another_not(tmp_path: Path, tickets: Path) -> None:
    run = run_folder(tmp_path / "run", asked_by="x")
    inputs_of(layers(tickets), run)
    inputs_of(layers(tickets, "train.save_every=1 epoch"), run)
    with pytest.raises(RecipeError, match="C108") as caught:
        inputs_of(layers(tickets, "train.epochs=1", "train.seed=7"), run)
    assert "train.epochs: 3 → 1" in str(caught.value)
    assert "train.seed: 42 → 7" in str(caught.value)


def test_the_name_follows_from_what_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_folder(None, asked_by="data/tickets.csv").path == Path("runs/tickets")


def test_restart_keeps_the_old_run(tmp_path: Path, tickets: Path) -> None:
    out = tmp_path / "run"
    with start(layers(tickets), out=out, asked_by="x"):
        (out / "events.jsonl").write_text("old")
    with start(layers(tickets, "train.epochs=1"), out=out, asked_by="x", restart=True) as started:
        assert not (out / "events.jsonl").exists()
        assert started.checked.recipe.train.epochs == 1
    (kept,) = tmp_path.glob("run-before-*")
    assert (kept / "events.jsonl").read_text() == "old"
    assert (kept / "recipe.yaml").is_file()


def test_the_folder_is_held_meanwhile(tmp_path: Path, tickets: Path) -> None:
    with start(layers(tickets), out=tmp_path / "run", asked_by="x") as started:
        assert not started.is_finished
        with pytest.raises(FolderInUseError), held(started.run):
            pass


def test_only_the_first_process_writes(
    tmp_path: Path, tickets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    with start(layers(tickets), out=tmp_path / "run", asked_by="x"):
        assert not (tmp_path / "run").exists()
