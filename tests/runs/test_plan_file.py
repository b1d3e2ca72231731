from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.capabilities import needs
from tests.runs.stored_files import FACTS as STORED
from tests.runs.stored_files import write_finished
from tunesmith.errors import Place, Problem, Severity
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.plan_file import (
    has_begun,
    learned_from,
    read_plan,
    remembered_warnings,
    write_plan,
)
from tunesmith.storage import atomic

FACTS = {"plan": {"steps": 3, "rate": 0.1}, "fingerprint": {"data": {"train": "a"}}, "x": (1, 2)}
WARNINGS = [
    Problem("D401", "rows leak: “\u202e”", Place("x.csv", 3), ("one", "two"), "fix", count=4),
    Problem("D310", "rare", severity=Severity.WARNING, row_numbers=(1, 5)),
]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def test_it_comes_back(run: RunFolder) -> None:
    write_plan(run, FACTS, WARNINGS)
    plan, damage = read_plan(run)
    assert damage is None
    assert plan["plan"] == FACTS["plan"] and plan["x"] == [1, 2]
    assert "sha256" not in plan
    assert learned_from(run) == {"train": "a"}
    first, second = remembered_warnings(plan)
    assert first == Problem(
        "D401", "rows leak: “\u202e”", Place("x.csv:3"), ("one", "two"), "fix", count=4
    )
    assert second == WARNINGS[1]
    assert "\u202e" not in run.plan.read_text()


def test_every_cut_and_every_changed_value_is_damage(run: RunFolder) -> None:
    write_plan(run, FACTS, WARNINGS)
    whole = run.plan.read_bytes()
    assert read_plan(run)[1] is None
    for length in range(0, len(whole) - 2, 7):
        run.plan.write_bytes(whole[:length])
        plan, damage = read_plan(run)
        assert plan == {} and damage, length
    for bit in range(0, len(whole) * 8, 61):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        run.plan.write_bytes(flipped)
        plan, damage = read_plan(run)
        if damage is None:  # a bit of the white space between two values
            assert json.loads(flipped) == json.loads(whole)
        else:
            assert plan == {}, bit
    for content in ("5", "[]", "null", "{}", '{"sha256": 5}', "[" * 100_000):
        run.plan.write_text(content)
        plan, damage = read_plan(run)
        assert plan == {} and damage, content[:9]


def test_it_is_missing_or_no_file(run: RunFolder) -> None:
    assert read_plan(run) == ({}, "it is missing")
    assert learned_from(run) == {}
    assert remembered_warnings({}) == []
    run.plan.mkdir()
    plan, damage = read_plan(run)
    assert plan == {} and damage is not None and damage != "it is missing"


@pytest.mark.parametrize("make", ["mkdir", pytest.param("mkfifo", marks=needs("pipes"))])
def test_what_is_no_file_is_damage(make: str, run: RunFolder) -> None:
    getattr(os, make)(run.plan)
    assert read_plan(run) == ({}, "it is no file")
    getattr(os, make)(run.log)
    assert not has_begun(run)


def test_without_a_plan_the_model_knows_its_rows(run: RunFolder) -> None:
    write_finished(run.path, data={"train": "b"})
    run.plan.unlink()
    assert learned_from(run) == {"train": "b"}
    facts = run.model / "tunesmith.json"
    facts.write_text(json.dumps({key: value for key, value in STORED.items() if key != "data"}))
    assert learned_from(run) == {}
    write_plan(run, FACTS, ())
    assert learned_from(run) == {"train": "a"}


@pytest.mark.parametrize("name", ["model", "predictions", "checkpoints/step-00000003"])
def test_what_is_committed_shows_that_a_run_has_begun(name: str, run: RunFolder) -> None:
    assert not has_begun(run)
    run.checkpoints.mkdir()
    assert not has_begun(run)
    with atomic.publish(run.path / name):
        pass
    assert has_begun(run)
    if name.startswith("checkpoints"):
        atomic.set_aside(run.path / name)
        assert has_begun(run)  # damaged, and still the trace of hours


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ('{"event": "warned", "step": 0}\n', False),
        ('{"event": "warned", "code": "D401", "message": "step"}\n[5]\n7\nnull\n', False),
        ("[" * 100_000 + "\n\xff\n{\n", False),
        ('{"event": "warned"}\n{"event": "step", "step": 1}\n', True),
        ('torn{\n{"event": "evaluated", "step": 1}', True),
        ('{"event": "saved"}', True),
        ('{"event": "finished"}', True),
    ],
)
def test_what_is_logged_shows_it_too(log: str, expected: bool, run: RunFolder) -> None:
    run.log.write_text(log, encoding="latin-1")
    assert has_begun(run) is expected
    run.log.unlink()
    run.log.mkdir()
    assert not has_begun(run)
