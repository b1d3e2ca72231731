"""Two nodes on one machine: network namespaces with a cable between them, and folders of their own.

Each node has a host name, addresses and, if asked for, process ids of its own, as a container has.
The cable can be pulled, and made deaf in one direction: frames then go to an address that no one
has, so that nothing tells the sender.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tests.faults import Skipped, forked_jobs
from tests.faults.forked_jobs import become_new, children_of, run_program
from tests.faults.moments import Moment

__all__ = ["Network", "Node", "network", "node_variables"]

_CLONE_NEWNS, _CLONE_NEWUTS, _CLONE_NEWPID, _CLONE_NEWNET = (
    0x00020000, 0x04000000, 0x20000000, 0x40000000,
)  # fmt: skip
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18
_NO_ONE = "02:00:00:00:00:ff"
_PORT = 29511


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


@cache
def why_not() -> str | None:
    """Why this machine has no network namespaces; None if it has."""
    if shutil.which("ip") is None:
        return "needs ip, of the package iproute2"
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    name = f"faults-try-{os.getpid()}"
    try:
        _ip("netns", "add", name)
        _ip("netns", "del", name)
    except OSError as error:
        return f"needs network namespaces: {error}"
    return None


@dataclass
class Network:
    """Two namespaces and their cable."""

    names: tuple[str, str]

    def address(self, node: int) -> str:
        """The address of a node."""
        return f"10.83.0.{node + 1}"

    def _mac(self, node: int) -> str:
        return f"02:00:00:00:00:0{node + 1}"

    def make(self) -> None:
        """Lay the cable."""
        for name in self.names:
            _ip("netns", "add", name)
        ends = [f"f{os.getpid()}n{node}" for node in range(2)]
        _ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for node, (name, end) in enumerate(zip(self.names, ends, strict=True)):
            _ip("link", "set", end, "netns", name)
            _ip("-n", name, "link", "set", end, "name", "eth0", "address", self._mac(node))
            _ip("-n", name, "addr", "add", f"{self.address(node)}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "link", "set", "eth0", "up")
        self.restore()

    def remove(self) -> None:
        """Take it away, with all processes in it."""
        for name in self.names:
            with suppress(OSError):
                _ip("netns", "del", name)
        for name in self.names:
            assert not Path("/run/netns", name).exists(), f"{name} is left"

    def cut(self, *from_nodes: int) -> None:
        """Drop what these nodes send, without their noticing."""
        for node in from_nodes or (0, 1):
            self._hear(node, _NO_ONE)

    def restore(self) -> None:
        """Let all pass."""
        for node in range(2):
            self._hear(node, self._mac(1 - node))

    def pull(self) -> None:
        """Pull the cable out of node 0."""
        _ip("-n", self.names[0], "link", "set", "eth0", "down")

    def plug(self) -> None:
        """Put it back."""
        _ip("-n", self.names[0], "link", "set", "eth0", "up")
        self.restore()

    def throttle(self, rate: str, limit: str) -> None:
        """Let only so much pass, late; what does not fit is lost."""
        for name in self.names:
            words = ["qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", rate]
            done = subprocess.run(
                ["tc", "-n", name, *words, "burst", "2kb", "limit", limit],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                raise Skipped(f"needs tc with tbf: {done.stderr.strip()}")

    def _hear(self, node: int, mac: str) -> None:
        other = self.address(1 - node)
        words = ("neigh", "replace", other, "lladdr", mac, "dev", "eth0", "nud", "permanent")
        _ip("-n", self.names[node], *words)


@contextmanager
def network() -> Iterator[Network]:
    """Two connected namespaces, gone afterwards.

    Raises:
        Skipped: this machine does not permit it.
    """
    if reason := why_not():
        raise Skipped(reason)
    made = Network((f"faults-{os.getpid()}-0", f"faults-{os.getpid()}-1"))
    try:
        made.make()
        yield made
    finally:
        made.remove()


def node_variables(net: Network, node: int) -> dict[str, str]:
    """The variables that Kubeflow's Trainer sets for a pod."""
    return {
        "PET_NNODES": "2", "PET_NPROC_PER_NODE": "1", "PET_NODE_RANK": str(node),
        "PET_MASTER_ADDR": net.address(0), "PET_MASTER_PORT": str(_PORT),
    }  # fmt: skip


def node_options(net: Network, node: int) -> list[str]:
    """The same as options of `tunesmith launch`."""
    return [
        "--nnodes", "2", "--nproc-per-node", "1", "--node-rank", str(node),
        "--master-addr", net.address(0), "--master-port", str(_PORT),
    ]  # fmt: skip


@dataclass
class Node:
    """A launcher on one of the nodes.

    Attributes:
        net: its network.
        number: 0 or 1.
        folder: where it works.
        words: the command, from `train` on.
        variables: of its environment; without PET_ ones it gets options.
        is_container: whether the launcher is process 1.
        is_alone: whether there is no launcher, but one process that trains.
        patch: called in the launcher before anything else.
    """

    net: Network
    number: int
    folder: Path
    words: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=dict)
    is_container: bool = False
    patch: Callable[[], None] | None = None
    is_alone: bool = False
    pid: int = 0
    code: int | None = None

    def start(self, moment: Moment | None = None) -> None:
        """Start the launcher; something may happen at a moment of its rank."""
        self.code = None
        for name in ("tmp", "cache", "pids"):
            (self.folder / name).mkdir(exist_ok=True)
        for path in (self.folder / "pids").iterdir():
            path.unlink()
        with forked_jobs.quiet_forks():
            child = os.fork()
        if child:
            self.pid = child
            return
        code = 99
        try:
            os.setsid()
            self._enter()
            if self.is_container and (inner := os.fork()):
                self._pass_on(inner)
            code = self._run(moment)
        finally:
            forked_jobs.end(code, self.folder / "pids" / "launcher-code")

    def _enter(self) -> None:
        """Make this process one of the node."""
        libc: Any = ctypes.CDLL(None, use_errno=True)

        def call(name: str, *arguments: object) -> None:
            if getattr(libc, name)(*arguments) != 0:
                raise OSError(ctypes.get_errno(), name)

        space = os.open(f"/run/netns/{self.net.names[self.number]}", os.O_RDONLY)
        call("setns", space, _CLONE_NEWNET)
        flags = _CLONE_NEWNS | _CLONE_NEWUTS | (_CLONE_NEWPID if self.is_container else 0)
        call("unshare", flags)
        call("mount", b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
        name = f"node-{self.number}"
        call("sethostname", name.encode(), len(name))
        hosts = self.folder / "hosts"
        hosts.write_text(
            "127.0.0.1 localhost\n"
            + "".join(f"{self.net.address(node)} node-{node}\n" for node in range(2))
        )
        call("mount", str(hosts).encode(), b"/etc/hosts", None, _MS_BIND, None)

    def _pass_on(self, inner: int) -> None:
        """Wait for process 1 of the container, and end as it does."""
        (self.folder / "pids" / "outer").write_text(str(inner))
        while True:
            with suppress(InterruptedError):
                _pid, status = os.waitpid(inner, 0)
                code = os.waitstatus_to_exitcode(status)
                os._exit(code if code >= 0 else 128 - code)

    def _run(self, moment: Moment | None) -> int:
        libc: Any = ctypes.CDLL(None, use_errno=True)
        if self.is_container:
            libc.mount(b"proc", b"/proc", b"proc", 0, None)
        os.environ |= {
            "TMPDIR": str(self.folder / "tmp"), "TUNESMITH_CACHE": str(self.folder / "cache"),
            "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", **self.variables,
        }  # fmt: skip
        if moment:
            os.environ[forked_jobs.MOMENT] = json.dumps(moment.as_json())
        os.chdir(self.folder)
        (self.folder / "pids" / "launcher").write_text(str(os.getpid()))
        forked_jobs.to_file(self.folder / "output.txt")
        become_new()
        if self.patch is not None:
            self.patch()
        if self.is_alone:
            forked_jobs.arm_this(self.folder / "pids")
            return run_program([*self.words])
        forked_jobs.fork_ranks()
        has_variables = any(name.startswith("PET_") for name in self.variables)
        options = [] if has_variables else node_options(self.net, self.number)
        return run_program(["launch", *options, *self.words])

    def is_hit(self) -> bool:
        """Whether the moment has come."""
        return (self.folder / "pids" / "hit").exists()

    def launcher(self) -> int:
        """The id of the launcher, seen from outside."""
        outer = self.folder / "pids" / "outer"
        return int(outer.read_text()) if outer.exists() else self.pid

    def rank(self) -> int | None:
        """The id of its rank, seen from outside; None if there is none."""
        return next(iter(children_of(self.launcher())), None)

    def has_ended(self) -> bool:
        """Whether the launcher has."""
        if self.code is None:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    def kill(self) -> None:
        """End all of its processes at once, as when the machine is gone."""
        for pid in (*children_of(self.launcher()), self.launcher(), self.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def trace(self) -> None:
        """Have its processes print where they are."""
        for pid in (*children_of(self.launcher()), self.launcher()):
            with suppress(ProcessLookupError):
                os.kill(pid, forked_jobs.TRACE)

    def said(self) -> str:
        """All that it has printed."""
        return (self.folder / "output.txt").read_text(errors="replace")


def have_ended(nodes: Sequence[Node]) -> bool:
    """Whether all launchers have; each of them is looked at."""
    return sum(node.has_ended() for node in nodes) == len(nodes)


def codes_of(nodes: Sequence[Node], seconds: float) -> list[int]:
    """Wait for all of them; how they ended."""
    deadline = time.monotonic() + seconds
    while not have_ended(nodes):
        if time.monotonic() > deadline:
            for node in nodes:
                node.trace()
            time.sleep(0.5)
            said = " | ".join(f"{node.code}: {node.said()[-3500:]}" for node in nodes)
            for node in nodes:
                if node.code is None:
                    node.kill()
            raise TimeoutError(f"not ended within {seconds:g} s: {said}")
        time.sleep(0.01)
    return [node.code if node.code is not None else 99 for node in nodes]
