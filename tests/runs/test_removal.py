"""Runs are deleted whole, and nothing but runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.capabilities import needs
from tunesmith.errors import FolderInUseError, RecipeError
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.removal import delete_run, refuse_deletion
from tunesmith.storage.lock import HOLDER, LOCK

MADE = [
    "recipe.yaml", "plan.json", "events.jsonl", "rejected.jsonl", "report.html", LOCK, HOLDER,
    ".tmp-plan.json-123",
]  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = tmp_path / "runs" / "one"
    for name in ("checkpoints/step-00000001", "model", "predictions", ".bad-model-20260101T000000"):
        (folder / name).mkdir(parents=True)
    for name in MADE:
        (folder / name).write_text("x")
    (folder / "model" / "anything").write_text("x")
    return RunFolder(folder)


def test_all_of_it_goes(run: RunFolder) -> None:
    assert run.foreign_entries() == []
    (run.path.parent / "two").mkdir()
    delete_run(run)
    assert [path.name for path in run.path.parent.iterdir()] == ["two"]


@pytest.mark.parametrize("name", ["notes.txt", "recipe.yaml.bak", "my-model", ".git", "plan"])
def test_a_folder_with_more_than_a_run_stays(run: RunFolder, name: str) -> None:
    """As a project does whose recipe was written by `tunesmith init`."""
    (run.path / name).mkdir()
    assert run.foreign_entries() == [name]
    with pytest.raises(RecipeError, match=f'R155 .*more than a run: "{name}"'):
        delete_run(run)
    for made in MADE:
        assert (run.path / made).is_file()


def test_the_folder_that_one_works_in_stays(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.path / "model")
    with pytest.raises(RecipeError, match=r"R155 .*you work in"):
        refuse_deletion(run)
    monkeypatch.chdir(run.path.parent)
    refuse_deletion(run)


@needs("fork")
def test_a_run_in_which_a_process_trains_stays(run: RunFolder) -> None:
    lock_is_held, report_held = os.pipe()
    done, finish = os.pipe()
    child = os.fork()
    if child == 0:
        from tunesmith.storage.lock import hold

        with hold(run.path):
            os.write(report_held, b"x")
            os.read(done, 1)
        os._exit(0)
    os.read(lock_is_held, 1)
    try:
        with pytest.raises(FolderInUseError, match="C106"):
            delete_run(run)
        assert (run.path / "recipe.yaml").is_file()
    finally:
        os.write(finish, b"x")
        os.waitpid(child, 0)
        for end in (lock_is_held, report_held, done, finish):
            os.close(end)
    delete_run(run)
    assert not run.path.exists()


@needs("links")
def test_a_link_goes_with_what_it_leads_to(run: RunFolder, tmp_path: Path) -> None:
    link = tmp_path / "linked"
    link.symlink_to(run.path)
    delete_run(RunFolder(link))
    assert not os.path.lexists(link)
    assert not run.path.exists()
