"""SLURM on one machine, in a folder of its own: munge, a controller, and a node with two CPUs.

It needs the programs (on Debian: slurmctld, slurmd, slurm-client, munge) and root, and starts its
own daemons on free ports. Its GPUs are empty files, since the scripts request some.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.deploy.manifests import DEPLOY

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "scancel")
CONFIGURATION = """\
ClusterName=box
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CryptoType=crypto/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
MpiDefault=none
GresTypes=gpu
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
KillWait=30
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 Gres=gpu:4 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
STEP = '"step": '


def is_available() -> bool:
    """Whether SLURM is installed, and may be started."""
    path = os.environ.get("PATH", "") + ":/usr/sbin"
    is_installed = all(shutil.which(name, path=path) for name in PROGRAMS)
    return is_installed and sys.platform == "linux" and os.geteuid() == 0


class Box:
    """A running SLURM, and the folder that its jobs are submitted from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "work"
        binaries = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin"
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"},
            "PATH": binaries,
            "SLURM_CONF": str(folder / "slurm.conf"),
            "TUNESMITH_TRAIN__LOG_EVERY": "1",
        }

    def submit(self, script: str, *words: str, epochs: int = 1, **variables: str) -> str:
        """Submit a script of `deploy/` for two processes, and return the id of the job."""
        options = [word for word in words if word.startswith("--")]
        arguments = [word for word in words if not word.startswith("--")]
        variables = {"TUNESMITH_TRAIN__EPOCHS": str(epochs), **variables}
        return self.command(
            "sbatch", "--parsable", "--cpus-per-task=1", *options, script, *arguments, **variables
        ).strip()

    def command(self, *words: str, **variables: str) -> str:
        done = subprocess.run(
            words, cwd=self.work, env={**self.environment, **variables}, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, f"{words}: {done.stdout}"
        return done.stdout

    def job(self, number: str) -> dict[str, str]:
        """What SLURM says of a job, or of an element of an array."""
        text = self.command("scontrol", "show", "job", number)
        return dict(re.findall(r"(\w+)=(\S*)", text))

    def ended(self, number: str, seconds: float = 300) -> dict[str, str]:
        """Wait until a job has ended for good, and return what SLURM says of it."""
        self.wait(lambda: self.job(number)["JobState"] in ("COMPLETED", "FAILED", "CANCELLED",
                                                           "TIMEOUT"), seconds)  # fmt: skip
        return self.job(number)

    def trained(self, run: str, step: int, seconds: float = 120) -> None:
        """Wait until a run has trained a step."""
        log = self.work / "runs" / run / "events.jsonl"
        self.wait(lambda: log.exists() and f"{STEP}{step}" in log.read_text(), seconds)

    @staticmethod
    def wait(condition: Callable[[], bool], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.1)


@contextmanager
def running(folder: Path) -> Iterator[Box]:
    """Start SLURM, and stop exactly what was started."""
    box = Box(folder)
    for name in ("munge", "state", "spool", "work"):
        (folder / name).mkdir(mode=0o755)
    host = socket.gethostname().split(".")[0]
    ports = {"controller_port": _free_port(), "node_port": _free_port()}
    text = CONFIGURATION.format(folder=folder, host=host, **ports)
    (folder / "slurm.conf").write_text(text)
    (folder / "gres.conf").write_text(f"Name=gpu File={folder}/gpu[0-3]\n")
    for number in range(4):
        (folder / f"gpu{number}").touch()
    for path in DEPLOY.iterdir():
        if path.is_file():
            shutil.copy(path, box.work)
    key = folder / "munge" / "key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    munge = [f"--{name}={folder}/munge/{name.split('-')[0]}"
             for name in ("key-file", "socket", "pid-file", "seed-file", "log-file")]  # fmt: skip
    with ExitStack() as daemons:
        daemons.enter_context(_daemon(box, "munged", "--foreground", "--force", *munge))
        box.wait((folder / "munge" / "socket").exists)
        daemons.enter_context(_daemon(box, "slurmctld", "-D", "-f", str(folder / "slurm.conf")))
        daemons.enter_context(_daemon(box, "slurmd", "-D", "-f", str(folder / "slurm.conf")))
        box.wait(lambda: "idle" in _nodes(box))
        try:
            yield box
        finally:
            subprocess.run(["scancel", "--user=root"], env=box.environment, check=False)
            time.sleep(1)


@contextmanager
def _daemon(box: Box, *words: str) -> Iterator[None]:
    with (box.folder / f"{words[0]}.log").open("w") as log:
        process = subprocess.Popen(words, env=box.environment, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _nodes(box: Box) -> str:
    done = subprocess.run(
        ["sinfo", "--noheader", "--format=%T"], env=box.environment, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return done.stdout


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
