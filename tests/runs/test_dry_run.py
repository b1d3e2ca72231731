from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts
from tests.capabilities import needs
from tests.runs.test_train import strip_times
from tunesmith.errors import FolderInUseError
from tunesmith.inputs import resolve_inputs, validate_inputs
from tunesmith.recipe import Duration, TrainSettings, gather
from tunesmith.runs.dry_run import Estimate, _saves, _scratch_folder, estimate
from tunesmith.runs.prepare import PreparedRun, prepare_run
from tunesmith.runs.signals import StopRequest
from tunesmith.storage import lock
from tunesmith.storage.operating_system import own_number
from tunesmith.training.plan import Plan, make_plan

SETTINGS: dict[str, Any] = {
    "train.max_steps": 8,
    "train.evaluate_every": "3 steps",
    "train.select_by": "loss",  # which falls from one evaluation to the next
    "train.learning_rate": 1e-4,
}


def job_of(tickets: Path, model: Path, **settings: Any) -> PreparedRun:
    flags = {
        tuple(key.split(".")): (key, value)
        for key, value in {"data.train": str(tickets), "model": str(model), **settings}.items()
    }
    return prepare_run(validate_inputs(resolve_inputs(gather(flags=flags, environment={}))))


@pytest.fixture(scope="module")
def estimate_and_run(
    tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Estimate, ts.Run]:
    """An estimate, and the run that then happens in the same folder."""
    import csv

    from tests.conftest import ticket_rows

    home = tmp_path_factory.mktemp("estimate")
    data = home / "tickets.csv"
    with data.open("w", newline="") as file:
        csv.writer(file).writerows(ticket_rows(60))
    predicted = estimate(
        job_of(data, tiny_bert, **SETTINGS), home / "runs" / "a", stop=StopRequest()
    )
    assert [path.name for path in home.iterdir()] == ["tickets.csv"]
    run = ts.train(str(data), out=home / "runs" / "a", model=str(tiny_bert), settings=SETTINGS)
    return predicted, run


def test_what_follows_from_the_plan_is_exact(estimate_and_run: tuple[Estimate, ts.Run]) -> None:
    predicted, run = estimate_and_run
    assert predicted.total_steps == run.facts["steps"] == 8
    evaluated = [event for event in run.events() if event["event"] == "evaluated"]
    assert predicted.evaluations == len(evaluated) + 1
    assert predicted.rows == {"train": 54, "validation": 6}
    assert predicted.parameters == predicted.trained > 20_000
    assert (predicted.batch_size, predicted.micro_batch_size, predicted.num_processes) == (8, 8, 1)
    assert 4 <= predicted.measured_steps <= 6  # two warm up; a slow machine has enough after four
    assert predicted.engine["name"] == "fast"


def test_the_disk_is_that_of_the_run(estimate_and_run: tuple[Estimate, ts.Run]) -> None:
    """Two checkpoints and the model; the small files next to them are not counted."""
    predicted, run = estimate_and_run
    weights = sum(p.stat().st_size for p in run.folder.rglob("*.safetensors"))
    assert predicted.disk_bytes == pytest.approx(weights, rel=0.2)
    assert predicted.free_bytes > predicted.disk_bytes


def test_times_and_memory_are_measured(estimate_and_run: tuple[Estimate, ts.Run]) -> None:
    predicted, _run = estimate_and_run
    assert 0 < predicted.step_seconds < 60 and 0 < predicted.largest_seconds < 60
    assert predicted.train_seconds == pytest.approx(8 * predicted.step_seconds)
    assert predicted.evaluation_seconds > 0 and predicted.saving_seconds > 0
    assert predicted.seconds == pytest.approx(
        predicted.train_seconds + predicted.evaluation_seconds + predicted.saving_seconds
    )
    assert predicted.peak_bytes is not None and predicted.memory_bytes is not None
    assert 0 < predicted.peak_bytes < predicted.memory_bytes
    assert predicted.as_json()["seconds"] == predicted.seconds


def test_an_estimate_changes_nothing_of_the_run_after_it(
    estimate_and_run: tuple[Estimate, ts.Run], tiny_bert: Path, tmp_path: Path
) -> None:
    _predicted, run = estimate_and_run
    data = str(run.folder.parents[1] / "tickets.csv")
    alone = ts.train(data, out=tmp_path / "run", model=str(tiny_bert), settings=SETTINGS)
    assert strip_times(alone.events()) == strip_times(run.events())


def test_a_run_of_one_step_without_validation(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    job = job_of(tickets, tiny_bert, **{"train.max_steps": 1, "data.validation": None})
    predicted = estimate(job, tmp_path / "run", stop=StopRequest())
    assert predicted.measured_steps == 1
    assert (predicted.evaluations, predicted.evaluation_seconds) == (0, 0.0)
    assert not (tmp_path / "run").exists()


@needs("links")
def test_what_a_killed_dry_run_left_is_deleted_by_the_next(tmp_path: Path) -> None:
    for name in (
        ".tmp-dry-run-11", ".tmp-dry-run-12", ".tmp-dry-run-13", ".tmp-dry-run-x", "runs",
    ):  # fmt: skip
        (tmp_path / name / "checkpoints").mkdir(parents=True)
        os.utime(tmp_path / name, (0, 0))
    os.utime(tmp_path / ".tmp-dry-run-13")  # has only just been made
    (tmp_path / ".tmp-dry-run-14").write_text("a file")
    (tmp_path / ".tmp-dry-run-15").symlink_to("runs")
    with lock.hold(tmp_path / ".tmp-dry-run-12"):
        os.utime(tmp_path / ".tmp-dry-run-12", (0, 0))
        with _scratch_folder(tmp_path) as folder:
            assert folder.name == f".tmp-dry-run-{own_number()}"
            with pytest.raises(FolderInUseError), lock.hold(folder):
                pass
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            *(f".tmp-dry-run-{end}" for end in (12, 13, 14, 15, "x")), "runs",
        ]  # fmt: skip
    assert (tmp_path / "runs" / "checkpoints").is_dir()


PLAN: Plan = make_plan(TrainSettings(batch_size=10, epochs=3), num_examples=100)


@pytest.mark.parametrize(
    ("every", "saves"),
    [
        (None, 0),
        (Duration(10, "minutes"), 3),
        (Duration(7, "steps"), 4),
        (Duration(1, "epochs"), 3),
        (Duration(0.5, "epochs"), 6),
    ],
)
def test_how_often_the_interval_saves(every: Duration | None, saves: int) -> None:
    assert _saves(PLAN, every, train_seconds=2000.0) == saves
