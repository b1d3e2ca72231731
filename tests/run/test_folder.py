from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from tunesmith.errors import Problem, ResourceError, Severity
from tunesmith.events import Evaluated, Event, Finished, Saved, StepDone, Warned
from tunesmith.metrics import Scores
from tunesmith.run.folder import EventLog, RunFolder, as_line, refuse_other, run_name, runs_under

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


def test_a_warning_that_was_told_again_is_listed_once(tmp_path: Path) -> None:
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
    run.log.write_text(
        '{"event": "step", "step": 2, "loss": 1}\n'
        '{"event": "step", "step": 4, "loss": 9}\n'
        '{"event": "warned", "step": 4}\n'
        '{"event": "warned", "step": 4}\n'
        '{"event": "step", "st'
    )
    log = EventLog(run.log, 1, {})
    log.take(step(4, 3.0), epoch=0, is_last=False)
    log.close()
    found = [(e["event"], e["step"], e.get("loss")) for e in run.events()]
    assert found == [
        ("step", 2, 1),
        ("warned", 4, None),
        ("warned", 4, None),
        ("step", 4, 3.0),
    ]


def test_a_full_disk_never_stops_training(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    (tmp_path / "e.jsonl").symlink_to("/dev/full")
    log = EventLog(tmp_path / "e.jsonl", 1, {})
    for number in (1, 2):
        assert log.take(step(number, 1.0), epoch=0, is_last=False) is not None
    assert log.problem is not None and log.problem.code == "C110"


def test_a_log_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "no" / "e.jsonl", 1, {})
    assert log.problem is not None
    log.take(step(1, 1.0), epoch=0, is_last=False)
    log.close()


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ("tickets.csv", "tickets"),
        ("data/tickets.csv.gz", "tickets"),
        ("recipes/first try.yaml", "first-try"),
        ("glue/mrpc", "glue-mrpc"),
        ("owner/name/config", "owner-name-config"),
        ("embedded:tickets", "tickets"),
        ("../shared/glue/mrpc/", "mrpc"),
        ("..", "run"),
    ],
)
def test_names_of_runs(where: str, name: str) -> None:
    assert run_name(where) == name


def test_runs_under_a_root_the_newest_first(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "old")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "recipe.yaml").write_text("")
        os.utime(tmp_path / name / "recipe.yaml", (1000 - age, 1000 - age))
    (tmp_path / "other").mkdir()
    assert [run.name for run in runs_under(tmp_path)] == ["new", "old"]
    assert list(runs_under(tmp_path / "none")) == []


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ResourceError, match="C111"):
        refuse_other(RunFolder(tmp_path))
    with pytest.raises(ResourceError, match="C111"):
        refuse_other(RunFolder(tmp_path / "thesis.txt"))
    (tmp_path / "thesis.txt").unlink()
    refuse_other(RunFolder(tmp_path))
    refuse_other(RunFolder(tmp_path / "new"))


OTHERS = [
    ".git", ".ssh", ".env", ".tmp-notes", ".tmp-config-1", ".old-config-1", ".tmp-model",
    ".bad-model", ".bad-notes-20260101T000000", ".lock2", ".holder.json-x",
]  # fmt: skip
OURS = [
    ".lock", ".holder.json", ".holder.json-17", ".holder.json-now-17", ".tmp-model-17",
    ".old-model-17", ".trash-step-00000003-17", ".tmp-recipe.yaml-17", ".tmp-preflight-4",
    ".bad-model-20260101T000000", ".bad-model-20260101T000000-2", ".DS_Store",
]  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_a_folder_with_hidden_files_of_others_is_not_empty(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(ResourceError, match="C111") as caught:
        refuse_other(RunFolder(tmp_path))
    assert caught.value.exit_code == 4
    RunFolder(tmp_path).sweep()
    assert (tmp_path / name).is_dir()


def test_what_a_start_left_behind_is_as_good_as_empty(tmp_path: Path) -> None:
    for name in OURS:
        (tmp_path / name).mkdir()
    refuse_other(RunFolder(tmp_path))


def test_only_what_a_kill_left_in_a_run_is_swept(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    leftovers = [
        *(tmp_path / f".tmp-{name}-9" for name in ("recipe.yaml", "plan.json", "rejected.jsonl")),
        *(tmp_path / f".tmp-{name}-9" for name in ("report.html", "model", "preflight")),
        run.checkpoints / ".tmp-step-00000012-9", run.checkpoints / ".trash-step-123456789-9",
        run.predictions / ".tmp-validation.parquet-9", run.predictions / ".tmp-test.parquet-9",
    ]  # fmt: skip
    others = [tmp_path / ".tmp-9", run.checkpoints / ".tmp-best-9", run.predictions / ".tmp-x"]
    for path in [*leftovers, *others]:
        path.mkdir(parents=True)
    run.sweep()
    assert [path for path in [*leftovers, *others] if path.exists()] == others


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0)
    with pytest.raises(ResourceError, match="C107"):
        refuse_other(RunFolder(tmp_path))


def test_a_folder_that_cannot_be_listed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_path: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "iterdir", fail)
    with pytest.raises(ResourceError, match="the folder cannot be read: Input/output"):
        refuse_other(RunFolder(tmp_path))


def test_an_empty_folder_has_no_facts(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert (run.exists, run.is_finished) == (False, False)
    assert run.facts() == run.plan_facts() == {}
    assert run.events() == []
