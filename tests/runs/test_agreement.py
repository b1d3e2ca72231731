"""Two processes as on two machines: folders, caches, and data of their own."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.capabilities import needs
from tests.runs.children import ended, start_each, start_pair, train

SETTINGS: dict[str, object] = {
    "train.log_every": 1,
    "train.epochs": 2,
    "train.batch_size": 8,
    "train.learning_rate": 1e-3,
    "train.evaluate_every": "4 steps",
    "train.save_every": "3 steps",
    "train.keep_checkpoints": 9,
    "data.validation": "21%",
}
ROWS = Path("rows.csv")
"""In the folder that each machine works in."""


def train_here(out: Path, data: Path, model: Path, settings: dict[str, object]) -> None:
    """Train in a working folder of its own; keep a hash of the weights this process ends with."""
    from tunesmith.runs import train as module

    out.parent.mkdir(parents=True, exist_ok=True)
    os.chdir(out.parent)
    finish = module.finish

    def finish_and_keep(session: Any, **keywords: Any) -> Any:
        finished = finish(session, **keywords)
        digest = hashlib.sha256()
        for tensor in session.network.state_dict().values():
            digest.update(tensor.cpu().numpy().tobytes())
        (out.parent / f"weights-{session.accelerator.process_index}").write_text(digest.hexdigest())
        return finished

    module.finish = finish_and_keep
    train(out, data, model, settings)


def train_and_die(
    seconds: float | None, out: Path, data: Path, model: Path, settings: dict[str, object]
) -> None:
    """The same; dies by SIGKILL after some time."""
    if seconds is not None:
        threading.Thread(
            target=lambda: (time.sleep(seconds), os.kill(os.getpid(), signal.SIGKILL)), daemon=True
        ).start()
    train_here(out, data, model, settings)


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


def machines(tmp_path: Path, name: str, data: Path) -> list[Path]:
    """The run folders of two machines, each with a copy of the data next to it."""
    outs = [tmp_path / f"{name}-{rank}" / "run" for rank in range(2)]
    for out in outs:
        out.parent.mkdir(exist_ok=True)
        shutil.copy(data, out.parent / "rows.csv")
    return outs


def run_apart(
    outs: list[Path], model: Path, *, seconds: float = 120, **sets: object
) -> list[int | None]:
    settings = {**SETTINGS, **{f"train.{key}": value for key, value in sets.items()}}
    pair = start_each(train_here, *[(o, ROWS, model, settings) for o in outs])
    return ended(pair, timeout=seconds)


def weights(outs: list[Path]) -> list[str]:
    return [(out.parent / f"weights-{rank}").read_text() for rank, out in enumerate(outs)]


def error(out: Path) -> str:
    return (out.parent / "error.txt").read_text()


def cut_back(out: Path, step: int) -> None:
    """As a kill leaves it after a step: later checkpoints, log and model are not there yet."""
    for folder in (out / "checkpoints").iterdir():
        if int(folder.name.removeprefix("step-")) > step:
            shutil.rmtree(folder)
    for name in ("model", "predictions"):
        shutil.rmtree(out / name)


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


def test_other_rows_on_one_machine_stop_both(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    outs = machines(tmp_path, "apart", tickets)
    rows = outs[1].parent / "rows.csv"
    rows.write_text(rows.read_text().replace("printer", "plotter"))
    assert run_apart(outs, tiny_bert) == [6, 6]
    for out in outs:
        assert "C140" in error(out)
        assert "process 1: data train: " in error(out)
    assert not (outs[0] / "recipe.yaml").exists()
    assert not outs[1].exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "value", "said"),
    [("train.seed", 7, "recipe train.seed: 42 → 7"), ("train.batch_size", 4, "recipe train.batch")],
)
def test_another_recipe_on_one_machine_stops_both(
    key: str, value: object, said: str, tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    outs = machines(tmp_path, "apart", tickets)
    settings = [SETTINGS, {**SETTINGS, key: value}]
    pair = start_each(
        train_here,
        *[(o, ROWS, tiny_bert, s) for o, s in zip(outs, settings, strict=True)],
    )
    assert ended(pair) == [6, 6]
    assert all(f"process 1: {said}" in error(out) for out in outs)


@pytest.mark.parametrize("rank", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_what_fails_on_one_machine_stops_the_other_with_its_code(
    rank: int, tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    outs = machines(tmp_path, "apart", tickets)
    (outs[rank].parent / "rows.csv").unlink()
    started = time.monotonic()
    codes = run_apart(outs, tiny_bert)
    assert codes[0] == codes[1] == 3, codes
    assert f"process {rank} on " in error(outs[1 - rank])
    assert "rows.csv" in error(outs[1 - rank])
    assert time.monotonic() - started < 60
    assert not (outs[0] / "checkpoints").exists()


@needs("signals")
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_machine_that_goes_away_ends_the_other_and_the_rerun_agrees(
    seed: int, tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    outs = machines(tmp_path, "through", tickets)
    assert run_apart(outs, tiny_bert, epochs=12) == [0, 0]
    expected = weights(outs)
    outs = machines(tmp_path, "apart", tickets)
    draw = random.Random(seed)
    victim, seconds = draw.randrange(2), draw.uniform(0.5, 4)
    settings = {**SETTINGS, "train.epochs": 12}
    pair = start_each(
        train_and_die,
        *[
            (seconds if rank == victim else None, out, ROWS, tiny_bert, settings)
            for rank, out in enumerate(outs)
        ],
    )
    codes = ended(pair)
    if codes != [0, 0]:
        assert codes[victim] in (-signal.SIGKILL, 0)
        assert codes[1 - victim] in (75, 0)
    assert run_apart(outs, tiny_bert, epochs=12) == [0, 0]
    if (outs[1].parent / "weights-1").exists():
        assert weights(outs) == expected


@needs("signals")
@pytest.mark.parametrize(
    ("signaled", "is_rerun"),
    [
        ((2, None), False),
        pytest.param((2, 2), True, marks=pytest.mark.slow),
        pytest.param((None, 2), True, marks=pytest.mark.slow),
    ],
)
def test_a_stop_in_an_evaluation_saves_once_and_the_rerun_makes_it_again(
    signaled: tuple[int | None, int | None],
    is_rerun: bool,
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
    if not is_rerun:
        return
    assert ended(start_each(train_here, *arguments)) == [0, 0]
    stopped = weights(outs)
    again = machines(tmp_path, "through", tickets)
    through = [(o, ROWS, tiny_bert, settings) for o in again]
    assert ended(start_each(train_here, *through)) == [0, 0]
    assert stopped == weights(again)
