from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command


def test_one_table(tunesmith: Command, tickets: Path, tiny_bert: Path) -> None:
    said = tunesmith(
        "bench", tickets, "--model", tiny_bert, "--who", "exact", "--who", "fast", "--turns", 2,
        "--steps", 2, "--validation", "20%",
    )  # fmt: skip
    assert said.code == 0
    header, exact, fast = said.out.splitlines()
    assert "samples/s" in header and "of the limit" in header
    assert exact.split()[0] == "exact" and fast.split()[-1] == "yes"


def test_unknown_contenders_are_told(tunesmith: Command, tickets: Path, tiny_bert: Path) -> None:
    said = tunesmith("bench", tickets, "--model", tiny_bert, "--who", "fats")
    assert said.code == 2
    assert 'did you mean "fast"?' in said.err
