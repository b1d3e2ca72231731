"""Four processes, and two machines of one process: what ends them, and the same command again.

The machines are launchers on this one that meet at 127.0.0.1, each in a folder of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.capabilities import needs
from tests.jobs.launched import Launched, ended, nodes, processes_of, standalone
from tunesmith.storage.lock import hold

pytestmark = [
    needs("signals"),
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc"),
]

TERM, KILL = signal.SIGTERM, getattr(signal, "SIGKILL", 0)
STEPS_BEFORE = 10


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path, Path]]:
    """A folder, data and model."""
    from tests.conftest import make_tiny_bert, ticket_rows

    folder = tmp_path_factory.mktemp("sizes")
    data = folder / "tickets.csv"
    data.write_text("\n".join(",".join(row) for row in ticket_rows(60)) + "\n")
    yield folder, data, make_tiny_bert(folder / "bert")


@pytest.fixture(scope="module")
def four(inputs: tuple[Path, Path, Path]) -> Launched:
    """Four processes, undisturbed."""
    folder, data, model = inputs
    job = Launched(folder / "four", data, model)
    launcher = job.start(*standalone(4))
    said = launcher.communicate(timeout=240)
    assert launcher.returncode == 0, said
    return job


@pytest.mark.parametrize(
    ("number", "to", "code", "saved"),
    [(TERM, None, 75, 1), (TERM, 3, 75, 1), (KILL, 2, 137, 0), (KILL, 0, 137, 0)],
)
def test_four_processes_end_as_one_and_continue(
    number: int, to: int | None, code: int, saved: int, four: Launched, tmp_path: Path
) -> None:
    job = Launched(tmp_path / "job", four.data, four.model)
    launcher = job.start(*standalone(4))
    job.wait_for_steps(STEPS_BEFORE)
    ranks = processes_of(launcher)
    assert len(ranks) == 4
    os.kill(launcher.pid if to is None else ranks[to], number)
    _out, err = launcher.communicate(timeout=60)
    assert launcher.returncode == code, err
    assert ended(ranks), "a process lives on"
    assert len(job.checkpoints()) == saved
    assert not job.left()
    with hold(job.run.path):
        pass
    again = job.start(*standalone(4))
    said = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert job.weights() == four.weights()


def start_nodes(folder: Path, four: tuple[Path, Path, Path]) -> list[subprocess.Popen[str]]:
    _folder, data, model = four
    homes = [Launched(folder / f"node-{rank}", data, model) for rank in range(2)]
    return [home.start(*options) for home, options in zip(homes, nodes(2), strict=True)]


def codes_of(launchers: list[subprocess.Popen[str]]) -> tuple[list[int], list[str]]:
    said = [launcher.communicate(timeout=120)[1] for launcher in launchers]
    return [launcher.returncode for launcher in launchers], said


@pytest.fixture(scope="module")
def two_nodes(inputs: tuple[Path, Path, Path]) -> bytes:
    """The weights of two machines, undisturbed."""
    folder = inputs[0] / "nodes"
    codes, said = codes_of(start_nodes(folder, inputs))
    assert codes == [0, 0], said
    assert not (folder / "node-1" / "run").exists(), "only process 0 writes"
    return Launched(folder / "node-0", *inputs[1:]).weights()


@pytest.mark.parametrize("node", [0, 1])
@pytest.mark.parametrize(
    ("what", "number", "theirs"),
    [("launcher", TERM, 75), ("process", TERM, 75), ("process", KILL, 137), ("launcher", KILL, -9)],
)
def test_two_machines_end_together_and_continue(
    what: str,
    number: int,
    theirs: int,
    node: int,
    inputs: tuple[Path, Path, Path],
    two_nodes: bytes,
    tmp_path: Path,
) -> None:
    """Whatever happens to one of them, the other one says 75."""
    launchers = start_nodes(tmp_path, inputs)
    job = Launched(tmp_path / "node-0", *inputs[1:])
    job.wait_for_steps(STEPS_BEFORE)
    ranks = [processes_of(launcher)[0] for launcher in launchers]
    os.kill(launchers[node].pid if what == "launcher" else ranks[node], number)
    codes, said = codes_of(launchers)
    assert codes[node] == theirs, said
    assert codes[1 - node] == 75, said
    assert ended(ranks), "a process lives on"
    if number == TERM:
        assert len(job.checkpoints()) == 1
    for rank in range(2):
        assert not Launched(tmp_path / f"node-{rank}", *inputs[1:]).left()
    with hold(job.run.path):
        pass
    codes, said = codes_of(start_nodes(tmp_path, inputs))
    assert codes == [0, 0], said
    assert job.weights() == two_nodes
    assert not (tmp_path / "node-1" / "run").exists()
