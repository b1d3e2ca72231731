from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.run.stored_files import write_finished
from tunesmith.errors import IntegrityError, ResourceError
from tunesmith.run.folder import RunFolder, refuse_other, run_name, runs_under


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
