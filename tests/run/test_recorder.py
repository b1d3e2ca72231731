from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from tests.run.test_session import session
from tunesmith import checkpoint
from tunesmith.errors import IntegrityError, Problem, ResourceError, Severity
from tunesmith.events import Evaluated, Saved, StepDone, Warned
from tunesmith.metrics import Scores
from tunesmith.run.recorder import Recorder


def step(number: int) -> StepDone:
    return StepDone(number, 0.5, 1e-5, 1.0, 8, 100)


@pytest.mark.parametrize(
    ("every", "steps"),
    [("3 steps", [3, 6]), ("1 epoch", [7]), ("0.5 epochs", [4, 7]), ("never", [])],
)
def test_when_to_save(
    every: str, steps: list[int], tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run", [f"train.save_every={every}"])
    with Recorder(made, None) as recorder:
        assert [n for n in range(1, 8) if recorder.save_is_due(step(n))] == steps
        best = Evaluated(1, "validation", Scores({}, {}), True)
        assert recorder.save_is_due(best)
        assert not recorder.save_is_due(Evaluated(1, "validation", Scores({}, {}), False))


def test_of_steps_told_at_once_the_last_is_saved(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    """That is where the weights stand."""
    made = session(tickets, tiny_bert, tmp_path / "run", ["train.save_every=3 steps"])
    due = []
    with Recorder(made, None) as recorder:
        for told in ((1, 2, 3, 4, 5), (6,), (7, 8)):
            made.progress.step = told[-1]
            due += [n for n in told if recorder.save_is_due(step(n))]
    assert due == [5, 6]


def test_saving_by_the_clock(
    tickets: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run", ["train.save_every=10 minutes"])
    now = [1000.0]
    monkeypatch.setattr("tunesmith.run.recorder.time.monotonic", lambda: now[0])
    with Recorder(made, None) as recorder:
        now[0] += 599
        assert not recorder.save_is_due(step(1))
        now[0] += 1
        assert recorder.save_is_due(step(2))
        recorder.save()
        assert not recorder.save_is_due(step(3))


def test_skipped_rows_are_named_by_their_lines(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run", ["data.validation=null"])

    def stream():  # type: ignore[no-untyped-def]
        yield Warned(1, Problem("M116", "skipped"), (0, 3))
        raise IntegrityError(Problem("M110", "diverged"))

    events = stream()
    with Recorder(made, None) as recorder:
        warned = recorder.timed(events)
        assert isinstance(warned, Warned)
        assert warned.rows == (0, 3)
        assert f"rows {tickets}:2, {tickets}:5" in str(warned.problem)
        with pytest.raises(IntegrityError) as caught:
            recorder.timed(events)
    assert f"{tickets}:5" in str(caught.value)


def test_each_line_is_told_as_it_is_written(tickets: Path, tiny_bert: Path, tmp_path: Path) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run", ["train.log_every=1"])
    told: list[object] = []
    with Recorder(made, told.append) as recorder:
        assert [e.step for e in recorder.told([step(1), step(2)])] == [1, 2]
    written = [json.loads(line) for line in made.run.log.read_text().splitlines()]
    assert told == written


def test_a_save_says_how_long_it_took(
    tickets: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run")
    now = [1000.0]
    monkeypatch.setattr("tunesmith.run.recorder.time.monotonic", lambda: now[0])
    real = checkpoint.save

    def slow(*arguments: object) -> object:
        now[0] += 2.5
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(checkpoint, "save", slow)
    with Recorder(made, None) as recorder:
        saved = recorder.save()
    assert saved == Saved(0, "step-00000000", 2.5)


def test_a_save_that_fails_is_tried_again_the_next_time(
    tickets: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run", ["train.save_every=2 steps"])
    real, numbers = os.fsync, iter([errno.EDQUOT, errno.EIO])

    def refuse(descriptor: int) -> None:
        if (number := next(numbers, None)) is not None:
            raise OSError(number, os.strerror(number))
        real(descriptor)

    with Recorder(made, None) as recorder:
        made.progress.step = 1
        recorder.save()
        made.progress.step = 2
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", refuse)
            warned = recorder.save()
        assert isinstance(warned, Warned)
        assert warned.problem.code == "C107"
        assert "Input/output error" in warned.problem.message
        assert recorder.saved == "step-00000001"
        made.progress.step = 4
        assert recorder.save_is_due(step(4))
        assert isinstance(recorder.save(), Saved)
    assert checkpoint.saved_steps(made.run.checkpoints) == [1, 4]


def test_the_clock_goes_on_over_sessions(tickets: Path, tiny_bert: Path, tmp_path: Path) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run")
    with Recorder(made, None) as recorder:
        recorder.timed(iter([step(1)]))
        recorder.timed(iter([step(2)]))
        first = recorder.train_seconds
        recorder.save()
    again = session(tickets, tiny_bert, tmp_path / "run")
    with Recorder(again, None) as recorder:
        assert recorder.train_seconds == pytest.approx(first)
        assert recorder.examples == 16
        assert recorder.saved == "step-00000000"


def test_a_full_disk_lets_spare_checkpoints_go_then_trains_on(
    tickets: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run", ["train.keep_checkpoints=3"])
    real = checkpoint.save
    fails = [0]

    def sometimes_full(*arguments: object) -> object:
        if fails[0]:
            fails[0] -= 1
            raise ResourceError(Problem("C107", "no space left"))
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(checkpoint, "save", sometimes_full)
    with Recorder(made, None) as recorder:
        for step_ in (1, 2, 3):
            made.progress.step = step_
            assert isinstance(recorder.save(), Saved)
        fails[0], made.progress.step = 1, 4
        assert isinstance(recorder.save(), Saved)
        assert checkpoint.saved_steps(made.run.checkpoints) == [3, 4]
        fails[0], made.progress.step = 2, 5
        warned = recorder.save()
        assert isinstance(warned, Warned)
        assert warned.problem.severity is Severity.WARNING
        assert recorder.saved == "step-00000004"
        fails[0] = 2
        made.progress.best_step = 5
        with pytest.raises(ResourceError):  # a best model that cannot be kept is no small loss
            recorder.save()
