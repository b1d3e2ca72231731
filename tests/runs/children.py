"""Runs in processes of their own, forked from a server that has the libraries loaded already.

Where Python itself spawns processes (macOS, Windows), these are, too: it takes seconds more.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path

ROOT = Path(__file__).parents[2]
FORKS = multiprocessing.get_start_method() != "spawn"
FORKED = multiprocessing.get_context("forkserver" if FORKS else "spawn")
if FORKS:
    FORKED.set_forkserver_preload(["tests.runs.preloaded"])

SETTINGS: dict[str, object] = {
    "train.epochs": 2,
    "train.batch_size": 4,
    "train.learning_rate": 1e-3,
    "train.save_every": "3 steps",
    "train.evaluate_every": "5 steps",
    "train.log_every": 2,
    "train.select_by": "loss",
    "data.validation": "20%",
}


def fork_context() -> BaseContext:
    """The context of processes that are forked from a server, which starts now if it has not yet.

    It preloads modules of `tests` and says nothing if it does not find them, as in the folder of a
    test; each child would then load them itself, in seconds.
    """
    if FORKS:
        from multiprocessing import forkserver

        with contextlib.chdir(ROOT):
            forkserver.ensure_running()
    return FORKED


def train(out: Path, data: Path, model: Path, settings: dict[str, object]) -> None:
    """Train to the end; the process ends with the exit code of an error."""
    from tunesmith.api.train import start
    from tunesmith.errors import TunesmithError

    os.environ["TUNESMITH_CACHE"] = str(out.parent / "cache")
    try:
        for _event in start(str(data), out=out, settings={"model": str(model), **settings}):
            pass
    except TunesmithError as error:
        (out.parent / "error.txt").write_text(str(error))
        os._exit(error.exit_code)


def train_and_die_at(
    operation: int, out: Path, data: Path, model: Path, settings: dict[str, object]
) -> None:
    """Train, and die by SIGKILL at the n-th operation on the disk."""
    count = 0

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **keywords: object) -> object:
            nonlocal count
            count += 1
            if count == operation:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **keywords)

        return call

    for name in ("fsync", "rename", "replace", "rmdir", "unlink"):
        setattr(os, name, counted(getattr(os, name)))
    train(out, data, model, settings)


def train_and_die_after(
    seconds: float, out: Path, data: Path, model: Path, settings: dict[str, object]
) -> None:
    """Train, and die by SIGKILL after some time."""
    threading.Thread(
        target=lambda: (time.sleep(seconds), os.kill(os.getpid(), signal.SIGKILL)), daemon=True
    ).start()
    train(out, data, model, settings)


def train_in_another_order(out: Path, data: Path, model: Path, settings: dict[str, object]) -> None:
    """The negative control: the rows of later epochs come in another order."""
    from tunesmith.training import plan

    real = plan.row_order

    def other(n: int, seed: int, epoch: int, start: int, stop: int) -> object:
        return real(n, seed + 1, epoch, start, stop)

    plan.row_order = other  # type: ignore[assignment]
    train(out, data, model, settings)


def in_child(
    target: Callable[..., None], *arguments: object, timeout: float = 120, preloaded: bool = True
) -> int:
    """Run to the end in a child; returns its exit code, negative for a signal.

    It has all libraries loaded, or, where a test is about that, none.
    """
    context = fork_context() if preloaded else multiprocessing.get_context("spawn")
    child: BaseProcess = context.Process(target=target, args=arguments)  # type: ignore[attr-defined]
    child.start()
    child.join(timeout)
    if child.is_alive():
        child.kill()
        raise TimeoutError(f"{target.__name__} did not end")
    assert child.exitcode is not None
    return child.exitcode


def start_pair(target: Callable[..., None], *arguments: object) -> list[BaseProcess]:
    """Two processes of one job, with the environment that torchrun gives its workers."""
    return start_each(target, arguments, arguments)


def start_each(target: Callable[..., None], *each: tuple[object, ...]) -> list[BaseProcess]:
    """A process for each tuple of arguments, as on machines of their own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    job: list[BaseProcess] = [
        fork_context().Process(target=_as_worker, args=(rank, len(each), port, target, arguments))
        for rank, arguments in enumerate(each)
    ]
    for child in job:
        child.start()
    return job


def _as_worker(
    rank: int, size: int, port: int, target: Callable[..., None], arguments: tuple[object, ...]
) -> None:
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "CUDA_VISIBLE_DEVICES": "",
    }  # fmt: skip
    target(*arguments)


def ended(children: list[BaseProcess], *, timeout: float = 120) -> list[int | None]:
    """Wait for all of them; returns their exit codes, negative for a signal."""
    deadline = time.monotonic() + timeout
    for child in children:
        child.join(max(0.0, deadline - time.monotonic()))
    alive = [child for child in children if child.is_alive()]
    for child in alive:
        child.kill()
    if alive:
        raise TimeoutError(f"{len(alive)} processes did not end")
    return [child.exitcode for child in children]


def random_delays(seed: int, count: int, longest: float) -> list[float]:
    draw = random.Random(seed)
    return [draw.uniform(0, longest) for _time in range(count)]
