from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.analysis.bench.conftest import forked as forked  # noqa: PLC0414 - a fixture
from tests.cli.conftest import Command
from tunesmith.analysis.bench import compare as comparison
from tunesmith.analysis.bench.compare import Result
from tunesmith.analysis.bench.load import Load
from tunesmith.cli.commands.bench import _table_row, _too_busy, _unsteady


@pytest.mark.usefixtures("forked")
def test_one_table(tunesmith: Command, tickets: Path, tiny_bert: Path) -> None:
    output = tunesmith(
        "bench", tickets, "--model", tiny_bert, "--who", "exact", "--who", "fast", "--turns", 2,
        "--steps", 2, "--validation", "20%",
    )  # fmt: skip
    assert output.code == 0
    header, exact, fast = output.out.splitlines()
    assert "samples/s" in header and "of the limit" in header
    assert exact.split()[0] == "exact" and fast.split()[-1] == "yes"


def test_unknown_values_are_dashes(
    tunesmith: Command, tickets: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The contender that others are compared with failed."""
    results = [
        Result("exact", problem="it ended"),
        Result("fast", None, 10.0, 100.0, 0.1, 300.0, loss=0.5),
    ]
    monkeypatch.setattr(comparison, "compare", lambda *_args, **_options: results)
    output = tunesmith("bench", tickets, "--model", tiny_bert)
    assert output.code == 0 and "exact is left out: it ended" in output.err
    fast = output.out.splitlines()[-1].split()
    assert fast == ["fast", "10.0", "100", "100.0", "300", "-", "-", "-", "0.5000", "-"]
    printed = tunesmith("bench", tickets, "--model", tiny_bert, "--json")
    result = json.loads(printed.out)["results"][1]
    assert (result["ratio"], result["ratio_quartiles"], result["same_rows"]) == (None, None, None)


def test_the_drop_in_class_is_compared_with_the_recipe(
    tunesmith: Command, tickets: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []

    def results(contenders: Any, *_args: Any, **_options: Any) -> list[Result]:
        compared.extend(contender.name for contender in contenders)
        rates = [(5.0, 5.0), (9.6, 9.9), (10.0, 10.0)]
        return [
            Result(c.name, None, 10.0, 100.0, 0.1, 300.0, each_turn=each)
            for c, each in zip(contenders, rates, strict=True)
        ]

    monkeypatch.setattr(comparison, "compare", results)
    output = tunesmith("bench", tickets, "--model", tiny_bert, "--drop-in", "--who", "fast-bf16")
    assert compared == ["script-bf16", "drop-in-bf16", "fast-bf16"]
    assert "drop-in-bf16 / fast-bf16: 0.97 (0.96 - 0.99)" in output.err


def test_unknown_contender(tunesmith: Command, tickets: Path, tiny_bert: Path) -> None:
    output = tunesmith("bench", tickets, "--model", tiny_bert, "--who", "fats")
    assert output.code == 2
    assert 'did you mean "fast"?' in output.err


def test_a_busy_machine_gives_no_ratio_but_what_took_it(
    tunesmith: Command, tickets: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = Load(5, 5, True, 2, 0.94, (("browser", 0.6), ("python", 0.3)))
    results = [
        Result(
            name, None, 10.0, 100.0, 0.1, 300.0, ratio, (ratio, ratio), 4.85, 0.5, True, load=load
        )
        for name, ratio in (("trainer", 1.0), ("fast", 3.2))
    ]
    monkeypatch.setattr(comparison, "compare", lambda *_args, **_options: results)
    output = tunesmith("bench", tickets, "--model", tiny_bert)
    assert (
        "warning M138: the machine is too busy to compare: in 5 of 5 turns other processes used "
        "0.9 of 2 CPUs"
    ) in output.err
    assert "browser: 0.6 CPUs" in output.err and "End these programs" in output.err
    assert output.err.count("M138") == 1
    assert "too busy" in output.out and "3.20" not in output.out and "485%" not in output.out
    printed = json.loads(tunesmith("bench", tickets, "--model", tiny_bert, "--json").out)
    assert printed["load"]["is_too_busy"] and printed["load"]["by"][0] == ["browser", 0.6]
    assert [result["ratio"] for result in printed["results"]] == [None, None]
    assert [result["fraction"] for result in printed["results"]] == [None, None]


def test_a_processor_that_changes_its_speed() -> None:
    load = Load(5, 5, True, 2, 0.0)
    assert "the processor was slower" in str(_too_busy(load))


def test_ratios_that_go_up_and_down_are_not_shown() -> None:
    def ratio(*, same_rows: bool) -> str:
        result = Result("a", ratio=2.0, ratio_quartiles=(1.1, 3.0), same_rows=same_rows)
        return _table_row(result)["ratio"]

    assert (ratio(same_rows=True), ratio(same_rows=False)) == ("too noisy", "2.00")


def test_fractions_above_the_limit_are_not_shown() -> None:
    """No step is faster than its limit; such a fraction was measured on a busy machine."""
    results = [
        Result("fast", None, 10.0, 100.0, 0.1, 300.0, loss=0.5, fraction=fraction)
        for fraction in (None, 0.853, 1.0, 1.01, 4.85)
    ]
    shown = [_table_row(result)["of the limit"] for result in results]
    assert shown == ["-", "85%", "100%", "too noisy", "too noisy"]
    assert str(_unsteady("fast")).startswith("warning M138: fast: timings are too noisy")
