"""Whole commands in a process that refuses what Windows refuses: `tests/platforms/windows.py`."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import make_tiny_bert, ticket_rows
from tests.platforms import verbs
from tests.runs.children import in_child

ON_LINUX = pytest.mark.skipif(
    not Path("/proc/self/maps").exists() or not hasattr(os, "fork"),
    reason="which files are open is read from /proc, in a forked process",
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with data and a model."""
    with (tmp_path / "工单.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(ticket_rows(60))
    make_tiny_bert(tmp_path / "bert", layers=1)
    return tmp_path


def in_windows(steps: Callable[..., None], *arguments: object, timeout: float = 120) -> int:
    """Run steps in a child that has not loaded anything as on Linux; returns its exit code."""
    return in_child(steps, *arguments, timeout=timeout, preloaded=False)


def passed(home: Path, code: int) -> None:
    failure = home / "failure.txt"
    assert code == 0, failure.read_text(encoding="utf-8") if failure.exists() else code


@ON_LINUX
def test_a_run_from_its_first_step_to_its_deletion(home: Path) -> None:
    passed(home, in_windows(verbs.train_to_delete_on_windows, home))


@ON_LINUX
@pytest.mark.slow
def test_every_other_command(home: Path) -> None:
    passed(home, in_windows(verbs.every_verb_on_windows, home, timeout=300))


@ON_LINUX
@pytest.mark.slow
@pytest.mark.parametrize("rename", [1, 2, 3, 4])
def test_a_process_that_is_ended_leaves_a_run_that_goes_on(home: Path, rename: int) -> None:
    assert in_windows(verbs.train_and_die_on_windows, home, rename) == 9
    passed(home, in_windows(verbs.train_and_die_on_windows, home, 0))
    assert verbs.leftovers(home / "runs") == []
