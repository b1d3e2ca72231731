from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.capabilities import needs
from tests.runs.stored_files import FACTS as STORED
from tunesmith.errors import (
    DataError,
    FolderInUseError,
    ModelError,
    RecipeError,
    ResourceError,
    Severity,
)
from tunesmith.inputs import ValidatedInputs
from tunesmith.recipe import Layers, gather
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.plan_file import write_plan
from tunesmith.runs.start import (
    held,
    inputs_of,
    look_up_model,
    remarks,
    run_folder,
    start,
    write_inputs,
)
from tunesmith.storage import atomic, hub

STEP = '{"event": "step", "step": 1}\n'


def layers(tickets: Path, *sets: str) -> Layers:
    model = "model=embedded:mini"
    return gather(sets=[f"data.train={tickets}", model, *sets], environment={})


def begun(run: RunFolder, checked: ValidatedInputs, *, log: str = STEP) -> None:
    """Leave in the folder what a run leaves that has made a step."""
    run.path.mkdir(parents=True, exist_ok=True)
    write_inputs(run, checked.recipe, checked.layers, checked.rejected)
    digests = {name: split.digest for name, split in checked.splits.items()}
    write_plan(run, {"fingerprint": {"data": digests}}, checked.warnings)
    run.log.write_text(log)


def test_the_recipe_is_written_with_every_choice_explained(tmp_path: Path, tickets: Path) -> None:
    run = run_folder(tmp_path / "run", named_after="x")
    checked = inputs_of(layers(tickets), run)
    assert not run.path.exists()  # nothing that a failure between here and a step would leave
    write_inputs(run, checked.recipe, checked.layers, checked.rejected)
    text = run.recipe.read_text()
    assert "label: queue" in text
    assert "automatic: by its name" in text
    again = gather(file=run.recipe, environment={}).recipe()
    assert again == checked.recipe
    assert ("data", "label") in remarks(checked.layers)
    assert not run.rejected.exists()


def test_rows_in_quarantine_are_written_to_the_run_folder(tmp_path: Path, write_jsonl) -> None:  # type: ignore[no-untyped-def]
    rows = [{"text": f"soup {i}", "label": "ab"[i % 2]} for i in range(20)] + [{"text": "汤"}]
    assignments = [
        f"data.train={write_jsonl(rows)}",
        "model=embedded:mini",
        "data.on_bad_row=quarantine",
    ]
    run = RunFolder(tmp_path / "run")
    checked = inputs_of(gather(sets=assignments, environment={}), run)
    write_inputs(run, checked.recipe, checked.layers, checked.rejected)
    (line,) = run.rejected.read_text(encoding="utf-8").splitlines()
    assert "汤" in line  # as it was written
    rejected = json.loads(line)
    assert rejected["split"] == "train" and rejected["place"].endswith("rows.jsonl:21")
    assert rejected["code"].startswith("D") and rejected["values"] == {"text": "汤", "label": None}


def test_the_same_recipe_may_come_again_and_another_not(tmp_path: Path, tickets: Path) -> None:
    run = run_folder(tmp_path / "run", named_after="x")
    begun(run, inputs_of(layers(tickets), run))
    inputs_of(layers(tickets, "train.save_every=1 epoch"), run)
    with pytest.raises(RecipeError, match="C108") as caught:
        inputs_of(layers(tickets, "train.epochs=1", "train.seed=7"), run)
    assert "train.epochs: 3 → 1" in str(caught.value)
    assert "train.seed: 42 → 7" in str(caught.value)


def test_a_run_without_a_step_refuses_no_recipe(tmp_path: Path, tickets: Path) -> None:
    run = run_folder(tmp_path / "run", named_after="x")
    begun(run, inputs_of(layers(tickets), run), log='{"event": "warned", "step": 0}\n')
    assert inputs_of(layers(tickets, "train.seed=7"), run).recipe.train.seed == 7
    with start(layers(tickets, "train.seed=7"), out=run.path, named_after="x", restart=True):
        pass
    assert [path.name for path in tmp_path.glob("run-*")] == []  # there is nothing to keep


def test_rows_are_audited_until_a_plan_holds_what_was_found(tmp_path: Path, write_csv) -> None:  # type: ignore[no-untyped-def]
    rows = [["text", "label"], *([f"soup {i // 2}", "ab"[i % 2]] for i in range(40))]
    recipe_layers = gather(
        sets=[f"data.train={write_csv(rows)}", "model=embedded:mini"], environment={}
    )
    run = run_folder(tmp_path / "run", named_after="x")

    def codes() -> list[str]:
        return [problem.code for problem in inputs_of(recipe_layers, run).warnings]

    first = codes()
    assert first and all(code.startswith("D") for code in first)
    checked = inputs_of(recipe_layers, run)
    write_inputs(run, checked.recipe, checked.layers, checked.rejected)
    assert codes() == first  # killed right after the recipe
    begun(run, checked, log="")
    assert codes() == first  # killed before the first step
    run.log.write_text(STEP)
    assert codes() == []  # the plan remembers them
    run.plan.write_text(run.plan.read_text()[:-20])
    assert codes() == first


def test_a_model_that_does_not_exist_is_reported_before_the_data_is_read(tmp_path: Path) -> None:
    for model in ("embeded:mini", "embedded:mimi", str(tmp_path / "no-model"), "./none"):
        recipe_layers = gather(sets=["data.train=no-such.csv", f"model={model}"], environment={})
        with pytest.raises(ModelError, match=r"M107|M10"):
            inputs_of(recipe_layers, RunFolder(tmp_path / "run"))
    with pytest.raises(ResourceError):  # the Hub is out of reach here
        look_up_model(gather(sets=["data.train=x.csv", "model=no/model"], environment={}))
    look_up_model(gather(sets=["data.train=x.csv"], environment={}))
    with pytest.raises(DataError):
        inputs_of(layers(tmp_path / "no-such.csv"), RunFolder(tmp_path / "run"))


def test_a_model_of_the_hub_is_looked_up_and_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe_layers = gather(
        sets=["data.train=x.csv", "model=own/model", "revision=v2"], environment={}
    )
    calls: list[tuple[str, str | None]] = []

    def cached(name: str, *, revision: str | None) -> Path | None:
        calls.append((name, revision))
        return tmp_path if len(calls) == 1 else None

    def commit_of(name: str, *, kind: str, revision: str | None) -> str:
        calls.append((f"{kind} {name}", revision))
        return "0" * 40

    monkeypatch.setattr(hub, "cached_folder", cached)
    monkeypatch.setattr(hub, "resolve_commit", commit_of)
    look_up_model(recipe_layers)
    assert calls == [("own/model", "v2")]  # it is in the cache: no request is made
    look_up_model(recipe_layers)
    assert calls[1:] == [("own/model", "v2"), ("model own/model", "v2")]


def test_the_folder_is_named_after_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_folder(None, named_after="data/tickets.csv").path == Path("runs/tickets")


def test_a_folder_of_something_else_is_not_treated_as_a_run(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ResourceError, match="C111"):
        run_folder(tmp_path, named_after="x")


def test_restart_keeps_the_old_run(tmp_path: Path, tickets: Path) -> None:
    out = tmp_path / "run"
    begun(RunFolder(out), inputs_of(layers(tickets), RunFolder(out)))
    with start(
        layers(tickets, "train.epochs=1"), out=out, named_after="x", restart=True
    ) as started:
        assert not (out / "events.jsonl").exists()
        assert started.checked.recipe.train.epochs == 1
    (old,) = tmp_path.glob("run-before-*")
    assert re.fullmatch(r"run-before-\d{8}T\d{6}", old.name)
    assert (old / "events.jsonl").read_text() == STEP
    assert sorted(path.name for path in old.iterdir()) == [
        ".lock", "events.jsonl", "plan.json", "recipe.yaml",
    ]  # fmt: skip


def old_run(folder: Path) -> RunFolder:
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text("old")
    (folder / "events.jsonl").write_text(STEP)
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
    old_runs = sorted(tmp_path.glob("run-before-*"))
    assert len(old_runs) == 3
    assert all((path / "recipe.yaml").read_text() == "old" for path in old_runs)


@needs("links")
def test_restart_behind_a_link_moves_what_it_points_to(tmp_path: Path) -> None:
    old_run(tmp_path / "disk" / "real")
    (tmp_path / "run").symlink_to(tmp_path / "disk" / "real")
    run = RunFolder(tmp_path / "run")
    with held(run, restart=True):
        assert not run.exists
        assert (tmp_path / "disk" / "real").is_dir()
    (old,) = (tmp_path / "disk").glob("real-before-*")
    assert RunFolder(old).exists
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


@needs("fork")
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
        set_aside = list(folder.parent.glob("run-before-*"))
        (old,) = (RunFolder(path) for path in set_aside or [folder])
        assert [old.recipe.read_text(), old.log.read_text()] == ["old", STEP]
        with held(RunFolder(folder), restart=True):  # the same command again
            assert not RunFolder(folder).exists
        assert len(list(folder.parent.glob("run-before-*"))) == 1
    assert set(codes[:-1]) == {KILLED}
    assert len(codes) > 5


def test_home_is_expanded_also_behind_an_equals_sign(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run_folder("~/x", named_after="y").path == tmp_path / "x"
    with pytest.raises(RecipeError, match="C136"):
        run_folder("~nosuchuser/x", named_after="y")


def test_the_folder_is_held_meanwhile(tmp_path: Path, tickets: Path) -> None:
    with start(layers(tickets), out=tmp_path / "run", named_after="x") as started:
        assert not started.is_finished
        assert started.notes == ()
        with pytest.raises(FolderInUseError), held(started.run):
            pass


def test_only_the_first_process_writes(
    tmp_path: Path, tickets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    with start(layers(tickets), out=tmp_path / "run", named_after="x"):
        assert not (tmp_path / "run").exists()


FACTS = {
    "steps": 7,
    "best_step": 5,
    "reason": "all steps done",
    "scores": {"validation": {"accuracy": 0.5}, "test": {"accuracy": 0.25}},
    "train_seconds": 2.0,
    "samples_per_second": 3.5,
}


def finished(run: RunFolder, checked: ValidatedInputs, **facts: object) -> None:
    begun(run, checked)
    with atomic.publish(run.model) as folder:
        (folder / "tunesmith.json").write_text(json.dumps({**STORED, "data": {}, **FACTS, **facts}))


def test_a_finished_run_whose_data_changed_says_so(tmp_path: Path, tickets: Path) -> None:
    run = RunFolder(tmp_path / "run")
    finished(run, inputs_of(layers(tickets), run))

    def notes() -> list[str]:
        with start(layers(tickets), out=run.path, named_after="x") as started:
            assert started.is_finished
            assert all(note.severity is Severity.NOTE for note in started.notes)
            return [f"{note.code} {note.message}" for note in started.notes]

    assert notes() == []
    tickets.write_text(tickets.read_text().replace("printer", "plotter"))
    changed = "C104 the data changed since the run was trained: train, validation"
    assert sorted(notes()[0]) == sorted(changed)
    run.plan.unlink()
    assert notes() == []  # nothing says any more what it was trained on


def test_the_model_also_knows_what_it_learned_from(tmp_path: Path, tickets: Path) -> None:
    run = RunFolder(tmp_path / "run")
    finished(run, inputs_of(layers(tickets), run), data={"train": "another"})
    run.plan.write_text("{")
    with start(layers(tickets), out=run.path, named_after="x") as started:
        (note,) = started.notes
    assert note.code == "C104"


def test_a_kill_after_the_model_leaves_a_run_that_ends_finished(
    tmp_path: Path, tickets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(tmp_path / "run")
    finished(run, inputs_of(layers(tickets), run))
    for _time in range(2):  # the second time there is nothing to add
        with start(layers(tickets), out=run.path, named_after="x"):
            pass
        lines = [json.loads(line) for line in run.log.read_text().splitlines()]
        assert [line["event"] for line in lines] == ["step", "finished"]
    expected = {
        "event": "finished",
        "step": 7,
        "best_step": 5,
        "reason": "all steps done",
        "scores": {"accuracy": 0.5},
        "test_scores": {"accuracy": 0.25},
        "train_seconds": 2.0,
        "samples_per_second": 3.5,
    }
    assert lines[1] == expected | {"time": lines[1]["time"]}
    run.log.write_text(STEP)
    monkeypatch.setenv("RANK", "1")
    with start(layers(tickets), out=run.path, named_after="x"):
        assert run.log.read_text() == STEP


def test_a_run_goes_on_with_the_commit_that_it_began_with(tmp_path: Path, tickets: Path) -> None:
    run = RunFolder(tmp_path / "run")
    checked = inputs_of(layers(tickets), run)

    def revision() -> str | None:
        with start(layers(tickets), out=run.path, named_after="x") as started:
            return started.revision

    assert revision() is None
    begun(run, checked)
    assert revision() is None
    commit_ = "0123456789" * 4
    write_plan(run, {"model": {"name": "m", "revision": commit_}}, ())
    assert revision() == commit_
    run.log.unlink()
    assert revision() is None  # without a step the run begins with what is there now
