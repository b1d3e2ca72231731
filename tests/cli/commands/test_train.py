from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command
from tunesmith.api.train import start
from tunesmith.cli.commands.train import _duration, _plan_lines, _size, _unsteady
from tunesmith.runs.dry_run import Estimate
from tunesmith.training.events import Warned

SHORT = ("--set", "train.epochs=1", "--set", "train.log_every=2")


def test_train_on_csv(tunesmith: Command, tickets: Path, tiny_bert: Path) -> None:
    output = tunesmith("train", tickets, "--model", tiny_bert, *SHORT)
    assert output.code == 0
    assert "data.text = body" in output.err
    assert "data.label = queue  (by its name)" in output.err
    assert "2 classes: order 30, repair 30" in output.err
    assert "step=7/7" in output.err
    assert "curves too short to tell" in output.err
    assert "try    train.epochs: 2" in output.err
    assert "\r" not in output.err
    assert output.table[0].split()[:3] == ["validation", "score", "95%"]
    assert output.table[1].split()[0] == "f1"
    assert "TF-IDF" in output.out
    assert "model  runs/tickets/model" in output.out
    again = tunesmith("train", tickets, "--model", tiny_bert, *SHORT)
    assert again.code == 0
    assert "this run is finished" in again.err
    assert again.out == output.out
    assert "C104" not in again.err
    tickets.write_text(tickets.read_text().replace("printer", "plotter"))
    again = tunesmith("train", tickets, "--model", tiny_bert, *SHORT)
    assert again.code == 0 and again.out == output.out
    assert "note C104 runs/tickets: the data changed since the run was trained" in again.err
    settings = {"model": str(tiny_bert), "train.epochs": 1, "train.log_every": 2}
    (problem,) = [
        event.problem
        for event in start(str(tickets), out="runs/tickets", settings=settings)
        if isinstance(event, Warned)
    ]
    assert problem.code == "C104"


def test_failed_start_leaves_no_run(tunesmith: Command, tickets: Path, tiny_bert: Path) -> None:
    output = tunesmith("train", tickets, "--model", "embeded:mini", *SHORT)
    assert output.code == 2 and "classes" not in output.err  # before the data was looked at
    output = tunesmith(
        "train", tickets, "--model", tiny_bert, *SHORT, "--set", "trackers=tensorbord"
    )
    assert output.code == 2
    assert tunesmith("runs", "list").out == ""
    output = tunesmith("train", tickets, "--model", tiny_bert, *SHORT)
    assert output.code == 0, output.err


def test_json_prints_events_and_summary(tunesmith: Command, tickets: Path, tiny_bert: Path) -> None:
    output = tunesmith("train", tickets, "--model", tiny_bert, "--out", "r", "--json", *SHORT)
    *events, summary = output.records
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


def test_quiet_prints_only_the_result(tunesmith: Command, tickets: Path, tiny_bert: Path) -> None:
    output = tunesmith("train", tickets, "--model", tiny_bert, "-q", *SHORT)
    assert output.code == 0
    assert output.err == ""
    assert [line.split()[0] for line in output.table] == [
        "validation", "f1", "accuracy", "loss", "model",
    ]  # fmt: skip


def test_flags_override_the_recipe(tunesmith: Command, tickets: Path, tiny_bert: Path) -> None:
    Path("recipe.yaml").write_text(f"model: none\ndata: {{train: {tickets}}}\n")
    output = tunesmith(
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
    assert output.code == 0
    assert Path("runs/recipe/model").is_dir()
    assert "validation: 20%" in Path("runs/recipe/recipe.yaml").read_text()


def test_errors_as_text_and_json(tunesmith: Command, tickets: Path) -> None:
    output = tunesmith("train", tickets, "--label", "lable", "--model", "embedded:mini")
    assert output.code == 3
    assert 'error D301 --label: no column "lable"' in output.err
    assert output.out == ""
    output = tunesmith("train", tickets, "--label", "lable", "--model", "embedded:mini", "--json")
    assert output.code == 3
    (record,) = output.records
    assert (record["event"], record["code"]) == ("error", "D301")
    assert not Path("runs/tickets/recipe.yaml").exists()


def test_debug_adds_the_traceback(tunesmith: Command) -> None:
    assert "Traceback" in tunesmith("train", "no.csv", "--debug").err


def test_two_files_are_concatenated(tunesmith: Command, tickets: Path, tiny_bert: Path) -> None:
    output = tunesmith("train", tickets, tickets, "--model", tiny_bert, "--out", "r", *SHORT)
    assert output.code == 0
    assert "order 60, repair 60" in output.err  # equal texts on one side, all kept


def test_several_label_columns(tunesmith: Command, tiny_bert: Path, write_csv) -> None:  # type: ignore[no-untyped-def]
    rows = [["text", "rude", "loud"], *([f"t {i}", i % 2, i % 3 % 2] for i in range(30))]
    output = tunesmith(
        "train", write_csv(rows), "--model", tiny_bert, "--label", "rude", "--label", "loud", *SHORT
    )
    assert output.code == 0
    assert "f1_micro" in output.out


def test_several_seeds(tunesmith: Command, tickets: Path, tiny_bert: Path) -> None:
    words = ("train", tickets, "--model", tiny_bert, "--seeds", "2", *SHORT)
    output = tunesmith(*words)
    assert output.code == 0
    assert Path("runs/tickets-seed-42/model").is_dir()
    assert "seed: 43" in Path("runs/tickets-seed-43/recipe.yaml").read_text()
    header = next(line for line in output.out.splitlines() if "deviation" in line)
    assert header.split() == ["validation", "mean", "deviation", "lowest", "highest"]
    again = tunesmith(*words)
    assert again.err.count("this run is finished") == 2
    assert again.out == output.out
    *_events, summary = tunesmith(*words, "--json").records
    assert summary["event"] == "seeds"
    spread = summary["scores"]["validation"]["accuracy"]
    assert len(spread["values"]) == 2
    assert spread["lowest"] <= spread["mean"] <= spread["highest"]


def test_collapsed_model_is_reported(tunesmith: Command, tickets: Path, tiny_bert: Path) -> None:
    output = tunesmith(
        "train", tickets, "--model", tiny_bert, *SHORT, "--set", "train.learning_rate=0.00001",
        "--validation", "50%",
    )  # fmt: skip
    assert output.code == 0
    assert "→ Collapsed (M135): all answers are the same on " in output.out
    assert "warning M135: validation: collapsed: the predictions for all" in output.err
    assert ": all answers are the same on " in Path("runs/tickets/model/README.md").read_text()


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_dry_run_prints_the_plan_and_writes_nothing(
    tunesmith: Command, tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    before = everything(tmp_path)
    steps = ("--set", "train.max_steps=5")
    output = tunesmith("train", tickets, "--model", tiny_bert, "--dry-run", *steps)
    assert output.code == 0
    assert [line.split()[0] for line in output.out.splitlines()] == [
        "plan", "device", "threads", "measured", "estimate", "needed",
    ]  # fmt: skip
    assert "train 54, validation 6" in output.out
    assert (
        "cpu, fp32 · batch size 8, micro-batches of 8 · fast: first token, last layer cut"
        in output.out
    )
    assert "s per step, from 3 steps" in output.out
    assert "5 steps " in output.out and " + 2 evaluations " in output.out
    assert "nothing was written to runs/tickets" in output.err
    assert everything(tmp_path) == before
    output = tunesmith("train", tickets, "--model", tiny_bert, "--dry-run", "--json", *steps)
    (record,) = output.records
    assert record["event"] == "plan"
    assert record["total_steps"] == 5
    assert record["seconds"] > 0 and record["warnings"] == []
    assert everything(tmp_path) == before


def test_dry_run_raises_errors_of_the_run(
    tunesmith: Command, tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    before = everything(tmp_path)
    output = tunesmith("train", tickets, "--model", tiny_bert, "--dry-run", "--set", "metrics=[f2]")
    assert output.code == 2 and "R110" in output.err
    assert everything(tmp_path) == before


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (260, "4 m 20 s"), (7_500, "2 h 5 m")],
)
def test_durations(seconds: float, text: str) -> None:
    assert _duration(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(820_000_000, "820 MB"), (16_400_000_000, "16.4 GB")])
def test_sizes(count: int, text: str) -> None:
    assert _size(count) == text


def test_noisy_timings_give_no_total() -> None:
    numbers = dict.fromkeys((field.name for field in fields(Estimate)), 1)
    values: dict[str, Any] = {
        **numbers, "model": "m", "rows": {}, "device": "cpu", "precision": "fp32", "engine": {},
        "warnings": [], "train_seconds": 7200.0,
    }  # fmt: skip
    steady, unsteady = (Estimate(**{**values, "spread": spread}) for spread in (3.0, 3.01))
    assert (steady.is_unsteady, unsteady.is_unsteady) == (False, True)
    assert unsteady.as_json()["is_unsteady"] is True
    assert not _unsteady(steady)
    (problem,) = _unsteady(unsteady)
    assert problem.code == "M139" and "too noisy to estimate" in problem.message
    assert "3.0 times" in problem.message
    totals = [_plan_lines(plan)["estimate"].rpartition(" = ")[2] for plan in (steady, unsteady)]
    assert totals == ["2 h 0 m", "too noisy"]
