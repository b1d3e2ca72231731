from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.analysis.bench.conftest import forked as forked  # noqa: PLC0414 - a fixture
from tests.cli.conftest import Command
from tunesmith.analysis.bench import compare as comparison
from tunesmith.analysis.bench.compare import Result
from tunesmith.cli.commands.bench import _of_the_limit, _unsteady


@pytest.mark.usefixtures("forked")
def test_one_table(tunesmith: Command, tickets: Path, tiny_bert: Path) -> None:
    said = tunesmith(
        "bench", tickets, "--model", tiny_bert, "--who", "exact", "--who", "fast", "--turns", 2,
        "--steps", 2, "--validation", "20%",
    )  # fmt: skip
    assert said.code == 0
    header, exact, fast = said.out.splitlines()
    assert "samples/s" in header and "of the limit" in header
    assert exact.split()[0] == "exact" and fast.split()[-1] == "yes"


def test_what_is_not_known_is_a_dash(
    tunesmith: Command, tickets: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The contender that others are compared with failed on the way."""
    found = [
        Result("exact", problem="it ended"),
        Result("fast", None, 10.0, 100.0, 0.1, 300.0, loss=0.5),
    ]
    monkeypatch.setattr(comparison, "compare", lambda *_given, **_named: found)
    said = tunesmith("bench", tickets, "--model", tiny_bert)
    assert said.code == 0 and "exact takes no part: it ended" in said.err
    fast = said.out.splitlines()[-1].split()
    assert fast == ["fast", "10.0", "100", "100.0", "300", "-", "-", "-", "0.5000", "-"]
    told = tunesmith("bench", tickets, "--model", tiny_bert, "--json")
    result = json.loads(told.out)["results"][1]
    assert (result["ratio"], result["ratio_quartiles"], result["same_rows"]) == (None, None, None)


def test_unknown_contenders_are_told(tunesmith: Command, tickets: Path, tiny_bert: Path) -> None:
    said = tunesmith("bench", tickets, "--model", tiny_bert, "--who", "fats")
    assert said.code == 2
    assert 'did you mean "fast"?' in said.err


def test_more_than_all_of_the_limit_is_not_shown() -> None:
    """Nothing is faster than its limit; it was measured while something else had the machine."""
    shown = [_of_the_limit(fraction) for fraction in (None, 0.853, 1.0, 1.01, 4.85)]
    assert shown == ["-", "85%", "100%", "too unsteady to tell", "too unsteady to tell"]
    assert str(_unsteady("fast")).startswith("warning M138: fast: too unsteady to tell")
