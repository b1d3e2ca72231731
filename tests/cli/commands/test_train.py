from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Command
from tunesmith.api.train import start
from tunesmith.training.events import Warned

SHORT = ("--set", "train.epochs=1", "--set", "train.log_every=2")


def test_a_csv_becomes_a_model(tunesmith: Command, tickets: Path, tiny_bert: Path) -> None:
    said = tunesmith("train", tickets, "--model", tiny_bert, *SHORT)
    assert said.code == 0
    assert "data.text = body" in said.err
    assert "data.label = queue  (by its name)" in said.err
    assert "2 classes: order 30, repair 30" in said.err
    assert "step=7/7" in said.err
    assert "reading  too short to tell" in said.err
    assert "try    train.epochs: 2" in said.err
    assert "\r" not in said.err
    assert said.table[0].split()[:3] == ["validation", "score", "95%"]
    assert said.table[1].split()[0] == "f1"
    assert "always the same" in said.out
    assert "model  runs/tickets/model" in said.out
    again = tunesmith("train", tickets, "--model", tiny_bert, *SHORT)
    assert again.code == 0
    assert "this run is finished" in again.err
    assert again.out == said.out
    assert "C104" not in again.err
    tickets.write_text(tickets.read_text().replace("printer", "plotter"))
    again = tunesmith("train", tickets, "--model", tiny_bert, *SHORT)
    assert again.code == 0 and again.out == said.out
    assert "note C104 runs/tickets: the data changed since the run was trained" in again.err
    settings = {"model": str(tiny_bert), "train.epochs": 1, "train.log_every": 2}
    (problem,) = [
        event.problem
        for event in start(str(tickets), out="runs/tickets", settings=settings)
        if isinstance(event, Warned)
    ]
    assert problem.code == "C104"


def test_a_start_that_failed_refuses_nothing(
    tunesmith: Command, tickets: Path, tiny_bert: Path
) -> None:
    said = tunesmith("train", tickets, "--model", "embeded:mini", *SHORT)
    assert said.code == 2 and "classes" not in said.err  # before the data was looked at
    said = tunesmith("train", tickets, "--model", tiny_bert, *SHORT, "--set", "trackers=tensorbord")
    assert said.code == 2
    assert tunesmith("runs", "list").out == ""
    said = tunesmith("train", tickets, "--model", tiny_bert, *SHORT)
    assert said.code == 0, said.err


def test_json_is_the_events_and_a_summary(
    tunesmith: Command, tickets: Path, tiny_bert: Path
) -> None:
    said = tunesmith("train", tickets, "--model", tiny_bert, "--out", "r", "--json", *SHORT)
    *events, summary = said.records
    written = [json.loads(line) for line in Path("r/events.jsonl").read_text().splitlines()]
    assert events == written
    assert {e["event"] for e in events} == {"step", "evaluated", "saved", "finished"}
    assert summary["run"] == "r"
    assert summary["model"] == "r/model"
    assert summary["steps"] == 7
    assert summary["best"]["step"] == 7
    assert set(summary["best"]["scores"]) == {"f1", "accuracy", "loss"}
    assert set(summary["intervals"]["validation"]) == {"f1", "accuracy", "loss"}
    assert set(summary["baselines"]["validation"]) == {"constant", "tfidf"}
    assert summary["train_seconds"] > 0
    assert summary["samples_per_second"] > 0


def test_quiet_says_only_the_result(tunesmith: Command, tickets: Path, tiny_bert: Path) -> None:
    said = tunesmith("train", tickets, "--model", tiny_bert, "-q", *SHORT)
    assert said.code == 0
    assert said.err == ""
    assert [line.split()[0] for line in said.table] == [
        "validation", "f1", "accuracy", "loss", "model",
    ]  # fmt: skip


def test_a_recipe_with_flags_above_it(tunesmith: Command, tickets: Path, tiny_bert: Path) -> None:
    Path("recipe.yaml").write_text(f"model: none\ndata: {{train: {tickets}}}\n")
    said = tunesmith(
        "train",
        "recipe.yaml",
        "--model",
        tiny_bert,
        "--label",
        "queue",
        "--validation",
        "20%",
        *SHORT,
    )
    assert said.code == 0
    assert Path("runs/recipe/model").is_dir()
    assert "validation: 20%" in Path("runs/recipe/recipe.yaml").read_text()


def test_errors_are_words_codes_and_json(tunesmith: Command, tickets: Path) -> None:
    said = tunesmith("train", tickets, "--label", "lable", "--model", "embedded:mini")
    assert said.code == 3
    assert 'error D301 --label: no column "lable"' in said.err
    assert said.out == ""
    said = tunesmith("train", tickets, "--label", "lable", "--model", "embedded:mini", "--json")
    assert said.code == 3
    (record,) = said.records
    assert (record["event"], record["code"]) == ("error", "D301")
    assert not Path("runs/tickets/recipe.yaml").exists()


def test_debug_adds_the_traceback(tunesmith: Command) -> None:
    assert "Traceback" in tunesmith("train", "no.csv", "--debug").err


def test_two_files_are_one_table(tunesmith: Command, tickets: Path, tiny_bert: Path) -> None:
    said = tunesmith("train", tickets, tickets, "--model", tiny_bert, "--out", "r", *SHORT)
    assert said.code == 0
    assert "order 60, repair 60" in said.err  # equal texts on one side, all kept


def test_several_label_columns(tunesmith: Command, tiny_bert: Path, write_csv) -> None:  # type: ignore[no-untyped-def]
    rows = [["text", "rude", "loud"], *([f"t {i}", i % 2, i % 3 % 2] for i in range(30))]
    said = tunesmith(
        "train", write_csv(rows), "--model", tiny_bert, "--label", "rude", "--label", "loud", *SHORT
    )
    assert said.code == 0
    assert "f1_micro" in said.out


def test_several_seeds(tunesmith: Command, tickets: Path, tiny_bert: Path) -> None:
    words = ("train", tickets, "--model", tiny_bert, "--seeds", "2", *SHORT)
    said = tunesmith(*words)
    assert said.code == 0
    assert Path("runs/tickets-seed-42/model").is_dir()
    assert "seed: 43" in Path("runs/tickets-seed-43/recipe.yaml").read_text()
    header = next(line for line in said.out.splitlines() if "deviation" in line)
    assert header.split() == ["validation", "mean", "deviation", "lowest", "highest"]
    again = tunesmith(*words)
    assert again.err.count("this run is finished") == 2
    assert again.out == said.out
    *_events, summary = tunesmith(*words, "--json").records
    assert summary["event"] == "seeds"
    told = summary["scores"]["validation"]["accuracy"]
    assert len(told["values"]) == 2
    assert told["lowest"] <= told["mean"] <= told["highest"]


def test_a_collapsed_model_is_called_that(
    tunesmith: Command, tickets: Path, tiny_bert: Path
) -> None:
    said = tunesmith(
        "train", tickets, "--model", tiny_bert, *SHORT, "--set", "train.learning_rate=0.00001",
        "--validation", "50%",
    )  # fmt: skip
    assert said.code == 0
    headline = "Collapsed (M135): all answers are the same on "
    assert f"→ {headline}" in said.out
    assert "warning M135: validation: collapsed: the model gives the same answer" in said.err
    assert headline in Path("runs/tickets/model/README.md").read_text()
