from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from tests.runs.stored_files import FACTS, changed, fields_of
from tunesmith.runs.model_metadata import parse_run_facts, reason_of

OTHER_TYPES: list[Any] = [None, -1, 0.5, 10**400, "x", [], {}, True, [[]], {"": None}]
FREE = {
    ("format",), ("verdicts", "validation", "rows"), ("verdicts", "validation", "code"),
    ("task", "class_names"),
}  # fmt: skip
"""Fields that are not read again, or whose meaning others check."""


def as_text(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_what_was_written_is_read() -> None:
    assert parse_run_facts(as_text(FACTS)) == FACTS
    newer = {**FACTS, "of_a_newer_version": [1]}
    assert parse_run_facts(as_text(newer)) == newer
    odd = {**FACTS, "reason": "half a pair: \ud800"}
    assert parse_run_facts(as_text(odd)) == odd


REQUIRED = [
    "task", "max_length", "scores", "steps", "best_step", "reason", "train_seconds",
    "samples_per_second", "base_model", "versions",
]  # fmt: skip


@pytest.mark.parametrize("name", REQUIRED)
def test_a_field_that_is_missing_is_damage(name: str) -> None:
    facts = {key: value for key, value in FACTS.items() if key != name}
    with pytest.raises(ValueError, match=name):
        parse_run_facts(as_text(facts))


def test_no_field_may_have_every_type() -> None:
    """Whatever a field that is read again holds: most other types are refused, none crashes."""
    refused = 0
    for path in fields_of(FACTS):
        if path in FREE:
            continue
        of_this = 0
        for other in OTHER_TYPES:
            try:
                parse_run_facts(as_text(changed(FACTS, path, other)))
            except ValueError as error:
                assert reason_of(error)
                of_this += 1
        assert of_this >= 5, path
        refused += of_this
    assert refused > 200


@pytest.mark.parametrize(
    "text", ["", "5", "null", "[]", "{}", '"x"', "[" * 100_000, "\udcff", '{"task": NaN}']
)
def test_other_content_is_damage(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_run_facts(text.encode("utf-8", "surrogateescape"))


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("task", "task"), "no-such-task"),
        (("task", "labels"), []),
        (("task", "nonsense"), 1),
        (("verdicts", "validation", "code"), "M000"),
        (("verdicts", "validation", "rows"), "many"),
        (("calibration", "temperature"), 0),
        (("calibration", "thresholds"), {"order": 2}),
        (("intervals", "validation", "f1"), [0.1]),
        (("max_length",), 0),
    ],
)
def test_values_that_mean_nothing_are_damage(path: tuple[str, ...], to: object) -> None:
    facts = json.loads(as_text(FACTS))
    if path == ("task", "nonsense"):
        facts["task"]["nonsense"] = 0
    with pytest.raises(ValueError, match=r"."):
        parse_run_facts(as_text(changed(facts, path, to)))


def test_the_reason_names_the_first_field() -> None:
    with pytest.raises(ValidationError) as caught:
        parse_run_facts(as_text({**FACTS, "steps": "7"}))
    assert reason_of(caught.value).startswith("steps: Input should be a valid integer")
    with pytest.raises(ValidationError) as caught:
        parse_run_facts(b"5")
    assert reason_of(caught.value) == "Input should be an object"
    assert reason_of(RecursionError()) == "RecursionError"
    assert len(reason_of(ValueError("x" * 1000))) == 200
