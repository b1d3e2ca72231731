from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.errors import FolderInUseError, RecipeError, ResourceError
from tunesmith.recipe import gather
from tunesmith.run.folder import RunFolder
from tunesmith.run.start import held, inputs_of, remarks, run_folder, start


def layers(tickets: Path, *sets: str):  # type: ignore[no-untyped-def]
    model = "model=embedded:mini"
    return gather(sets=[f"data.train={tickets}", model, *sets], environment={})


def test_the_recipe_is_written_with_every_choice_explained(tmp_path: Path, tickets: Path) -> None:
    run = run_folder(tmp_path / "run", asked_by="x")
    checked = inputs_of(layers(tickets), run)
    text = run.recipe.read_text()
    assert "label: queue" in text
    assert "automatic: by its name" in text
    again = gather(file=run.recipe, environment={}).recipe()
    assert again == checked.recipe
    assert ("data", "label") in remarks(checked.layers)


def test_the_same_recipe_may_come_again_and_another_not(tmp_path: Path, tickets: Path) -> None:
    run = run_folder(tmp_path / "run", asked_by="x")
    inputs_of(layers(tickets), run)
    inputs_of(layers(tickets, "train.save_every=1 epoch"), run)
    with pytest.raises(RecipeError, match="C108") as caught:
        inputs_of(layers(tickets, "train.epochs=1", "train.seed=7"), run)
    assert "train.epochs: 3 → 1" in str(caught.value)
    assert "train.seed: 42 → 7" in str(caught.value)


def test_the_name_follows_from_what_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_folder(None, asked_by="data/tickets.csv").path == Path("runs/tickets")


def test_restart_keeps_the_old_run(tmp_path: Path, tickets: Path) -> None:
    out = tmp_path / "run"
    with start(layers(tickets), out=out, asked_by="x"):
        (out / "events.jsonl").write_text("old")
    with start(layers(tickets, "train.epochs=1"), out=out, asked_by="x", restart=True) as started:
        assert not (out / "events.jsonl").exists()
        assert started.checked.recipe.train.epochs == 1
    (kept,) = tmp_path.glob("run-before-*")
    assert re.fullmatch(r"run-before-\d{8}T\d{6}", kept.name)
    assert (kept / "events.jsonl").read_text() == "old"
    assert sorted(path.name for path in kept.iterdir()) == [".lock", "events.jsonl", "recipe.yaml"]


def old_run(folder: Path) -> RunFolder:
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text("old")
    (folder / "events.jsonl").write_text("old")
    return RunFolder(folder)


def test_restarts_within_a_second_keep_every_run(tmp_path: Path) -> None:
    for _time in range(3):
        run = old_run(tmp_path / "run")
        with held(run, restart=True):
            assert not run.exists
            with pytest.raises(FolderInUseError), held(run, restart=True):
                pass
        (tmp_path / "run" / ".lock").unlink()
        (tmp_path / "run").rmdir()
    kept = sorted(tmp_path.glob("run-before-*"))
    assert len(kept) == 3
    assert all((path / "recipe.yaml").read_text() == "old" for path in kept)


def test_restart_behind_a_link_moves_what_it_points_to(tmp_path: Path) -> None:
    old_run(tmp_path / "disk" / "real")
    (tmp_path / "run").symlink_to(tmp_path / "disk" / "real")
    run = RunFolder(tmp_path / "run")
    with held(run, restart=True):
        assert not run.exists
        assert (tmp_path / "disk" / "real").is_dir()
    (kept,) = (tmp_path / "disk").glob("real-before-*")
    assert RunFolder(kept).exists
    assert (tmp_path / "run").is_symlink()


@pytest.mark.parametrize("out", [".", "../run", "..", "inner/.."])
def test_restart_does_not_move_the_folder_one_works_in(
    out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = old_run(tmp_path / "run")
    (run.path / "inner").mkdir()
    monkeypatch.chdir(run.path / "inner" if out == ".." else run.path)
    with pytest.raises(RecipeError, match="C126"), held(RunFolder(Path(out)), restart=True):
        pass
    assert run.recipe.read_text() == "old"
    with held(RunFolder(Path(out))):
        pass


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EBUSY, errno.EACCES, errno.EROFS])
def test_a_folder_that_cannot_be_moved_stays_as_it_is(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = old_run(tmp_path / "run")

    def refuse(_path: Path, _target: Path) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(ResourceError, match="C127") as caught, held(run, restart=True):
        pass
    assert os.strerror(number) in str(caught.value)
    assert run.recipe.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


KILLED, DONE = 77, 0


def restart_and_die_at(operation: int, folder: Path) -> None:
    """Restart in this process, and end it at the n-th operation on the disk."""
    count = 0

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **keywords: object) -> object:
            nonlocal count
            count += 1
            if count == operation:
                os._exit(KILLED)
            return real(*arguments, **keywords)

        return call

    for name in ("rename", "fsync", "unlink", "mkdir", "open"):
        setattr(os, name, counted(getattr(os, name)))
    with held(RunFolder(folder), restart=True):
        os._exit(DONE)


def test_a_kill_at_any_operation_leaves_the_old_run_or_none(tmp_path: Path) -> None:
    codes = []
    while DONE not in codes:
        folder = tmp_path / str(len(codes)) / "run"
        old_run(folder)
        child = os.fork()
        if child == 0:
            try:
                restart_and_die_at(len(codes) + 1, folder)
            finally:
                os._exit(1)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        kept = list(folder.parent.glob("run-before-*"))
        (old,) = (RunFolder(path) for path in kept or [folder])
        assert [old.recipe.read_text(), old.log.read_text()] == ["old", "old"]
        with held(RunFolder(folder), restart=True):  # the same command again
            assert not RunFolder(folder).exists
        assert len(list(folder.parent.glob("run-before-*"))) == 1
    assert set(codes[:-1]) == {KILLED}
    assert len(codes) > 5


def test_home_is_expanded_also_behind_an_equals_sign(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run_folder("~/x", asked_by="y").path == tmp_path / "x"
    with pytest.raises(RecipeError, match="C136"):
        run_folder("~nosuchuser/x", asked_by="y")


def test_the_folder_is_held_meanwhile(tmp_path: Path, tickets: Path) -> None:
    with start(layers(tickets), out=tmp_path / "run", asked_by="x") as started:
        assert not started.is_finished
        with pytest.raises(FolderInUseError), held(started.run):
            pass


def test_only_the_first_process_writes(
    tmp_path: Path, tickets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    with start(layers(tickets), out=tmp_path / "run", asked_by="x"):
        assert not (tmp_path / "run").exists()
