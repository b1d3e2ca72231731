from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tunesmith.errors import IntegrityError, Severity
from tunesmith.recipe import gather
from tunesmith.runs.fingerprint import (
    MAY_CHANGE,
    changed_bits,
    differences,
    hash_of,
    lasting_settings,
    machine_facts,
    refuse_changes,
    refuse_foreign,
    versions,
)

BEFORE: Mapping[str, Any] = {
    "recipe": {"train.epochs": 3},
    "data": {"train": "a" * 64, "validation": "b" * 64},
    "tokenizer": "c" * 16,
    "model": {"name": "m", "revision": None, "files": {"model.safetensors": "d" * 64}},
    "versions": {"torch": "2.13.0"},
    "machine": {"threads": 1, "device": "cpu"},
}
CHANGES: list[tuple[str, object, str]] = [
    ("recipe", {"train.epochs": 4}, "train.epochs: 3 → 4"),
    ("recipe", {}, "train.epochs: 3 → -"),
    (
        "data",
        {"train": "e" * 64, "validation": "b" * 64},
        "train: aaaaaaaaaaaa → eeeeeeeeeeee",
    ),
    ("data", {"train": "a" * 64}, "validation: bbbbbbbbbbbb → -"),
    ("tokenizer", "f" * 16, "cccccccccccc → ffffffffffff"),
    ("tokenizer", None, "cccccccccccc → -"),
    ("model", {**BEFORE["model"], "revision": "v2"}, "revision: - → v2"),
    (
        "model",
        {**BEFORE["model"], "files": {"model.safetensors": "0" * 64}},
        "files.model.safetensors: dddddddddddd → 000000000000",
    ),
    (
        "model",
        {**BEFORE["model"], "files": {**BEFORE["model"]["files"], "vocab.txt": "0" * 64}},
        "files.vocab.txt: - → 000000000000",
    ),
]


def test_nothing_changed() -> None:
    refuse_changes(BEFORE, BEFORE, "runs/x")
    assert changed_bits(BEFORE, BEFORE, "runs/x") == []
    assert differences(BEFORE, BEFORE) == {}
    refuse_foreign(Path("step-00000001"), BEFORE, BEFORE)


def test_a_line_for_every_difference() -> None:
    now = {**BEFORE, "versions": {"torch": "2.14.0"}, "machine": {"threads": 2, "device": "cpu"}}
    problems = changed_bits(BEFORE, now, "runs/x")
    assert [p.code for p in problems] == ["C103", "C103"]
    assert all(p.severity is Severity.WARNING for p in problems)
    assert "threads 1 → 2" in problems[0].message
    assert "torch 2.13.0 → 2.14.0" in problems[1].message
    refuse_foreign(Path("step-00000001"), BEFORE, now)  # last bits, not another run


@pytest.mark.parametrize(("part", "value", "line"), CHANGES)
def test_what_decides_the_numbers_may_not_change(part: str, value: object, line: str) -> None:
    now = {**BEFORE, part: value}
    assert differences(BEFORE, now) == {part: (line,)}
    with pytest.raises(IntegrityError, match="C104") as caught:
        refuse_changes(BEFORE, now, "runs/x")
    assert caught.value.exit_code == 6
    (problem,) = caught.value.problems
    assert problem.evidence == (line,) and part in problem.message
    assert str(problem.place) == "runs/x"
    with pytest.raises(IntegrityError, match="C109") as caught:
        refuse_foreign(Path("step-00000001"), BEFORE, now)
    (problem,) = caught.value.problems
    assert problem.evidence == (line,)
    assert f"differs in {part}" in problem.message
    assert str(problem.place) == "step-00000001"


def test_all_changes_are_reported_together_and_long_lists_are_cut() -> None:
    now = {**BEFORE, "tokenizer": "x", "data": {}}
    with pytest.raises(IntegrityError) as caught:
        refuse_changes(BEFORE, now, "runs/x")
    assert [problem.message for problem in caught.value.problems] == [
        "the data changed since the run began",
        "the tokenizer changed since the run began",
    ]
    many = {**BEFORE, "recipe": {str(i): i for i in range(9)}}
    with pytest.raises(IntegrityError) as caught:
        refuse_changes(many, {**many, "recipe": {}}, "runs/x")
    assert len(caught.value.problems[0].evidence) == 5
    with pytest.raises(IntegrityError, match="differs in data, tokenizer"):
        refuse_foreign(Path("x"), BEFORE, now)


def test_what_an_older_version_did_not_keep_is_not_compared() -> None:
    older = {**BEFORE, "model": {"name": "m", "revision": None}}
    del older["recipe"]
    refuse_changes(older, BEFORE, "runs/x")
    assert changed_bits(BEFORE | {"machine": {}, "versions": {}}, BEFORE, "runs/x") == []


def on(processes: int, threads: int, micro_batch_size: int, **more: object) -> dict[str, Any]:
    machine = {"processes": processes, "threads": threads, "micro_batch_size": micro_batch_size}
    return {**BEFORE, "machine": {**machine, **more}}


def test_another_number_of_processes_is_one_note() -> None:
    """With what follows from it: threads, and micro-batches that no recipe sets."""
    (note,) = changed_bits(on(2, 1, 4), on(1, 2, 4), "runs/x")
    assert note.message == "resuming, not bit-exact: processes 2 → 1, threads 1 → 2"
    assert "same rows and the same dropout" in (note.fix or "")
    (note,) = changed_bits(on(2, 1, 4), on(4, 1, 2), "runs/x")
    assert note.message == "resuming, not bit-exact: processes 2 → 4, micro_batch_size 4 → 2"
    assert "Dropout is drawn again, for 2 rows at once" in (note.fix or "")
    assert "--set train.micro_batch_size=4 keeps it" in (note.fix or "")
    notes = changed_bits(on(2, 1, 4, platform="linux"), on(3, 1, 4, platform="darwin"), "runs/x")
    assert [note.message.partition(": ")[2] for note in notes] == [
        "processes 2 → 3", "platform linux → darwin",
    ]  # fmt: skip


def test_smaller_micro_batches_say_that_dropout_is_drawn_again() -> None:
    (note,) = changed_bits(on(1, 1, 8), on(1, 1, 2), "runs/x")
    assert note.message == "resuming, not bit-exact: micro_batch_size 8 → 2"
    assert "Each step has the same rows. Dropout is drawn again" in (note.fix or "")


def test_the_number_of_a_device_is_left_out() -> None:
    """Of several processes each has a GPU with a number, a single one has it without."""
    facts = {
        device: machine_facts(
            device=device, processes=1, precision="fp32", engine="exact", micro_batch_size=8
        )["device"]
        for device in ("cpu:0", "cpu")
    }
    assert set(facts.values()) == {"cpu"}


@pytest.mark.parametrize("part", [None, "recipe", "data", "tokenizer", "model"])
def test_a_checkpoint_that_does_not_say_whose_it_is_is_nobodys(part: str | None) -> None:
    stored = {key: value for key, value in BEFORE.items() if part is not None and key != part}
    with pytest.raises(IntegrityError, match=r"C109 .*does not say"):
        refuse_foreign(Path("step-00000001"), stored, BEFORE)


def test_settings_that_may_change_are_left_out() -> None:
    def settings(*sets: str) -> dict[str, object]:
        assignments = ["data.train=x.csv", "model=m", *sets]
        return lasting_settings(gather(sets=assignments, environment={}).recipe())

    plain = settings()
    assert plain["train.epochs"] == 3 and plain["model"] == "m" and plain["data.train"] == "x.csv"
    assert not plain.keys() & {".".join(path) for path in MAY_CHANGE}
    assert plain == settings(
        "train.log_every=7", "train.save_every=9 steps", "data.allow_leak=true"
    )
    assert plain != settings("train.seed=7")
    assert plain != settings("options.focal_gamma=2.0")


def test_what_is_recorded() -> None:
    assert {"python", "torch", "transformers", "tunesmith"} <= set(versions())
    facts = machine_facts(
        device="cpu", processes=1, precision="fp32", engine="exact", micro_batch_size=8
    )
    assert {"threads", "instructions", "platform"} <= set(facts)
    assert facts["device"] == "cpu" and facts["processes"] == 1 and facts["precision"] == "fp32"
    assert facts["engine"] == "exact" and facts["micro_batch_size"] == 8
    assert "gpu" not in facts


def test_hashes_are_short_and_do_not_depend_on_the_order_of_keys() -> None:
    assert hash_of({"a": 1, "b": 2}) == hash_of({"b": 2, "a": 1})
    assert hash_of({"a": 1}) != hash_of({"a": 2})
    assert hash_of({"a": 1}) == "f9d86028c6e0d64e"
    assert hash_of("ü") == "85844d48df3c61d9"
