from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.runs.stored_files import changed, fields_of
from tunesmith.errors import Severity
from tunesmith.runs import event_history as module
from tunesmith.runs.event_history import History, is_event, last_step, read_events, read_history


def step(number: int, loss: float | None = 1.0, **others: Any) -> dict[str, Any]:
    return {
        "event": "step", "step": number, "loss": loss, "learning_rate": 1e-5, "grad_norm": 2.0,
        "epoch": 0.5, **others,
    }  # fmt: skip


def evaluated(number: int, *, is_best: bool = False, split: str = "validation") -> dict[str, Any]:
    return {
        "event": "evaluated", "step": number, "split": split,
        "scores": {"f1": 0.5, "loss": None}, "is_best": is_best,
    }  # fmt: skip


def warned(number: int, message: str = "odd") -> dict[str, Any]:
    return {"event": "warned", "step": number, "code": "D321", "message": message}


EVENTS = [
    step(1), evaluated(1), {"event": "saved", "step": 1, "checkpoint": "x", "seconds": 0.5},
    warned(1), {"event": "finished", "step": 1, "reason": "all steps done"},
]  # fmt: skip


def written(path: Path, *events: Any) -> Path:
    lines = [event if isinstance(event, str) else json.dumps(event) + "\n" for event in events]
    path.write_text("".join(lines))
    return path


def test_each_kind_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = written(tmp_path / "e", *EVENTS)
    assert list(read_events(path)) == EVENTS
    history = read_history(path)
    assert history.events == EVENTS
    assert (history.damaged, history.first_damaged) == (0, None)
    assert history.problems(path) == []
    assert [history.of(str(event["event"])) for event in EVENTS] == [[event] for event in EVENTS]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: str(event["event"]))
def test_no_field_of_an_event_may_have_every_type(event: dict[str, Any]) -> None:
    free = {"checkpoint", "seconds", "reason"}
    for place in fields_of(event):
        if place[0] in free:
            continue
        others: list[Any] = [-1, 10**400, "x", [], {}, True, [[]], {"": "x"}]
        refused = [
            not is_event(json.dumps(changed(event, place, other)).encode()) for other in others
        ]
        assert sum(refused) >= 5, place


@pytest.mark.parametrize(
    "line",
    [
        "5", "null", "[]", "{}", '"x"', '{"event": "step"}', '{"event": "stap", "step": 1}', "{",
        '{"event": "step", "step": 1}', "\0\0\0", '{"step": 1}', json.dumps(step(1))[:-1],
        json.dumps(step(-1)), json.dumps(step(1.5)),  # type: ignore[arg-type]
        '{"event": "step", "step": 1, "loss": NaN, "learning_rate": 1, "grad_norm": 1}',
    ],
)  # fmt: skip
def test_a_damaged_line_is_skipped_and_counted(line: str, tmp_path: Path) -> None:
    path = written(tmp_path / "e", step(1), line + "\n", step(3), line + "\n")
    history = read_history(path)
    assert history.events == [step(1), step(3)]
    assert (history.damaged, history.first_damaged) == (2, 2)
    (problem,) = history.problems(path)
    assert problem.code == "C129"
    assert problem.severity is Severity.WARNING
    assert "2 damaged lines" in problem.message
    assert str(problem.place) == f"{path}:2"


def test_a_single_damaged_line_at_the_end(tmp_path: Path) -> None:
    history = read_history(written(tmp_path / "e", step(1), "5\n"))
    assert (history.damaged, history.first_damaged) == (1, 2)
    assert "1 damaged line is" in history.problems(tmp_path)[0].message


def test_a_torn_end_and_empty_lines_are_no_damage(tmp_path: Path) -> None:
    path = written(tmp_path / "e", "\n", step(1), "  \n", '{"event": "st')
    history = read_history(path)
    assert history.events == [step(1)]
    assert history.damaged == 0
    whole = written(tmp_path / "f", json.dumps(step(1)))
    assert read_history(whole).events == [step(1)]


def test_bytes_that_are_no_text_are_damage(tmp_path: Path) -> None:
    path = tmp_path / "e"
    path.write_bytes(json.dumps(step(1)).encode() + b"\n\xff\xfe\n")
    assert read_history(path).damaged == 1
    assert len(read_history(path).events) == 1


def test_a_line_without_end_is_read_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LONGEST", 200)
    path = written(tmp_path / "e", "x" * 1000 + "\n", step(1), "y" * 200 + "\n", step(2), "z" * 900)
    assert [event["step"] for event in read_history(path).events] == [1, 2]
    assert list(read_events(path)) == [step(1), step(2)]


def test_what_is_no_file_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (tmp_path, tmp_path / "none", tmp_path / "none" / "none"):
        assert read_history(path) == History()
        assert last_step(path) == 0
    path = written(tmp_path / "e", step(3))

    def fail(*_arguments: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "open", fail)
    assert read_history(path) == History()
    assert last_step(path) == 0


def test_the_later_line_of_a_step_counts(tmp_path: Path) -> None:
    path = written(
        tmp_path / "e", step(1), step(2, 5.0), evaluated(2), warned(2), step(3), step(2, 6.0),
        evaluated(2, is_best=True), evaluated(2, split="test"), warned(2), step(3, None),
    )  # fmt: skip
    history = read_history(path)
    assert [(e["step"], e["loss"]) for e in history.of("step")] == [(1, 1.0), (2, 6.0), (3, None)]
    assert [(e["split"], e["is_best"]) for e in history.of("evaluated")] == [
        ("validation", True), ("test", False),
    ]  # fmt: skip
    assert len(history.of("warned")) == 2
    again = written(tmp_path / "f", *(evaluated(2, split=s) for s in ("test", "dev", "test")))
    assert [event["split"] for event in read_history(again).events] == ["dev", "test"]
    assert history.warnings() == ["D321 odd"]
    assert [event["step"] for event in history.events] == sorted(e["step"] for e in history.events)


@given(
    losses=st.lists(st.floats(0, 100) | st.none(), min_size=1, max_size=60),
    every=st.integers(1, 4),
    most=st.integers(1, 70),
)
def test_thinning_is_what_a_larger_log_every_writes(
    losses: list[float | None], every: int, most: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("h") / "e"
    numbers = [every * (i + 1) for i in range(len(losses))]
    norms = [float(i % 7) for i in range(len(losses))]
    lines = [
        step(n, loss, grad_norm=norm, learning_rate=n / 1000, epoch=n / 10)
        for n, loss, norm in zip(numbers, losses, norms, strict=True)
    ]
    written(path, *lines)
    events = read_history(path, most=most).events
    assert len(events) <= most
    size = -(-len(losses) // most)
    for i, event in enumerate(events):
        part = slice(i * size, (i + 1) * size)
        known = [loss for loss in losses[part] if loss is not None]
        assert event["step"] == numbers[part][-1]
        assert event["grad_norm"] == max(norms[part])
        assert event["learning_rate"] == numbers[part][-1] / 1000
        assert event["epoch"] == numbers[part][-1] / 10
        if known:
            assert event["loss"] == pytest.approx(sum(known) / len(known))
        else:
            assert event["loss"] is None
    assert len(events) == -(-len(losses) // size)
    if len(losses) <= most:
        assert events == lines


def test_a_mean_of_lines_weighs_them_by_their_steps(tmp_path: Path) -> None:
    path = written(tmp_path / "e", step(1, 1.0), step(10, 2.0))
    (joined,) = read_history(path, most=1).events
    assert joined["loss"] == pytest.approx((1 * 1.0 + 9 * 2.0) / 10)


def test_of_very_many_others_every_second_goes_but_for_the_best(tmp_path: Path) -> None:
    events = [evaluated(i, is_best=i == 4) for i in range(25)]
    evaluations = read_history(written(tmp_path / "e", *events), most=5).of("evaluated")
    assert len(evaluations) <= 10
    assert evaluations[-1]["step"] == 24
    assert [event["step"] for event in evaluations if event["is_best"]] == [4]
    ten = read_history(written(tmp_path / "f", *events[:10]), most=5).of("evaluated")
    assert ten == events[:10]


def test_the_last_step_is_read_from_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "e", *(step(i) for i in range(1, 2000)), "5\n", '{"eve')
    assert path.stat().st_size > 1 << 16
    assert last_step(path) == 1999
    after = written(tmp_path / "f", step(7), "x" * (1 << 17) + "\n")
    assert last_step(after) == 7  # farther back than the first look
    assert last_step(written(tmp_path / "g", step(7), "x" * (1 << 21) + "\n")) == 0
    assert last_step(written(tmp_path / "h", step(9), step(8), "x\n")) == 9
    assert last_step(written(tmp_path / "i", "")) == 0
    read: list[int] = []
    real = module._parsed
    monkeypatch.setattr(module, "_parsed", lambda line: read.append(len(line)) or real(line))
    last_step(path)
    assert sum(read) <= 1 << 16
