from __future__ import annotations

import pytest

from tunesmith.errors import IntegrityError, Severity
from tunesmith.run.fingerprint import compare, hash_of, machine_facts, versions

BEFORE = {
    "data": {"train": "a"},
    "tokenizer": "b",
    "model": {"name": "m", "revision": None},
    "versions": {"torch": "2.13.0"},
    "machine": {"threads": 1, "device": "cpu"},
}


def test_nothing_changed() -> None:
    assert compare(BEFORE, BEFORE, "runs/x") == []


def test_a_line_for_every_difference() -> None:
    now = {**BEFORE, "versions": {"torch": "2.14.0"}, "machine": {"threads": 2, "device": "cpu"}}
    problems = compare(BEFORE, now, "runs/x")
    assert [p.code for p in problems] == ["C103", "C103"]
    assert all(p.severity is Severity.WARNING for p in problems)
    assert "threads 1 → 2" in problems[0].message


@pytest.mark.parametrize("key", ["data", "tokenizer", "model"])
def test_other_numbers_are_refused(key: str) -> None:
    with pytest.raises(IntegrityError, match="C104"):
        compare(BEFORE, {**BEFORE, key: "other"}, "runs/x")


def test_what_is_recorded() -> None:
    assert {"python", "torch", "transformers", "tunesmith"} <= set(versions())
    facts = machine_facts(
        device="cpu", processes=1, precision="fp32", engine="exact", micro_batch_size=8
    )
    assert {"threads", "instructions", "processes", "precision"} <= set(facts)


def test_hashes_do_not_hang_on_the_order_of_keys() -> None:
    assert hash_of({"a": 1, "b": 2}) == hash_of({"b": 2, "a": 1})
    assert hash_of({"a": 1}) != hash_of({"a": 2})
