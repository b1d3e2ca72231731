from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.analysis.bench.test_contenders import settings
from tunesmith.analysis.bench import compare as comparison
from tunesmith.analysis.bench.compare import Result, compare, machine, ratio_of, steps_taken
from tunesmith.analysis.bench.contenders import CONTENDERS, Contender, Turn


@pytest.mark.usefixtures("forked")
def test_the_same_training_side_by_side(tickets: Path, tiny_bert: Path) -> None:
    """Trainer and both engines: the same rows in the same order, the same losses."""
    said: list[str] = []
    results = compare(
        [CONTENDERS["trainer"], CONTENDERS["exact"], CONTENDERS["fast"],
         Contender("broken", "tunesmith", {"train.device": "cuda"})],
        {**settings(tickets, tiny_bert), "train.max_steps": steps_taken(2, 3)},
        turns=2,
        steps=3,
        say=said.append,
        most_others=math.inf,
    )  # fmt: skip
    trainer, exact, fast, broken = results
    assert (trainer.ratio, trainer.ratio_quartiles) == (1.0, (1.0, 1.0))
    for result in (trainer, exact, fast):
        assert result.problem is None and result.same_rows
        assert result.samples_per_second > 0 and result.peak_mb > 100
        assert abs(result.loss - trainer.loss) < 1e-4
    assert trainer.fraction is None and fast.fraction is not None and 0 < fast.fraction < 1.5
    assert broken.problem is not None and broken.ratio is None
    assert len(said) == 6, "the warm-up turn is neither reported nor counted"
    assert fast.as_json()["name"] == "fast"


class OneOfThree:
    """A child whose contender "first" fails in its second turn."""

    def __init__(self, contender: Contender, _settings: dict[str, object]) -> None:
        self.contender = contender
        self._turns = 0

    def ready(self) -> None:
        return None

    def turn(self, steps: int, *, untimed: int) -> Turn | str:
        self._turns += 1
        if self.contender.name == "first" and self._turns == 2:
            return "it ended"
        return Turn(1.0, steps, 8, 80, 0.5, 0.1, "a")

    def stop(self) -> float:
        return 100.0


def test_without_the_first_there_is_nothing_to_compare_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(comparison, "Child", OneOfThree)
    contenders = [Contender(name, "tunesmith") for name in ("first", "second", "third")]
    first, *others = compare(contenders, {"train.device": "cpu"}, turns=3, steps=2)
    assert first.problem == "it ended"
    for result in (first, *others):
        known = (result.ratio, result.ratio_quartiles, result.same_rows)
        assert known == (None, None, None)
    assert [result.samples_per_second for result in others] == [8.0, 8.0]
    assert others[0].as_json()["ratio"] is None


def test_any_two_are_compared_turn_by_turn() -> None:
    one = Result("one", each_turn=(8.0, 20.0, 9.0))
    other = Result("other", each_turn=(10.0, 10.0, 10.0))
    assert ratio_of(one, other) == (0.9, (0.8, 2.0))
    assert ratio_of(one, Result("failed", problem="it ended")) is None


class Disturbed(OneOfThree):
    """A child whose first turns that count are disturbed; each takes rows of its own."""

    disturbed = 0

    def turn(self, steps: int, *, untimed: int) -> Turn:
        self._turns += 1
        others = 0.9 if 2 <= self._turns <= 1 + self.disturbed else 0.1
        return Turn(1.0 + others, steps, 8, 80, 0.5, 0.1, f"{self._turns}", others=others)


@pytest.mark.parametrize("disturbed", [0, 1, 4])
def test_disturbed_turns_are_repeated_by_all(
    disturbed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "Child", Disturbed)
    monkeypatch.setattr(Disturbed, "disturbed", disturbed)
    said: list[str] = []
    contenders = [Contender(name, "tunesmith") for name in ("first", "second")]
    results = compare(contenders, {"train.device": "cpu"}, turns=7, steps=2, say=said.append)
    assert len(said) == 2 * (7 + disturbed)
    assert sum("other processes: 0.9 CPUs" in line for line in said) == 2 * disturbed
    for result in results:
        assert result.load is not None and not result.is_unsteady
        assert (result.load.rounds, result.load.disturbed) == (7 + disturbed, disturbed)
        assert (result.known_ratio, result.known_fraction, result.same_rows) == (1.0, 0.455, True)
        assert result.each_turn == (round(8 / 1.1, 3),) * 7


def test_a_machine_that_is_too_busy_gives_no_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "Child", Disturbed)
    monkeypatch.setattr(Disturbed, "disturbed", 100)
    contenders = [Contender(name, "tunesmith") for name in ("first", "second")]
    results = compare(contenders, {"train.device": "cpu"}, turns=7, steps=2)
    for result in results:
        assert result.load is not None and result.load.rounds == 5, "it gives up"
        assert result.is_too_busy and result.is_unsteady and result.samples_per_second > 0
        assert (result.known_ratio, result.known_fraction) == (None, None)
        printed = result.as_json()
        refused = [printed[name] for name in ("ratio", "ratio_quartiles", "fraction")]
        assert refused == [None, None, None] and printed["is_unsteady"] is True
    assert ratio_of(results[0], results[1]) is None


def test_the_machine_is_named() -> None:
    facts = machine()
    assert facts["torch"] and facts["cores"] >= 1


def test_what_is_faster_than_can_be_or_goes_up_and_down_is_unsteady() -> None:
    cases = {
        (None, None, 1.0): False,
        (None, None, 1.001): True,
        (2.0, (1.8, 2.4), 0.5): False,
        (2.0, (1.8, 2.401), 0.5): True,
        (2.0, (1.8, 2.401), None): True,
        (2.0, None, None): False,
    }
    for (ratio, quartiles, fraction), expected in cases.items():
        result = Result("a", ratio=ratio, ratio_quartiles=quartiles, fraction=fraction)
        assert result.is_unsteady is expected
        assert result.as_json()["is_unsteady"] is expected
