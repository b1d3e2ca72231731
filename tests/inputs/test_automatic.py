from __future__ import annotations

from tunesmith.errors import Place, Problem
from tunesmith.inputs.automatic import Automatic, at_key, joined
from tunesmith.recipe import gather


def test_only_what_nobody_set_is_suggested() -> None:
    layers = gather(sets=["data.train=x", "data.text=body"], environment={})
    automatic = Automatic(layers)
    automatic.suggest(("data", "text"), "title", "longest")
    automatic.suggest(("data", "label"), "queue", "by its name")
    automatic.suggest(("task",), "text-classification", "few values")
    assert automatic.values == {"data": {"label": "queue"}, "task": "text-classification"}
    assert automatic.reasons[("data", "label")] == "by its name"


def test_joined_is_the_second_above_the_first() -> None:
    assert joined({"a": {"x": 1, "y": 2}, "b": 3}, {"a": {"y": 4}, "c": 5}) == {
        "a": {"x": 1, "y": 4},
        "b": 3,
        "c": 5,
    }


def test_a_problem_is_told_where_its_key_was_set() -> None:
    layers = gather(sets=["data.train=x", "data.labels=[a, b]"], environment={})
    problem = at_key(Problem("R112", "no", Place("data.labels"), fix="so"), layers)
    assert str(problem.place) == "--set data.labels=[a, b]"
    assert problem.fix == "so"
