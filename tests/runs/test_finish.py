from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from tests.runs.test_session import session
from tunesmith.api.runs import Run
from tunesmith.api.train import train
from tunesmith.errors import IntegrityError, Problem
from tunesmith.metrics.headline import headline
from tunesmith.recipe import gather, to_yaml
from tunesmith.runs import finish
from tunesmith.runs import train as training
from tunesmith.runs.fingerprint import hash_of
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.model_card import CardFacts
from tunesmith.runs.open_session import write_recipe_and_plan
from tunesmith.runs.predictions import manifest_of
from tunesmith.runs.public_names import with_public_names
from tunesmith.storage.atomic import damage, discard
from tunesmith.training import checkpoint
from tunesmith.training.events import Finished

CARDS: list[CardFacts] = []
"""What the card of `run` was made of."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Run:
    rows = [
        {"text": f"the {'soup' if i % 2 else 'rice'} {i} is good", "label": "ab"[i % 2]}
        for i in range(40)
    ]
    test = [{"text": row["text"] + " again", "label": row["label"]} for row in rows[:9]]
    out = tmp_path_factory.mktemp("finish") / "run"
    real = finish.write_model

    def keep(*arguments: Any, card: CardFacts, **keywords: Any) -> None:
        CARDS.append(card)
        real(*arguments, card=card, **keywords)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(finish, "write_model", keep)
        return train(
            {"train": rows, "test": test},
            out=out,
            model=str(tiny_bert),
            settings={"train.epochs": 1},
        )


def test_predictions_hold_a_row_per_example(run: Run) -> None:
    table = pq.read_table(run.folder / "predictions" / "test.parquet")
    assert table.column_names == ["row", "text", "label", "predicted", "score", "scores"]
    rows = table.to_pylist()
    assert [row["row"] for row in rows] == list(range(9))
    assert rows[3]["text"] == "the soup 3 is good again"
    right = sum(row["predicted"] == row["label"] for row in rows)
    assert run.test_scores["accuracy"] == pytest.approx(right / 9)
    assert rows[0]["score"] == pytest.approx(rows[0]["scores"][rows[0]["predicted"]])
    validation = pq.read_table(run.folder / "predictions" / "validation.parquet")
    assert len(validation) == 4


def test_the_model_folder_is_whole_and_says_all(run: Run) -> None:
    assert damage(run.model) is None and damage(run.folder / "predictions") is None
    facts = json.loads((run.model / "tunesmith.json").read_text())
    assert facts["predictions"] == manifest_of(RunFolder(run.folder))
    fingerprint = RunFolder(run.folder).plan_facts()["fingerprint"]
    assert facts["data"] == fingerprint["data"]
    assert facts["data"].keys() == {"train", "validation", "test"}
    assert facts["task"]["task"] == "text-classification"
    assert facts["scores"]["test"] == run.test_scores
    assert facts["best"] == "f1"
    assert (facts["steps"], facts["reason"]) == (5, "all steps done")
    assert facts["metrics"] == ["f1", "accuracy"]
    assert facts["precision"] == "fp32"
    assert facts["words_counted_in"] == [36, 36]
    assert facts["constant"] == pytest.approx([math.log(0.5)] * 2)
    assert facts["recipe"] == hash_of(
        gather(file=run.folder / "recipe.yaml", environment={}).recipe().model_dump(mode="json")
    )
    assert facts["train_seconds"] > 0
    seen = 36 / facts["train_seconds"]  # one epoch of the rows that are left to train on
    assert facts["samples_per_second"] == pytest.approx(seen, rel=2e-3 / facts["train_seconds"])


def test_the_card_is_made_of_the_facts_of_the_run(run: Run) -> None:
    (card,) = CARDS
    assert (card.name, card.task, card.pipeline) == (
        "run", "text-classification", "text-classification",
    )  # fmt: skip
    assert (card.base_model, card.base_revision) == ("bert", None)
    assert (card.dataset, card.hub_dataset) == ("data:train", None)
    assert card.rows == {"train": 36, "validation": 4, "test": 9}
    assert card.length == "rows are cut at 64 tokens (0 of 40 were longer)"
    assert card.seed == 42
    assert card.scores.keys() == {"validation", "test"}
    assert card.scores["test"].values == run.test_scores
    assert card.headline == headline(run.facts).sentence
    assert run.facts["rows"] == card.rows
    assert card.warnings == []
    recipe = gather(file=run.folder / "recipe.yaml", environment={}).recipe()
    assert card.recipe == to_yaml(with_public_names(recipe))


def test_a_run_that_stops_early_takes_the_weights_of_its_best_step(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run")
    write_recipe_and_plan(made)
    made.progress.step = made.progress.best_step = 2
    checkpoint.save(
        made.run.checkpoints, made.engine, made.progress, {}, fingerprint=made.fingerprint
    )
    best = made.network.classifier.weight.detach().clone()
    made.network.classifier.weight.detach().zero_()
    made.progress.step = 3
    made.data_warnings = [Problem("D310", "a rare class"), Problem("M117", "another kind")]
    end = finish.finish(made, train_seconds=8.00049, examples=20)
    assert torch.equal(made.network.classifier.weight, best)
    assert end == Finished(3, "early stopping", 2, end.scores, None, 8.00049, 20 / 8.00049)
    assert end.scores is not None and end.scores.values["accuracy"] is not None
    facts = made.run.facts()
    assert (facts["steps"], facts["best_step"], facts["reason"]) == (3, 2, "early stopping")
    assert (facts["train_seconds"], facts["samples_per_second"]) == (8.0, 2.5)
    assert facts["scores"].keys() == {"validation"}
    assert [path.name for path in made.run.predictions.glob("*.parquet")] == ["validation.parquet"]
    card = (made.run.model / "README.md").read_text()
    assert "D310 a rare class" in card and "another kind" not in card
    source = SimpleNamespace(name="own/set/config:train", repository="own/set")
    from_hub = {**made.job.splits, "train": SimpleNamespace(source=source)}
    job, made.job = made.job, replace(made.job, splits=from_hub)
    facts_of_card = finish._card(made, {}, {})
    assert (facts_of_card.dataset, facts_of_card.hub_dataset) == ("own/set/config:train", "own/set")
    assert facts_of_card.warnings == ["D310 a rare class"]
    made.job = job
    discard(made.run.model)
    again = finish.finish(made, train_seconds=0.0, examples=20)  # a clock that did not move
    assert (again.train_seconds, again.samples_per_second) == (0.0, 0.0)


def test_a_damaged_best_is_not_used(
    tmp_path: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = training.finish

    def spoil(session, **more):  # type: ignore[no-untyped-def]
        best = session.progress.best_step
        folder = session.run.checkpoints / f"step-{best:08d}"
        (folder / "model.safetensors").write_bytes(b"")
        session.progress.step += best == session.progress.step  # so that it is not the last one
        return real(session, **more)

    monkeypatch.setattr(training, "finish", spoil)
    rows = [{"text": f"soup {i}", "label": "ab"[i % 2]} for i in range(20)]
    with pytest.raises(IntegrityError, match="C102"):
        train(rows, out=tmp_path / "run", model=str(tiny_bert), settings={"train.epochs": 1})
    assert not (tmp_path / "run" / "model").exists()


Change = Callable[[list[str]], list[str]]
CHANGES: dict[str, Change] = {
    "another text": lambda lines: [line.replace("soup", "rice") for line in lines],
    "another label": lambda lines: [line.replace(",a", ",b") for line in lines],
    "another order": lambda lines: [lines[0], *reversed(lines[1:])],
    "a row less": lambda lines: lines[:-1],
    "one row": lambda lines: lines[:2],
    "nothing": lambda _lines: [],
}


def rows_file(folder: Path) -> Path:
    lines = [
        "text,label",
        *(f"the {'soup' if i % 2 else 'table'} {i},{'ab'[i % 2]}" for i in range(40)),
    ]
    folder.mkdir()
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    return folder / "rows.csv"


@pytest.fixture(scope="module")
def edited(
    tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path
) -> Iterator[tuple[Path, Callable[[Path | None, str | None], Run]]]:
    """A run whose data and unlabeled test rows are files, and how to train it with an edit."""
    home = tmp_path_factory.mktemp("edited")
    data, test = rows_file(home / "secret"), home / "secret" / "unlabeled.csv"
    test.write_text("text\nthe soup 1\nthe table 2\nthe soup 3\n")
    real = training.finish

    def train_with(file: Path | None, change: str | None) -> Run:
        def edit_first(session, **more):  # type: ignore[no-untyped-def]
            if file is not None and change is not None:
                lines = CHANGES[change](file.read_text().splitlines())
                file.write_text("".join(f"{line}\n" for line in lines))
            return real(session, **more)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(training, "finish", edit_first)
            settings = {"train.max_steps": 2, "data.test": str(test)}
            return train(str(data), out=home / "run", model=str(tiny_bert), settings=settings)

    yield home, train_with


@pytest.mark.parametrize(
    ("name", "change"),
    [*(("rows.csv", change) for change in CHANGES), ("unlabeled.csv", "another text")],
)
def test_rows_edited_while_they_are_trained_on_end_the_run_before_anything_is_written(
    name: str, change: str, edited: tuple[Path, Callable[[Path | None, str | None], Run]]
) -> None:
    home, train_with = edited
    file = home / "secret" / name
    before = file.read_text()
    shutil.rmtree(home / "run", ignore_errors=True)
    try:
        with pytest.raises(IntegrityError, match="D160") as caught:
            train_with(file, change)
    finally:
        file.write_text(before)
    assert caught.value.exit_code == 6
    assert str(caught.value.problems[0].place) == str(file)
    assert not (home / "run" / "model").exists()
    assert not (home / "run" / "predictions").exists()
    assert not RunFolder(home / "run").facts()


def test_with_the_old_rows_back_the_same_command_finishes_it(
    edited: tuple[Path, Callable[[Path | None, str | None], Run]],
) -> None:
    home, train_with = edited
    file = home / "secret" / "rows.csv"
    before = file.read_text()
    shutil.rmtree(home / "run", ignore_errors=True)
    with pytest.raises(IntegrityError, match="D160"):
        train_with(file, "another text")
    file.write_text(before)
    (home / "run" / "predictions").mkdir()  # what an earlier end left of them is replaced
    (home / "run" / "predictions" / ".tmp-test.parquet-1").write_text("half")
    run = train_with(None, None)
    assert sorted(path.name for path in (home / "run" / "predictions").iterdir()) == [
        "MANIFEST.json",
        "test.parquet",
        "validation.parquet",
    ]
    test = pq.read_table(home / "run" / "predictions" / "test.parquet")
    assert test.column_names == ["row", "text", "predicted", "score", "scores"]
    assert test["text"].to_pylist() == ["the soup 1", "the table 2", "the soup 3"]
    assert run.test_scores == {} and run.facts["scores"].keys() == {"validation"}
    card, facts = ((run.model / name).read_text() for name in ("README.md", "tunesmith.json"))
    assert "rows.csv" in card and "unlabeled.csv" in card
    for text in (card, facts):
        assert "secret" not in text and str(home) not in text
    assert run.facts["base_model"] == {"name": "bert", "revision": None}
    assert "base_model: bert" in card


def test_a_best_of_another_run_is_not_taken(
    tmp_path: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = training.finish

    def exchange(session, **more):  # type: ignore[no-untyped-def]
        best = session.progress.best_step
        folder = session.run.checkpoints / f"step-{best:08d}"
        shutil.rmtree(folder)
        progress = replace(session.progress, step=best)
        fingerprint = {**session.fingerprint, "data": {"train": "another"}}
        checkpoint.save(session.run.checkpoints, session.engine, progress, {}, fingerprint)
        session.progress.step += best == session.progress.step
        return real(session, **more)

    monkeypatch.setattr(training, "finish", exchange)
    rows = [{"text": f"soup {i}", "label": "ab"[i % 2]} for i in range(20)]
    with pytest.raises(IntegrityError, match="C109"):
        train(rows, out=tmp_path / "run", model=str(tiny_bert), settings={"train.epochs": 1})
    assert not (tmp_path / "run" / "model").exists()
