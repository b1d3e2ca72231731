"""Jobs under `tunesmith launch`, as users start them, and their processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.runs.folder import RunFolder

SETTINGS = (
    "train.log_every=1", "train.epochs=40", "train.learning_rate=1e-3", "train.engine=exact",
    "train.evaluate_every=60 steps", "train.save_every=1000 steps", "train.select_by=null",
    "train.micro_batch_size=4", "data.validation=21%", "train.preflight=false",
)  # fmt: skip


@dataclass
class Launched:
    """A job, or one machine of it, in a folder of its own."""

    folder: Path
    data: Path
    model: Path

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Start it, with options of torchrun; by default for two processes."""
        # as at a terminal, also where the tests were started under nohup
        before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
        try:
            return self._started(options or standalone(2))
        finally:
            signal.signal(signal.SIGHUP, before)

    def _started(self, options: Sequence[str]) -> subprocess.Popen[str]:
        temporary = self.folder / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        sets = [part for written in SETTINGS for part in ("--set", written)]
        return subprocess.Popen(
            [sys.executable, "-m", "tunesmith.launch", *options,
             "train", str(self.data), "--model", str(self.model), "--out", "run", *sets],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "",
                 "TMPDIR": str(temporary), "TUNESMITH_CACHE": str(self.folder.parent / "cache")},
        )  # fmt: skip

    @property
    def run(self) -> RunFolder:
        return RunFolder(self.folder / "run")

    def checkpoints(self) -> list[str]:
        return sorted(path.name for path in self.run.checkpoints.glob("step-*"))

    def weights(self) -> bytes:
        return (self.run.model / "model.safetensors").read_bytes()

    def left(self) -> list[Path]:
        """What is there that should not be."""
        return [*(self.folder / "tmp").iterdir(), *self.run.path.rglob(".tmp-*")]

    def wait_for_steps(self, count: int) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if self.run.log.is_file() and self.run.log.read_text().count('"step"') >= count:
                return
            time.sleep(0.01)
        raise TimeoutError("no steps")


def standalone(count: int) -> tuple[str, ...]:
    """Options for several processes on this machine."""
    return "--standalone", "--nproc-per-node", str(count)


def nodes(count: int) -> list[tuple[str, ...]]:
    """Options for each of several machines, with one process each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = ("--nnodes", str(count), "--master-addr", "127.0.0.1", "--master-port", port)
    return [(*shared, "--nproc-per-node", "1", "--node-rank", str(rank)) for rank in range(count)]


def processes_of(launcher: subprocess.Popen[str]) -> list[int]:
    """The processes of the job, in the order of their ranks."""
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    ranks = {}
    for pid in map(int, children):
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        rank = [v for v in variables if v.startswith(b"RANK=")]
        ranks[pid] = int(rank[0].removeprefix(b"RANK=")) if rank else -1
    return sorted((pid for pid in ranks if ranks[pid] >= 0), key=lambda pid: ranks[pid])


def ended(pids: list[int], *, within: float = 30) -> bool:
    """Whether all of them end in time."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return True
        time.sleep(0.02)
    return False
