from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from tests.capabilities import needs
from tunesmith.errors import Problem, Severity
from tunesmith.metrics.scores import Scores
from tunesmith.runs.event_log import EventLog, as_line
from tunesmith.runs.folder import RunFolder
from tunesmith.training.events import Evaluated, Event, Finished, Saved, StepDone, Warned

SCORES = Scores({"f1": 0.5, "loss": None}, {})
EVENTS: list[Event] = [
    StepDone(1, 0.7, 1e-5, 2.0, 8, 100),
    Evaluated(1, "validation", SCORES, True),
    Saved(1, "step-00000001", 0.1),
    Warned(1, Problem("M116", "skipped", severity=Severity.WARNING), (3, 4)),
    Finished(1, "all steps done", 1, SCORES, None, 1.0, 8.0),
]


def step(number: int, loss: float) -> StepDone:
    return StepDone(number, loss, 1e-5, float(number), 8, 100)


def test_every_event_is_one_json_object() -> None:
    lines = [json.loads(json.dumps(as_line(event), allow_nan=False)) for event in EVENTS]
    assert [line["event"] for line in lines] == [
        "step",
        "evaluated",
        "saved",
        "warned",
        "finished",
    ]
    assert lines[0] == {
        "event": "step",
        "step": 1,
        "loss": 0.7,
        "learning_rate": 1e-5,
        "grad_norm": 2.0,
    }
    assert lines[1]["scores"] == {"f1": 0.5, "loss": None}
    assert lines[3]["rows"] == [3, 4]
    assert all(line["step"] == 1 for line in lines)


def test_no_message_breaks_a_line_of_the_log(tmp_path: Path) -> None:
    odd = "a\u2028b\x85c\x1cd\ud800\u202e\U000e0041"
    log = EventLog(tmp_path / "events.jsonl", 1, {})
    log.take(Warned(0, Problem("D321", odd)), epoch=0.0, is_last=False)
    log.close()
    text = (tmp_path / "events.jsonl").read_text(encoding="utf-8")
    assert len(text.splitlines()) == 1
    assert [event["message"] for event in RunFolder(tmp_path).events()] == [odd]


def test_a_repeated_warning_is_listed_once(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl", 1, {})
    for step, code in ((0, "D321"), (0, "D403"), (2, "D321")):
        log.take(Warned(step, Problem(code, "odd")), epoch=0.0, is_last=False)
    log.take(EVENTS[0], epoch=0.0, is_last=False)
    log.close()
    assert RunFolder(tmp_path).warnings() == ["D321 odd", "D403 odd"]
    assert RunFolder(tmp_path / "none").warnings() == []


def test_a_number_that_is_not_finite_is_null() -> None:
    line = as_line(StepDone(1, math.nan, 1e-5, math.inf, 8, 1))
    assert line["loss"] is None
    assert line["grad_norm"] is None


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_steps_are_reported_every_so_often_with_their_mean(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "e.jsonl", 3, {})
    for number in range(1, 8):
        log.take(step(number, number), epoch=0.5, is_last=number == 7)
    log.close()
    assert [(e["step"], e["loss"], e["grad_norm"]) for e in lines(tmp_path / "e.jsonl")] == [
        (3, 2.0, 3.0),
        (6, 5.0, 6.0),
        (7, 7.0, 7.0),
    ]


def test_a_resumed_log_writes_the_same_lines(tmp_path: Path) -> None:
    through = EventLog(tmp_path / "a", 3, {})
    for number in range(1, 7):
        through.take(step(number, number), epoch=0, is_last=False)
    through.close()
    first = EventLog(tmp_path / "b", 3, {})
    for number in range(1, 5):
        first.take(step(number, number), epoch=0, is_last=False)
    second = EventLog(tmp_path / "b", 3, first.window)
    first.close()
    for number in range(5, 7):
        second.take(step(number, number), epoch=0, is_last=False)
    second.close()
    strip = ("time",)
    one, two = (
        [{k: v for k, v in e.items() if k not in strip} for e in lines(tmp_path / n)] for n in "ab"
    )
    assert one == two


def test_readers_drop_a_torn_line_and_let_the_later_one_win(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    log = EventLog(run.log, 1, {})
    warned = Warned(4, Problem("M116", "skipped"))
    for event in (step(2, 1.0), step(4, 9.0), warned, warned):
        log.take(event, epoch=0, is_last=False)
    log.close()
    with run.log.open("a") as file:
        file.write('{"event": "step", "st')
    log = EventLog(run.log, 1, {})
    log.take(step(4, 3.0), epoch=0, is_last=False)
    log.close()
    summaries = [(e["event"], e["step"], e.get("loss")) for e in run.events()]
    assert summaries == [
        ("step", 2, 1),
        ("warned", 4, None),
        ("warned", 4, None),
        ("step", 4, 3.0),
    ]
    assert run.history().damaged == 0


@pytest.mark.parametrize("length", [1, 65_535, 65_536, 65_537, 200_000])
@pytest.mark.parametrize("before", ["", "first\n", "x" * 70_000 + "\n"])
def test_a_torn_last_line_goes_and_all_before_it_stays(
    before: str, length: int, tmp_path: Path
) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text(before + "{" * length)
    EventLog(path, 1, {}).close()
    assert path.read_text() == before


def test_a_last_line_that_lacks_only_its_end_stays(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    line = json.dumps(as_line(EVENTS[2]))
    path.write_text("x\n" + line)
    EventLog(path, 1, {}).close()
    assert path.read_text() == f"x\n{line}\n"
    EventLog(path, 1, {}).close()
    assert path.read_text() == f"x\n{line}\n"


@needs("/dev", "links")
def test_a_full_disk_never_stops_training(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    (tmp_path / "e.jsonl").symlink_to("/dev/full")
    log = EventLog(tmp_path / "e.jsonl", 1, {})
    assert log.problem is None
    for number in (1, 2):
        assert log.take(step(number, 1.0), epoch=0, is_last=False) is not None
    assert log.problem is not None and log.problem.code == "C110"
    assert "No space left on device" in log.problem.message


@needs("pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "e")
    log = EventLog(tmp_path / "e", 1, {})
    assert log.problem is not None and log.problem.code == "C110"
    log.take(step(1, 1.0), epoch=0, is_last=False)


def test_once_the_disk_is_back_events_are_written_again(tmp_path: Path) -> None:
    path = tmp_path / "no" / "e.jsonl"
    log = EventLog(path, 1, {})
    problem, log.problem = log.problem, None
    assert problem is not None
    assert problem.message == "events are not written: No such file or directory"
    assert problem.place is not None and problem.place.source == str(path)
    log.take(step(1, 1.0), epoch=0, is_last=False)
    path.parent.mkdir()
    log.take(step(2, 2.0), epoch=0, is_last=False)
    log.close()
    log.close()
    assert log.problem is None  # it was reported
    assert [event["step"] for event in lines(path)] == [2]
