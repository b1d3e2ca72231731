from __future__ import annotations

import inspect
from typing import Any

import pytest

from tunesmith.data.columns import Roles
from tunesmith.data.profile import profile
from tunesmith.data.readers.memory import Memory
from tunesmith.errors import RecipeError
from tunesmith.recipe import DataSettings
from tunesmith.tasks import (
    TASKS,
    Task,
    match_task,
    task_from_config,
    task_from_json,
    task_named,
)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_keeps_the_protocol(name: str) -> None:
    task = task_named(name)
    assert task.name == name
    members = {name: value for part in Task.__mro__ for name, value in vars(part).items()}
    for member, expected in members.items():
        if member.startswith("_") or not callable(expected):
            continue
        assert hasattr(task, member), f"{name} lacks {member}"
        ours: Any = getattr(task, member)
        assert list(inspect.signature(ours).parameters) == [
            p
            for p in inspect.signature(expected).parameters
            if p != "cls" or "cls" in inspect.signature(ours).parameters
        ]
        assert inspect.getdoc(ours)


@pytest.mark.parametrize("name", TASKS)
def test_a_task_round_trips_through_json(name: str) -> None:
    import json

    settings = DataSettings(train="x", labels=("a", "b"))
    task = task_named(name).make(Roles("t", "u", "l"), settings, [], {})
    again = task_from_json(json.loads(json.dumps(task.as_json())))
    assert again == task


def test_an_unknown_task_names_the_nearest() -> None:
    with pytest.raises(RecipeError, match='did you mean "text-classification"'):
        task_named("text-clasification")


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (["a", "b"], "text-classification"),
        ([0, 1], "text-classification"),
        ([["a"], ["a", "b"]], "multi-label-classification"),
        ([0.5, 1.5], "text-regression"),
        (list(range(60)), "text-regression"),
        (["1", "2", "3"], "text-classification"),
    ],
)
def test_a_label_column_suggests_its_task(values: list[object], name: str) -> None:
    records = [{"text": f"text {i}", "label": value} for i, value in enumerate(values * 2)]
    task, match = match_task(profile(Memory.of_records(records, "m")), DataSettings(train="m"))
    assert task.name == name
    assert "label" in match.reason


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"id2label": {"0": "no", "1": "yes"}}, "text-classification"),
        (
            {"id2label": {"0": "x", "1": "y"}, "problem_type": "multi_label_classification"},
            "multi-label-classification",
        ),
        ({"id2label": {"0": "score"}}, "text-regression"),
        ({"id2label": {"0": "no", "1": "yes"}, "problem_type": "regression"}, "text-regression"),
    ],
)
def test_a_plain_model_says_its_task(config: dict[str, object], name: str) -> None:
    config["architectures"] = ["BertForSequenceClassification"]
    task = task_from_config(config, Roles("text"))
    assert task is not None
    assert task.name == name


def test_a_bare_encoder_has_no_task() -> None:
    assert task_from_config({"architectures": ["BertModel"]}, Roles("text")) is None
