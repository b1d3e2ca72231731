"""Whole or absent, and exact: kills, damage, signals, divergence, two commands at once."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.capabilities import needs
from tests.conftest import ticket_rows
from tests.runs.children import (
    SETTINGS,
    fork_context,
    in_child,
    random_delays,
    train,
    train_and_die_after,
    train_and_die_at,
    train_in_another_order,
)
from tests.storage.test_atomic import DAMAGES
from tunesmith.runs.folder import RunFolder
from tunesmith.storage import atomic
from tunesmith.storage.lock import hold


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> tuple[Path, Path]:
    import csv

    data = tmp_path_factory.mktemp("data") / "tickets.csv"
    with data.open("w", newline="") as file:
        csv.writer(file).writerows(ticket_rows(60))
    return data, tiny_bert


@pytest.fixture(scope="module")
def reference(world: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The uninterrupted run that every other one must equal."""
    out = tmp_path_factory.mktemp("reference") / "run"
    assert in_child(train, out, *world, SETTINGS) == 0
    facts = RunFolder(out).facts()
    assert facts["best_step"] == facts["steps"] == 24  # so that the model holds every step
    return RunFolder(out)


def weights(run: RunFolder | Path) -> str:
    folder = run.model if isinstance(run, RunFolder) else run / "model"
    return atomic.sha256_of(folder / "model.safetensors")


def checked(out: Path, reference: RunFolder) -> None:
    """The run is whole and equal to the uninterrupted one, to the bit and to the line."""
    run = RunFolder(out)
    assert run.is_finished
    assert weights(run) == weights(reference)
    assert strip_times(run.events()) == strip_times(reference.events())
    assert run.facts()["scores"] == reference.facts()["scores"]
    assert [p.name for p in out.iterdir() if p.name.startswith((".tmp", ".trash"))] == []


def strip_times(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    times = ("time", "seconds", "train_seconds", "samples_per_second")
    return [
        {key: value for key, value in event.items() if key not in times}
        for event in events
        if event["event"] not in ("warned", "saved")
    ]


def finish(out: Path, world: tuple[Path, Path]) -> None:
    assert in_child(train, out, *world, SETTINGS) == 0


def test_the_same_command_twice_gives_the_same_bits(
    world: tuple[Path, Path], reference: RunFolder, tmp_path: Path
) -> None:
    finish(tmp_path / "run", world)
    checked(tmp_path / "run", reference)


@needs("signals")
@pytest.mark.parametrize("part", range(2))
def test_killed_at_random_moments(
    part: int, world: tuple[Path, Path], reference: RunFolder, tmp_path: Path
) -> None:
    """Killed again and again until it is through; twenty kills in both parts."""
    out = tmp_path / "run"
    kills = 0
    for delay in random_delays(part, 100, 0.6):
        code = in_child(train_and_die_after, delay, out, *world, SETTINGS)
        kills += code == -signal.SIGKILL
        if code == 0:  # it came through: once more from the start
            checked(out, reference)
            shutil.rmtree(out)
        if kills == 10:
            break
    assert kills == 10
    finish(out, world)
    checked(out, reference)


@needs("signals")
@pytest.mark.parametrize("first", range(1, 9))
def test_killed_inside_the_commits(
    first: int, world: tuple[Path, Path], reference: RunFolder, tmp_path: Path
) -> None:
    """Killed at operations on the disk: in recipe, plan, prepared data, checkpoints and model."""
    out = tmp_path / "run"
    kills = 0
    for operation in range(first, 120, 8):
        code = in_child(train_and_die_at, operation, out, *world, SETTINGS)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        kills += 1
    assert kills >= 2
    finish(out, world)
    checked(out, reference)


@needs("signals")
def test_the_negative_control(
    world: tuple[Path, Path], reference: RunFolder, tmp_path: Path
) -> None:
    """If rows came in another order after a resumption, the tests above would see it."""
    out = tmp_path / "run"
    assert in_child(train_and_die_at, 60, out, *world, SETTINGS) == -signal.SIGKILL
    assert (out / "checkpoints").is_dir()
    assert in_child(train_in_another_order, out, *world, SETTINGS) == 0
    assert weights(out) != weights(reference)


@pytest.mark.parametrize("harm", DAMAGES)
@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
def test_a_damaged_newest_checkpoint_is_reported_and_the_one_before_is_used(
    harm: Callable[[Path], None],
    name: str,
    world: tuple[Path, Path],
    reference: RunFolder,
    tmp_path: Path,
) -> None:
    out = tmp_path / "run"
    shutil.copytree(reference.path, out)
    shutil.rmtree(out / "model")
    newest = sorted((out / "checkpoints").glob("step-*"))[-1]
    harm(newest / name)
    finish(out, world)
    assert weights(out) == weights(reference)
    warned = [event for event in RunFolder(out).events() if event["event"] == "warned"]
    assert [event["code"] for event in warned] == ["C101"]
    assert len(list((out / "checkpoints").glob(".bad-*"))) == 1


def test_all_checkpoints_damaged_is_an_error_that_names_them(
    world: tuple[Path, Path], reference: RunFolder, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(reference.path, out)
    shutil.rmtree(out / "model")
    for folder in (out / "checkpoints").glob("step-*"):
        (folder / "state.json").unlink()
    assert in_child(train, out, *world, SETTINGS) == 6
    assert "C102" in (tmp_path / "error.txt").read_text()


@needs("signals")
@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 75), ("SIGUSR1", 75), ("SIGINT", 130)])
def test_a_signal_saves_and_the_same_command_continues(
    name: str, code: int, world: tuple[Path, Path], reference: RunFolder, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    child = fork_context().Process(target=train, args=(out, *world, SETTINGS))
    child.start()
    log = out / "events.jsonl"
    deadline = time.monotonic() + 60
    while not (log.is_file() and log.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.005)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child.pid or 0, getattr(signal, name))
    child.join(60)
    assert child.exitcode == code
    said = (tmp_path / "error.txt").read_text()
    assert "The same command continues." in said
    assert list((out / "checkpoints").glob("step-*"))
    finish(out, world)
    checked(out, reference)


def test_the_second_command_reports_who_holds_it(world: tuple[Path, Path], tmp_path: Path) -> None:
    with hold(tmp_path / "run"):
        assert in_child(train, tmp_path / "run", *world, SETTINGS) == 5
    assert str(os.getpid()) in (tmp_path / "error.txt").read_text()


def test_a_finished_run_is_left_alone(
    world: tuple[Path, Path], reference: RunFolder, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(reference.path, out)
    before = (out / "model" / atomic.MANIFEST).read_bytes()
    lines = len((out / "events.jsonl").read_text().splitlines())
    finish(out, world)
    assert (out / "model" / atomic.MANIFEST).read_bytes() == before
    assert len((out / "events.jsonl").read_text().splitlines()) == lines


def test_a_damaged_model_folder_is_written_again(
    world: tuple[Path, Path], reference: RunFolder, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(reference.path, out)
    (out / "model" / "config.json").write_text("{")
    finish(out, world)
    checked(out, reference)


def test_changed_data_is_not_trained_on(
    world: tuple[Path, Path], reference: RunFolder, tmp_path: Path
) -> None:
    data, model = world
    out = tmp_path / "run"
    shutil.copytree(reference.path, out)
    shutil.rmtree(out / "model")
    before = data.read_text()
    try:
        data.write_text(before.replace("printer", "plotter"))
        assert in_child(train, out, data, model, SETTINGS) == 6
    finally:
        data.write_text(before)
    assert "C104" in (tmp_path / "error.txt").read_text()


def test_another_recipe_in_the_folder_is_refused(
    world: tuple[Path, Path], reference: RunFolder, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(reference.path, out)
    other = {**SETTINGS, "train.learning_rate": 2e-3}
    assert in_child(train, out, *world, other) == 2
    said = (tmp_path / "error.txt").read_text()
    assert "C108" in said
    assert "train.learning_rate: 0.001 → 0.002" in said
    allowed = {**SETTINGS, "train.log_every": 7, "train.keep_checkpoints": 5}
    assert in_child(train, out, *world, allowed) == 0


def test_the_folder_holds_what_the_plan_says(reference: RunFolder) -> None:
    assert {p.name for p in reference.path.iterdir() if p.name[0] != "."} == {
        "recipe.yaml",
        "report.html",
        "plan.json",
        "events.jsonl",
        "checkpoints",
        "model",
        "predictions",
    }
    plan = reference.plan_facts()
    assert plan["plan"]["total_steps"] == 24
    assert plan["fingerprint"]["machine"]["threads"] == 1
    kinds = {json.loads(line)["event"] for line in reference.log.read_text().splitlines()}
    assert kinds == {"step", "evaluated", "saved", "finished"}
    steps = [e["step"] for e in reference.events() if e["event"] == "step"]
    assert steps == list(range(2, 25, 2))
    checkpoints = sorted(p.name for p in reference.checkpoints.iterdir())
    best = f"step-{reference.facts()['best_step']:08d}"
    assert best in checkpoints
    assert len(checkpoints) <= 4


def test_a_run_of_an_earlier_version_is_resumed_read_and_ejected(
    tmp_path: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its recipe, plan, checkpoints and model have the keys of that version."""
    import tunesmith as ts
    from tunesmith.recipe.renamed import RENAMED_KEYS
    from tunesmith.runs import prepare
    from tunesmith.runs.fingerprint import lasting_settings
    from tunesmith.tasks.masked_lm.task import MaskedLanguageModel

    old = {".".join(new): ".".join(old) for old, new in RENAMED_KEYS.items()}
    as_json = MaskedLanguageModel.as_json

    def old_settings(*arguments: Any) -> dict[str, Any]:
        return {old.get(key, key): value for key, value in lasting_settings(*arguments).items()}

    def old_facts(task: MaskedLanguageModel) -> dict[str, object]:
        names = {key: old.get(f"options.{key}", key) for key in as_json(task)}
        return {names[key].removeprefix("options."): as_json(task)[key] for key in names}

    def with_old_keys(recipe: Path) -> None:
        text = recipe.read_text()
        for new, key in old.items():
            text = re.sub(
                rf"^( *){new.split('.')[-1]}:", rf"\1{key.split('.')[-1]}:", text, flags=re.M
            )
        recipe.write_text(text)
        assert "\n  best: " in text and "\n  mask_share: " in text and "\ntrack: " in text

    notes = tmp_path / "notes.txt"
    notes.write_text("\n".join(f"the soup of day {i} is cold" for i in range(40)))
    out = tmp_path / "run"
    settings: dict[str, object] = {
        "model": str(tiny_bert),
        "task": "masked-lm",
        "train.max_steps": 6,
        "train.disable": ["dropout"],
        "train.save_every": "1 step",
        "options.mlm_probability": 0.3,
        "options.always_mask": ["soup"],
    }

    with monkeypatch.context() as earlier:
        earlier.setattr(prepare, "lasting_settings", old_settings)
        earlier.setattr(MaskedLanguageModel, "as_json", old_facts)
        events = ts.start(str(notes), out=out, settings=settings)
        for event in events:
            if isinstance(event, ts.Saved) and event.step == 3:
                break
        events.close()
    with_old_keys(out / "recipe.yaml")
    plan = json.loads((out / "plan.json").read_text())
    assert "train.fast_without" in plan["fingerprint"]["recipe"]
    assert "whole_words" in plan["task"]

    resumed = list(ts.start(str(notes), out=out, settings=settings))
    assert [event.step for event in resumed if isinstance(event, ts.StepDone)] == [4, 5, 6]
    with monkeypatch.context() as earlier:
        earlier.setattr(MaskedLanguageModel, "as_json", old_facts)
        list(ts.start(str(notes), out=tmp_path / "other", settings=settings))
    finished = ts.find_run(tmp_path / "other")
    with_old_keys(finished.folder / "recipe.yaml")
    assert finished.facts["task"]["mask_share"] == 0.3
    assert not list(ts.start(str(notes), out=finished.folder, settings=settings))
    assert ts.load(finished.model).predict("the [MASK] soup")
    assert "SOUP" in finished.eject(tmp_path / "script.py").read_text().upper()
