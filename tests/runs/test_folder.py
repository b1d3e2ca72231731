from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.capabilities import needs
from tests.runs.stored_files import write_finished
from tunesmith.errors import IntegrityError, RecipeError, ResourceError
from tunesmith.runs.folder import RunFolder, refuse_other, refuse_unfinished, run_name, runs_under
from tunesmith.storage import atomic


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


@needs("links")
def test_runs_under_a_root_the_newest_first(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "old")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "recipe.yaml").write_text("")
        os.utime(tmp_path / name / "recipe.yaml", (1000 - age, 1000 - age))
    (tmp_path / "other").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "without-recipe").mkdir()
    (tmp_path / "without-recipe" / "plan.json").write_text("{}")
    (tmp_path / "a-folder-as-recipe" / "recipe.yaml").mkdir(parents=True)
    os.utime(tmp_path / "a-folder-as-recipe" / "recipe.yaml", (500, 500))
    assert [run.name for run in runs_under(tmp_path)] == [
        "new", "old", "a-folder-as-recipe", "without-recipe",
    ]  # fmt: skip
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


@needs("modes")
@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() == 0, reason="root may read everything")
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


def test_what_a_finished_run_says_of_itself(tmp_path: Path) -> None:
    plan, facts = write_finished(tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    assert run.plan_facts() == plan
    assert run.facts() == facts
    (run.model / "tunesmith.json").write_text("5")
    with pytest.raises(IntegrityError, match="C138"):
        run.facts()
    run.plan.write_text("5")
    with pytest.raises(IntegrityError, match="C138"):
        run.plan_facts()


def test_a_root_that_cannot_be_listed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_path: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "iterdir", fail)
    with pytest.raises(ResourceError, match="C107"):
        list(runs_under(tmp_path))


def test_every_part_is_where_the_page_says(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "one" / ".." / "run")
    assert run.name == "run"
    parts = (
        run.recipe, run.plan, run.log, run.rejected, run.checkpoints, run.model, run.predictions,
        run.report,
    )  # fmt: skip
    assert [str(part.relative_to(run.path)) for part in parts] == [
        "recipe.yaml", "plan.json", "events.jsonl", "rejected.jsonl", "checkpoints", "model",
        "predictions", "report.html",
    ]  # fmt: skip


def test_only_a_whole_model_is_a_finished_run(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    with pytest.raises(RecipeError, match="C114") as caught:
        refuse_unfinished(run)
    assert caught.value.exit_code == 2
    assert str(caught.value.problems[0].place) == str(tmp_path)
    with atomic.publish(run.model) as folder:
        (folder / "tunesmith.json").write_text("{}")
    assert run.is_finished
    refuse_unfinished(run)
    (run.model / "tunesmith.json").write_text("{ }")
    assert not run.is_finished
    with pytest.raises(RecipeError, match="C114"):
        refuse_unfinished(run)


@needs("links")
@pytest.mark.parametrize("mark", ["recipe.yaml", "plan.json", "events.jsonl", "checkpoints"])
def test_any_trace_of_a_run_is_one(mark: str, tmp_path: Path) -> None:
    assert not RunFolder(tmp_path).has_traces
    assert not RunFolder(tmp_path / "none").has_traces
    (tmp_path / mark).symlink_to("nowhere")
    assert RunFolder(tmp_path).has_traces


def test_what_is_foreign_in_a_run_is_named_in_order(tmp_path: Path) -> None:
    own = [
        "recipe.yaml", "plan.json", "rejected.jsonl", "report.html", "model", "predictions",
        "preflight", "events.jsonl", "checkpoints", "trackers", ".lock",
    ]  # fmt: skip
    for name in [*own, "notes.txt", ".git", "models"]:
        (tmp_path / name).write_text("")
    assert RunFolder(tmp_path).foreign_entries() == [".git", "models", "notes.txt"]


def test_of_events_the_later_line_counts_and_every_warning_stays(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)

    def step(number: int, loss: float) -> dict[str, object]:
        return {
            "event": "step", "step": number, "loss": loss, "learning_rate": 1e-5, "grad_norm": 1.0,
        }  # fmt: skip

    def warned(number: int, message: str) -> dict[str, object]:
        return {"event": "warned", "step": number, "code": "D321", "message": message}

    def evaluated(number: int, split: str) -> dict[str, object]:
        return {"event": "evaluated", "step": number, "split": split, "scores": {"f1": 0.5}}

    lines = [
        step(1, 3.0), warned(1, "odd"), step(2, 2.0), evaluated(2, "test"),
        evaluated(2, "validation"), step(1, 1.0), warned(1, "odd"), warned(1, "even"),
    ]  # fmt: skip
    run.log.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"event": "st')
    assert run.events() == [
        warned(1, "odd"), step(1, 1.0), warned(1, "odd"), warned(1, "even"), step(2, 2.0),
        evaluated(2, "test"), evaluated(2, "validation"),
    ]  # fmt: skip
    assert run.warnings() == ["D321 odd", "D321 even"]
    assert [event["step"] for event in run.history().of("step")] == [1, 2]
