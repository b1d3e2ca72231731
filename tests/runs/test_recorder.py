from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.runs.test_session import session
from tunesmith.errors import IntegrityError, Problem, ResourceError, Severity
from tunesmith.metrics.scores import Scores
from tunesmith.runs.recorder import Recorder, _flat
from tunesmith.training import checkpoint
from tunesmith.training.events import Evaluated, Finished, Saved, StepDone, Warned


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
        for record in ((1, 2, 3, 4, 5), (6,), (7, 8)):
            made.progress.step = record[-1]
            due += [n for n in record if recorder.save_is_due(step(n))]
    assert due == [5, 6]


def test_saving_by_the_clock(
    tickets: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run", ["train.save_every=10 minutes"])
    now = [1000.0]
    monkeypatch.setattr("tunesmith.runs.recorder.time.monotonic", lambda: now[0])
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
    assert caught.value.problems[0].evidence == (f"step 1, rows {tickets}:2, {tickets}:5",)


def test_a_run_that_diverges_names_the_rows_of_its_last_three_skipped_steps(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run", ["data.validation=null"])

    def stream():  # type: ignore[no-untyped-def]
        yield from (Warned(n, Problem("M116", "skipped"), (n,)) for n in range(1, 5))
        yield Warned(5, Problem("M117", "of no row"))
        raise IntegrityError(Problem("M110", "diverged"))

    events = stream()
    with Recorder(made, None) as recorder:
        warned = [recorder.timed(events) for _step in range(5)]
        assert warned[4] == Warned(5, Problem("M117", "of no row"))
        with pytest.raises(IntegrityError) as caught:
            recorder.timed(events)
    expected = tuple(f"step {n}, rows {tickets}:{n + 2}" for n in (2, 3, 4))
    assert caught.value.problems[0].evidence == expected
    assert caught.value.problems[0].message == "diverged"


def test_a_skipped_step_of_several_processes_names_the_rows_of_all(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run", ["data.validation=null"])
    plan = replace(made.job.plan, num_processes=2, micro_batch_size=4)
    made.job = replace(made.job, plan=plan)
    own = tuple(plan.micro_batches_at(2)[0][1].tolist())
    with Recorder(made, None) as recorder:
        warned = recorder.timed(iter([Warned(3, Problem("M116", "skipped"), own)]))
    assert isinstance(warned, Warned)
    assert warned.rows == tuple(plan.examples_at(2).tolist()) and len(own) == 4


@pytest.mark.parametrize("count", [20, 21])
def test_at_most_twenty_rows_are_named(
    count: int, tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run", ["data.validation=null"])
    with Recorder(made, None) as recorder:
        warned = recorder.timed(iter([Warned(1, Problem("M116", "x"), tuple(range(count)))]))
    assert isinstance(warned, Warned)
    assert warned.rows == tuple(range(count))
    places = ", ".join(f"{tickets}:{n + 2}" for n in range(20))
    more = " …" if count > 20 else ""
    assert warned.problem.evidence == (f"step 1, rows {places}{more}",)


class FailingTracker:
    """Fails when it is finished; what the recorder closes is what it holds."""

    def finish(self) -> None:
        raise OSError("no disk")

    def log(self, _values: object, *, step: int) -> None:
        raise OSError(f"no disk at {step}")


def test_what_a_tracker_could_not_do_is_reported(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run", ["train.log_every=1"])
    end = Finished(2, "all steps done", 2, None, None, 1.0, 2.0)
    record: list[object] = []
    with Recorder(made, record.append) as recorder:
        recorder._trackers._trackers["wandb"] = FailingTracker()
        after = list(recorder.record([step(1)]))
        recorder._trackers._trackers["wandb"] = FailingTracker()
        before = list(recorder.record([end]))
    assert [type(event) for event in after] == [StepDone, Warned]
    assert [type(event) for event in before] == [Warned, Finished]
    assert [event.step for event in (after[1], before[0])] == [1, 2]
    assert after[1].problem.code == before[0].problem.code == "M118"  # type: ignore[union-attr]
    written = [json.loads(line) for line in made.run.log.read_text().splitlines()]
    assert [line["event"] for line in written] == ["step", "warned", "warned", "finished"]
    assert record == written


def test_leaving_closes_log_and_trackers(tickets: Path, tiny_bert: Path, tmp_path: Path) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run")
    with Recorder(made, None) as recorder:
        recorder._trackers._trackers["wandb"] = FailingTracker()
        log = recorder._log
        assert log is not None
    assert log._file is None
    assert recorder._trackers._trackers == {}


def test_a_log_that_cannot_be_written_is_reported_once(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run", ["train.log_every=1"])
    made.run.log.mkdir()
    made.progress.step = 3
    with Recorder(made, None) as recorder:
        assert [type(event) for event in recorder.record([step(2), step(3)])] == [
            StepDone, StepDone, Warned,
        ]  # fmt: skip
        assert [type(event) for event in recorder.record([step(4)])] == [StepDone]


def test_lines_know_their_epoch_and_the_last_step_is_always_written(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run", ["train.log_every=5", "train.epochs=1"])
    assert made.job.plan.total_steps == 7
    with Recorder(made, None) as recorder:
        list(recorder.record([step(number) for number in range(1, 8)]))
    written = [json.loads(line) for line in made.run.log.read_text().splitlines()]
    assert [(line["step"], line["epoch"]) for line in written] == [
        (n, round(made.job.plan.epoch_at(n), 4)) for n in (5, 7)
    ]


def test_settings_are_shown_to_trackers_by_their_whole_names() -> None:
    nested = {"a": {"b": {"c": 1.5}, "d": None}, "e": "x", "f": [1, 2], "g": {}}
    assert _flat(nested) == {"a.b.c": 1.5, "a.d": None, "e": "x", "f": "[1, 2]"}


def test_each_line_is_reported_as_it_is_written(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run", ["train.log_every=1"])
    record: list[object] = []
    with Recorder(made, record.append) as recorder:
        assert [e.step for e in recorder.record([step(1), step(2)])] == [1, 2]
    written = [json.loads(line) for line in made.run.log.read_text().splitlines()]
    assert record == written


def test_a_save_says_how_long_it_took(
    tickets: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run")
    now = [1000.0]
    monkeypatch.setattr("tunesmith.runs.recorder.time.monotonic", lambda: now[0])
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


def test_the_clock_goes_on_over_sessions(
    tickets: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run", ["train.log_every=5"])
    now = [1000.0]

    def stream():  # type: ignore[no-untyped-def]
        for event in (step(1), Saved(1, "step-00000001", 9.0), step(2)):
            now[0] += 2.5
            yield event

    events = stream()
    with Recorder(made, None) as recorder:
        assert (recorder.train_seconds, recorder.examples, recorder.saved) == (0.0, 0, None)
        with monkeypatch.context() as patched:
            patched.setattr("tunesmith.runs.recorder.time.perf_counter", lambda: now[0])
            kinds = [
                type(event) for event in recorder.record(iter(lambda: recorder.timed(events), None))
            ]
        assert kinds == [StepDone, Saved, StepDone]
        assert recorder.train_seconds == 5.0
        window = {"loss": 1.0, "steps": 2, "grad_norm": 1.0}
        recorder.save()
    again = session(tickets, tiny_bert, tmp_path / "run", ["train.log_every=5"])
    assert again.checkpoint_facts == {"train_seconds": 5.0, "examples": 16, "window": window}
    with Recorder(again, None) as recorder:
        assert recorder.train_seconds == 5.0
        assert recorder.examples == 16
        assert recorder._log is not None and recorder._log.window == window
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
