from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.runs.stored_files import FACTS, PLAN, changed, fields_of
from tunesmith.errors import IntegrityError
from tunesmith.runs import stored
from tunesmith.runs.stored import read_plan, read_run_facts

OTHER_TYPES: list[Any] = [None, -1, 0.5, 10**400, "x", [], {}, True]
FREE = ("engine", "task", "rows", "tokenizer", "evaluation_interval", "processes", "name")
"""Keys that are compared and shown and not computed with."""


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({**PLAN, "newer": 1}))
    assert read_plan(path) == {**PLAN, "newer": 1}
    path.write_text(json.dumps(FACTS))
    assert read_run_facts(path) == FACTS


@pytest.mark.parametrize("path", [Path("none"), Path("file/inside")])
def test_what_is_not_there_is_empty(path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert read_plan(tmp_path / path) == {}
    assert read_run_facts(tmp_path / path) == {}


@pytest.mark.parametrize("content", ["", "5", "[]", "{}", "null", "{", "[" * 100_000, "\0" * 50])
@pytest.mark.parametrize("read", [read_plan, read_run_facts])
def test_other_content_is_damage(read: Any, content: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(IntegrityError, match="C138") as caught:
        read(path)
    assert caught.value.exit_code == 6
    (problem,) = caught.value.problems
    assert problem.place is not None and problem.place.source == str(path)
    assert "--restart" in (problem.fix or "")


def test_a_folder_or_a_giant_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(IntegrityError, match="it is no file"):
        read_plan(tmp_path)
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(PLAN))
    monkeypatch.setattr(stored, "_MOST_BYTES", path.stat().st_size)
    assert read_plan(path) == PLAN
    monkeypatch.setattr(stored, "_MOST_BYTES", path.stat().st_size - 1)
    with pytest.raises(IntegrityError, match="it is larger than 0 MB"):
        read_plan(path)


def test_a_disk_that_fails_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_path: Path) -> bytes:
        raise OSError(5, "Input/output error")

    (tmp_path / "plan.json").write_text(json.dumps(PLAN))
    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(IntegrityError, match="Input/output error"):
        read_plan(tmp_path / "plan.json")


def test_no_field_of_the_plan_may_have_every_type(tmp_path: Path) -> None:
    path, refused = tmp_path / "plan.json", 0
    for place in fields_of(PLAN):
        if any(part in FREE for part in place):
            continue
        of_this = 0
        for other in OTHER_TYPES:
            path.write_text(json.dumps(changed(PLAN, place, other)))
            try:
                read_plan(path)
            except IntegrityError:
                of_this += 1
        assert of_this >= 5, place
        refused += of_this
    assert refused > 150


@pytest.mark.parametrize("change", [{"nonsense": 1}, {"schedule": None}])
def test_the_numbers_of_the_plan_make_a_plan(change: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({**PLAN, "plan": {**PLAN["plan"], **change}}))
    with pytest.raises(IntegrityError, match="C138"):
        read_plan(path)
