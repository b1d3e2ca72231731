"""Processes of one job as on machines of their own: folders, caches, and data."""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.runs.children import ended, start_each, train

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


class Fault(NamedTuple):
    """What happens to a process, and when.

    Attributes:
        kind: "killed", "suspended", or "asleep": its main thread waits, and others run.
        place: a function, as `module:name`.
        number: of the call of it that begins with the fault.
        delay: seconds from then on.
        seconds: for "asleep".
    """

    kind: str
    place: str
    number: int = 1
    delay: float = 0.0
    seconds: float = 3600.0

    def inflict(self) -> None:
        if self.kind == "asleep":
            time.sleep(self.seconds)
            return
        number = signal.SIGKILL if self.kind == "killed" else signal.SIGSTOP
        if self.delay:
            threading.Timer(self.delay, os.kill, (os.getpid(), number)).start()
        else:
            os.kill(os.getpid(), number)


STEP = "tunesmith.runs.session:Session.micro_batches"
EVALUATION = "tunesmith.training.predict:make_batch"
SAVE = "tunesmith.runs.recorder:Recorder.save"
END = "tunesmith.runs.train:finish"
START = "tunesmith.runs.train:agree_on_inputs"
GROUP = "tunesmith.runs.train:make_accelerator"
MOMENTS = {
    "the start": (START, 1),
    "the process group": (GROUP, 1),
    "the first step": (STEP, 1),
    "a later step": (STEP, 8),
    "an evaluation": (EVALUATION, 3),
    "a save": (SAVE, 2),
    "the end": (END, 1),
}
"""A function, and its call at which something happens to a process."""


def at_call(place: str, number: int, act: Callable[[], None]) -> None:
    """Have the n-th call of a function begin with something else."""
    module, _colon, name = place.partition(":")
    owner: Any = importlib.import_module(module)
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    real, count = getattr(owner, last), 0

    def call(*arguments: Any, **keywords: Any) -> Any:
        nonlocal count
        count += 1
        if count == number:
            act()
        return real(*arguments, **keywords)

    setattr(owner, last, call)


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


def train_with(
    fault: Fault | None,
    waits: Mapping[str, float],
    out: Path,
    data: Path,
    model: Path,
    settings: dict[str, object],
) -> None:
    """The same with a fault and other limits; what it prints is kept in a file.

    Args:
        fault: None for none.
        waits: constants of `training.peers` and `training.device`, by name.
        out: the run folder.
        data: what to train on.
        model: its folder.
        settings: of the recipe.
    """
    from tunesmith.training import device, peers

    for name, seconds in waits.items():
        module = peers if hasattr(peers, name) else device
        assert hasattr(module, name)
        setattr(module, name, seconds)
    if fault is not None:
        at_call(fault.place, fault.number, fault.inflict)
    out.parent.mkdir(parents=True, exist_ok=True)
    with (out.parent / "stderr.txt").open("w") as file:
        os.dup2(file.fileno(), 2)
    train_here(out, data, model, settings)


def tickets_and_model(folder: Path) -> tuple[Path, Path]:
    """Data and a model for jobs."""
    from tests.conftest import make_tiny_bert, ticket_rows  # what children need not load

    data = folder / "tickets.csv"
    data.write_text("\n".join(",".join(row) for row in ticket_rows(60)) + "\n")
    return data, make_tiny_bert(folder / "bert")


def machines(tmp_path: Path, name: str, data: Path, count: int = 2) -> list[Path]:
    """The run folders of machines, each with a copy of the data next to it."""
    outs = [tmp_path / f"{name}-{rank}" / "run" for rank in range(count)]
    for out in outs:
        out.parent.mkdir(exist_ok=True)
        shutil.copy(data, out.parent / "rows.csv")
    return outs


def run_apart(
    outs: list[Path], model: Path, *, seconds: float = 120, **sets: object
) -> list[int | None]:
    """Run a job over machines to its end; its exit codes."""
    settings = {**SETTINGS, **{f"train.{key}": value for key, value in sets.items()}}
    job = start_each(train_here, *[(o, ROWS, model, settings) for o in outs])
    return ended(job, timeout=seconds)


def weights(outs: list[Path]) -> list[str]:
    """A hash of the weights that each process ended with."""
    return [(out.parent / f"weights-{rank}").read_text() for rank, out in enumerate(outs)]


def said(out: Path) -> str:
    """The error that a process ended with, and what it printed."""
    names = ("error.txt", "stderr.txt")
    files = [out.parent / name for name in names if (out.parent / name).exists()]
    return "\n".join(file.read_text() for file in files)


def cut_back(out: Path, step: int) -> None:
    """As a kill leaves it after a step: later checkpoints, log and model are not there yet."""
    for folder in (out / "checkpoints").iterdir():
        if int(folder.name.removeprefix("step-")) > step:
            shutil.rmtree(folder)
    for name in ("model", "predictions"):
        shutil.rmtree(out / name)
