"""Two processes as on two machines: folders, caches, and data of their own."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.capabilities import needs
from tests.runs.children import ended, start_each, start_pair
from tests.runs.machines import (
    MOMENTS,
    ROWS,
    SETTINGS,
    STEP,
    Fault,
    cut_back,
    machines,
    run_apart,
    said,
    tickets_and_model,
    train_here,
    train_with,
    weights,
)
from tunesmith.storage.lock import hold


def train_and_stop_in(
    evaluation: int | None, out: Path, data: Path, model: Path, settings: dict[str, object]
) -> None:
    """The same; gets a signal in the midst of the n-th evaluation, between two of its batches."""
    from tunesmith.runs import session

    predict, count = session.predict, 0

    def interrupted(*arguments: Any, **keywords: Any) -> Any:
        nonlocal count
        count += 1
        between, is_due = keywords["between"], count == evaluation

        def and_signal() -> None:
            nonlocal is_due
            if is_due:
                is_due = False
                os.kill(os.getpid(), signal.SIGTERM)
            between()

        return predict(*arguments, **{**keywords, "between": and_signal})

    session.predict = interrupted
    train_here(out, data, model, settings)


@pytest.mark.slow
def test_without_a_shared_folder_weights_are_equal_and_resumed_alike(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    """Rank 1 has nothing of it at first, then nothing at all: it gets all from rank 0."""
    outs = machines(tmp_path, "apart", tickets)
    assert run_apart(outs, tiny_bert) == [0, 0]
    first, second = weights(outs)
    assert first == second
    assert not outs[1].exists(), "nothing is written but by rank 0"
    cut_back(outs[0], 6)
    assert run_apart(outs, tiny_bert) == [0, 0]
    assert weights(outs) == [first, first]
    assert not outs[1].exists()


@pytest.mark.slow
@pytest.mark.parametrize("theirs", ["newer", "older", "damaged", "foreign", "same", "other"])
def test_what_another_machine_has_is_not_looked_at(
    theirs: str, tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    shared = tmp_path / "shared" / "run"
    shared.parent.mkdir()
    shutil.copy(tickets, shared.parent / "rows.csv")
    assert ended(start_pair(train_here, shared, ROWS, tiny_bert, SETTINGS)) == [0, 0]
    expected = (shared.parent / "weights-0").read_text()
    outs = machines(tmp_path, "apart", tickets)
    shutil.copytree(shared, outs[0])
    cut_back(outs[0], 6)
    shutil.copytree(shared, outs[1])
    if theirs == "older":
        cut_back(outs[1], 3)
    elif theirs == "same":
        cut_back(outs[1], 6)
    elif theirs == "damaged":
        cut_back(outs[1], 6)
        for file in (outs[1] / "checkpoints").rglob("model.safetensors"):
            file.write_bytes(file.read_bytes()[:-9])
    elif theirs == "foreign":
        shutil.rmtree(outs[1])
        assert run_apart([outs[1]] * 2, tiny_bert, seed=7) == [0, 0]
    elif theirs == "other":
        shutil.rmtree(outs[1])
        outs[1].mkdir()
        (outs[1] / "thesis.txt").write_text("not a run")
    before = {path: path.stat().st_mtime_ns for path in outs[1].rglob("*")}
    assert run_apart(outs, tiny_bert) == [0, 0]
    assert weights(outs) == [expected, expected]
    assert {path: path.stat().st_mtime_ns for path in outs[1].rglob("*")} == before


@pytest.mark.slow
def test_other_rows_on_one_machine_stop_both(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    outs = machines(tmp_path, "apart", tickets)
    rows = outs[1].parent / "rows.csv"
    rows.write_text(rows.read_text().replace("printer", "plotter"))
    assert run_apart(outs, tiny_bert) == [6, 6]
    for out in outs:
        assert "C140" in said(out)
        assert "process 1: data train: " in said(out)
    assert not (outs[0] / "recipe.yaml").exists()
    assert not outs[1].exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "value", "difference"),
    [("train.seed", 7, "recipe train.seed: 42 → 7"), ("train.batch_size", 4, "recipe train.batch")],
)
def test_another_recipe_on_one_machine_stops_both(
    key: str, value: object, difference: str, tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    outs = machines(tmp_path, "apart", tickets)
    settings = [SETTINGS, {**SETTINGS, key: value}]
    pair = start_each(
        train_here,
        *[(o, ROWS, tiny_bert, s) for o, s in zip(outs, settings, strict=True)],
    )
    assert ended(pair) == [6, 6]
    assert all(f"process 1: {difference}" in said(out) for out in outs)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_what_fails_on_one_machine_stops_the_other_with_its_code(
    rank: int, tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    outs = machines(tmp_path, "apart", tickets)
    (outs[rank].parent / "rows.csv").unlink()
    started = time.monotonic()
    codes = run_apart(outs, tiny_bert)
    assert codes[0] == codes[1] == 3, codes
    assert f"process {rank} on " in said(outs[1 - rank])
    assert "rows.csv" in said(outs[1 - rank])
    assert time.monotonic() - started < 60
    assert not (outs[0] / "checkpoints").exists()


@pytest.fixture(scope="module")
def through(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[str]]:
    """Data and model, and the weights of an undisturbed run."""
    folder = tmp_path_factory.mktemp("through")
    data, model = tickets_and_model(folder)
    outs = machines(folder, "through", data)
    assert run_apart(outs, model) == [0, 0]
    return data, model, weights(outs)


def check_kill(fault: Fault, victim: int, through: tuple[Path, Path, list[str]], to: Path) -> None:
    data, model, expected = through
    outs = machines(to, "apart", data)
    faults = [fault if rank == victim else None for rank in range(2)]
    arguments = [(each, {}, o, ROWS, model, SETTINGS) for each, o in zip(faults, outs, strict=True)]
    codes = ended(start_each(train_with, *arguments))
    assert codes[victim] == -signal.SIGKILL
    assert codes[1 - victim] == 75
    assert "C141" in said(outs[1 - victim])
    assert not (outs[0] / "model").exists()
    with hold(outs[0]):
        pass
    assert run_apart(outs, model) == [0, 0]
    assert weights(outs) == expected
    assert not outs[1].exists()
    assert not list(outs[0].rglob(".tmp-*"))


@needs("signals")
@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("place", MOMENTS)
def test_a_machine_that_goes_away_ends_the_other_and_the_rerun_agrees(
    place: str, victim: int, through: tuple[Path, Path, list[str]], tmp_path: Path
) -> None:
    check_kill(Fault("killed", *MOMENTS[place]), victim, through, tmp_path)


@needs("signals")
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_so_it_is_at_any_time(
    seed: int, through: tuple[Path, Path, list[str]], tmp_path: Path
) -> None:
    """Between the beginning of a random step and the next, at most: the run has twelve."""
    draw = random.Random(seed)
    fault = Fault("killed", STEP, draw.randint(1, 9), draw.uniform(0.0001, 0.02))
    check_kill(fault, draw.randrange(2), through, tmp_path)


@needs("signals")
@pytest.mark.parametrize(
    ("signaled", "is_compared"),
    [
        ((2, None), False),
        pytest.param((2, 2), True, marks=pytest.mark.slow),
        pytest.param((None, 2), True, marks=pytest.mark.slow),
    ],
)
def test_a_stop_in_an_evaluation_saves_once_and_the_rerun_makes_it_again(
    signaled: tuple[int | None, int | None],
    is_compared: bool,
    tickets: Path,
    tiny_bert: Path,
    tmp_path: Path,
) -> None:
    """Only one process gets the signal; both stop together, wherever the other one is."""
    outs = machines(tmp_path, "apart", tickets)
    settings = {**SETTINGS, "train.preflight": False, "train.eval_batch_size": 2}
    arguments = [(o, ROWS, tiny_bert, settings) for o in outs]
    pair = start_each(
        train_and_stop_in, *[(n, *rest) for n, rest in zip(signaled, arguments, strict=True)]
    )
    assert ended(pair) == [75, 75]
    saved = sorted(path.name for path in (outs[0] / "checkpoints").glob("step-*"))
    assert saved[-1] == "step-00000008"
    assert not (outs[0] / "model").exists()
    assert ended(start_each(train_here, *arguments)) == [0, 0]
    stopped = weights(outs)
    assert stopped[0] == stopped[1], "the second got the checkpoint of the first"
    assert not outs[1].exists(), "nothing is written but by process 0"
    if not is_compared:
        return
    again = machines(tmp_path, "through", tickets)
    through = [(o, ROWS, tiny_bert, settings) for o in again]
    assert ended(start_each(train_here, *through)) == [0, 0]
    assert stopped == weights(again)
