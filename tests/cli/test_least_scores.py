"""`eval --fail-under`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Command


def test_a_score_that_is_not_good_enough(tunesmith: Command, trained: Path) -> None:
    data = trained.parents[1] / "tickets.csv"
    assert tunesmith("eval", trained, data, "--fail-under", "accuracy=0.01").code == 0
    failed = tunesmith("eval", trained, data, "--fail-under", "f1_macro=1.01", "--fail-under",
                       "loss=0.0001", "--fail-under", "accuracy=0")  # fmt: skip
    assert failed.code == 1
    assert f"error M154 {data}: f1_macro is " in failed.err
    assert ", at least 1.01 is required" in failed.err
    assert ", at most 0.0001 is required" in failed.err
    assert failed.err.count("M154") == 2
    assert "f1_macro" in failed.out and "accuracy" in failed.out
    quiet = tunesmith("eval", trained, data, "-q", "--json", "--fail-under", "accuracy=1.01")
    assert [record.get("code") for record in quiet.records] == [None, "M154"]


@pytest.mark.parametrize("least", ["accuracy", "accuracy=", "accuracy=good", "accuracy=nan", "=1"])
def test_a_bad_minimum(least: str, tunesmith: Command, trained: Path) -> None:
    failed = tunesmith("eval", trained, trained.parents[1] / "tickets.csv", "--fail-under", least)
    assert failed.code == 2
    assert least in failed.err or "R110" in failed.err
