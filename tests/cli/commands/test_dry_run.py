from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command
from tunesmith.cli.commands.dry_run import _duration, _lines, _size, _unsteady
from tunesmith.runs.dry_run import Estimate


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_it_tells_the_plan_and_writes_nothing(
    tunesmith: Command, tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    before = everything(tmp_path)
    steps = ("--set", "train.max_steps=5")
    said = tunesmith("train", tickets, "--model", tiny_bert, "--dry-run", *steps)
    assert said.code == 0
    assert [line.split()[0] for line in said.out.splitlines()] == [
        "plan", "device", "measured", "estimate", "needed",
    ]  # fmt: skip
    assert "train 54, validation 6" in said.out
    assert "cpu, fp32 · 8 rows a step, 8 at once · fast: first token, last layer cut" in said.out
    assert "a step, from 3 steps" in said.out
    assert "5 steps " in said.out and " + 2 evaluations " in said.out
    assert "nothing was written to runs/tickets" in said.err
    assert everything(tmp_path) == before
    said = tunesmith("train", tickets, "--model", tiny_bert, "--dry-run", "--json", *steps)
    (record,) = said.records
    assert record["event"] == "plan"
    assert record["total_steps"] == 5
    assert record["seconds"] > 0 and record["warnings"] == []
    assert everything(tmp_path) == before


def test_what_would_end_the_run_ends_it(
    tunesmith: Command, tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    before = everything(tmp_path)
    said = tunesmith("train", tickets, "--model", tiny_bert, "--dry-run", "--set", "metrics=[f2]")
    assert said.code == 2 and "R110" in said.err
    assert everything(tmp_path) == before


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (260, "4 m 20 s"), (7_500, "2 h 5 m")],
)
def test_times_in_words(seconds: float, words: str) -> None:
    assert _duration(seconds) == words


@pytest.mark.parametrize(("count", "words"), [(820_000_000, "820 MB"), (16_400_000_000, "16.4 GB")])
def test_sizes_in_words(count: int, words: str) -> None:
    assert _size(count) == words


def test_steps_that_differ_too_much_give_no_total() -> None:
    numbers = dict.fromkeys((field.name for field in fields(Estimate)), 1)
    given: dict[str, Any] = {
        **numbers, "model": "m", "rows": {}, "device": "cpu", "precision": "fp32", "engine": {},
        "warnings": [], "train_seconds": 7200.0,
    }  # fmt: skip
    steady, unsteady = (Estimate(**{**given, "spread": spread}) for spread in (3.0, 3.01))
    assert (steady.is_unsteady, unsteady.is_unsteady) == (False, True)
    assert unsteady.as_json()["is_unsteady"] is True
    assert not _unsteady(steady)
    (problem,) = _unsteady(unsteady)
    assert problem.code == "M139" and "too unsteady to tell" in problem.message
    assert "3.0 times" in problem.message
    totals = [list(_lines(found).values())[3].rpartition(" = ")[2] for found in (steady, unsteady)]
    assert totals == ["2 h 0 m", "too unsteady to tell"]
