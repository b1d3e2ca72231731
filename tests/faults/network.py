"""Two nodes with folders of their own, and what a network does to them.

The nodes are namespaces of this machine (`nodes`). However their link fails, every process ends in
bounded time with 75, nothing is left, and the same command on both ends with the bits of a
run that nothing disturbed. Limits are seconds instead of minutes, except where a case says so.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.faults import Case
from tests.faults.forked_jobs import no_orphans
from tests.faults.killed_jobs import assert_clean, copied, train_words, undisturbed
from tests.faults.moments import PLACES, Moment
from tests.faults.nodes import Network, Node, codes_of, have_ended, network, node_variables
from tests.faults.same_run import assert_same
from tests.faults.signals import LONG
from tunesmith.runs.folder import RunFolder

__all__ = ["cases"]

SHORT = {
    "training.peers": {"SILENT_SECONDS": 4.0, "LAST_SECONDS": 3.0},
    "training.device": {"SHORTEST_WAIT_SECONDS": 4.0},
    "training.peer_store": {"_TOGETHER_SECONDS": 8.0},
    "jobs.launcher_watch": {
        "_START_SECONDS": 25.0,
        "_END_SECONDS": 10.0,
        "_SUSPENDED_SECONDS": 12.0,
    },
}
"""Limits of `tunesmith`, by module: minutes are made seconds."""
WITHIN_SECONDS = 45.0
WITHIN_REAL_SECONDS = 420.0
SIZE = 2
ROUNDS = ("train.epochs=4",)


def short_limits() -> None:
    """Make the waits of this process and its children short."""
    from importlib import import_module

    for name, values in SHORT.items():
        module = import_module(f"tunesmith.{name}")
        for constant, seconds in values.items():
            assert hasattr(module, constant), constant
            setattr(module, constant, seconds)


def pair(
    net: Network,
    folder: Path,
    *,
    limits: Callable[[], None] | None = short_limits,
    is_pod: bool = False,
    more: tuple[str, ...] = ROUNDS,
) -> list[Node]:
    """A launcher for each node."""
    made = []
    for number in range(2):
        home = folder / f"node-{number}"
        if not home.exists():
            copied(home)
        variables = node_variables(net, number) if is_pod else {}
        words = train_words(*more)
        made.append(Node(net, number, home, words, variables, is_pod, limits))
    return made


def start(nodes: list[Node], moment: Moment | None = None, of: int = 0) -> None:
    """Start them all; a moment is of one of them."""
    for node in nodes:
        node.start(moment if node.number == of else None)


def wait_for(nodes: list[Node], what: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until something is so, while they run."""
    deadline = time.monotonic() + seconds
    while not what():
        ended = [node.has_ended() for node in nodes]
        assert time.monotonic() < deadline and not all(ended), [node.said() for node in nodes]
        time.sleep(0.005)


def again(net: Network, folder: Path, more: tuple[str, ...] = ROUNDS) -> str:
    """Run the same command on both nodes to the end; node 1 writes nothing of the run."""
    nodes = pair(net, folder, more=more)
    theirs = _files(folder / "node-1" / "run")
    with no_orphans():
        start(nodes)
        codes = codes_of(nodes, 90.0)
    assert codes == [0, 0], [node.said()[-1500:] for node in nodes]
    assert _files(folder / "node-1" / "run") == theirs, "process 1 wrote into its run folder"
    world = undisturbed(SIZE, *more)
    assert_clean(folder / "node-0")
    assert not list((folder / "node-1" / "tmp").iterdir())
    return assert_same(RunFolder(folder / "node-0" / "run"), RunFolder(world.home / "run"))


def _files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


# the cases


def undisturbed_nodes(folder: Path) -> str:
    """Two nodes, nothing happens; the second has nothing of the run."""
    with network() as net:
        same = again(net, folder)
    assert not (folder / "node-1" / "run").exists()
    return same


def _moment(place: str, of: int) -> Moment:
    function, call = PLACES[place]
    return Moment(of, function, call, victims=(), signal=0, pause=0.3)


def cut(
    place: str, how: str, of: int, seconds: float, folder: Path, *, is_real: bool = False
) -> str:
    """The link fails at a moment of a node, for some seconds or until all have ended."""
    undisturbed(SIZE, *ROUNDS)
    within = WITHIN_REAL_SECONDS if is_real else WITHIN_SECONDS
    with network() as net:
        nodes = pair(net, folder, limits=None if is_real else short_limits)
        with no_orphans():
            start(nodes, _moment(place, of), of)
            wait_for(nodes, nodes[of].is_hit)
            _fail(net, how)
            began = time.monotonic()
            if seconds:
                while time.monotonic() - began < seconds:
                    have_ended(nodes)
                    time.sleep(0.05)
                net.plug()
            codes = codes_of(nodes, within)
        took = time.monotonic() - began
        _check(nodes, codes, may_finish=place in LATE or 0 < seconds < (120 if is_real else 3))
        net.plug()
        return f"codes {codes} after {took:.0f} s, {again(net, folder)}"


LATE = ("the finish", "the end")


def _fail(net: Network, how: str) -> None:
    if how == "pulled":
        net.pull()
    else:
        net.cut(*{"both": (0, 1), "from node 0": (0,), "from node 1": (1,)}[how])


def _check(nodes: list[Node], codes: list[int], *, may_finish: bool) -> None:
    allowed = {75, 0} if may_finish else {75}
    said = [node.said()[-1500:] for node in nodes]
    assert set(codes) <= allowed, (codes, said)
    for node in nodes:
        assert "Traceback" not in node.said() and "M000" not in node.said(), node.said()[-2500:]
        assert not list((node.folder / "tmp").iterdir()), list((node.folder / "tmp").iterdir())


def node_gone(place: str, of: int, folder: Path) -> str:
    """A machine is gone at a moment: its processes and its link."""
    undisturbed(SIZE, *ROUNDS)
    with network() as net:
        nodes = pair(net, folder)
        with no_orphans():
            start(nodes, _moment(place, of), of)
            wait_for(nodes, nodes[of].is_hit)
            net.pull()
            nodes[of].kill()
            codes = codes_of(nodes, WITHIN_SECONDS)
        assert codes[of] == -signal.SIGKILL
        assert codes[1 - of] == 75 or place in LATE, (codes, nodes[1 - of].said()[-1500:])
        assert not list((nodes[1 - of].folder / "tmp").iterdir())
        net.plug()
        return f"codes {codes}, {again(net, folder)}"


def suspended(place: str, of: int, folder: Path) -> str:
    """A rank is stopped at a moment, and no one continues it: its launcher ends it."""
    undisturbed(SIZE, *ROUNDS)
    with network() as net:
        nodes = pair(net, folder)
        with no_orphans():
            start(nodes, _moment(place, of), of)
            wait_for(nodes, nodes[of].is_hit)
            rank = nodes[of].rank()
            assert rank is not None
            os.kill(rank, signal.SIGSTOP)
            codes = codes_of(nodes, WITHIN_SECONDS)
        _check(nodes, codes, may_finish=False)
        assert "C154" in nodes[of].said(), nodes[of].said()[-1500:]
        return f"codes {codes}, {again(net, folder)}"


def slow(rate: str, limit: str, folder: Path) -> str:
    """What the nodes send comes late, and some of it is lost."""
    undisturbed(SIZE, *ROUNDS)
    with network() as net:
        net.throttle(rate, limit)
        nodes = pair(net, folder, limits=None)
        with no_orphans():
            start(nodes)
            codes = codes_of(nodes, 90.0)
        _check(nodes, codes, may_finish=True)
        assert codes == [0, 0], codes
        return again(net, folder)


def flapping(down: float, up: float, folder: Path) -> str:
    """The link is gone again and again, for moments: nothing but time is lost."""
    undisturbed(SIZE, *ROUNDS)
    with network() as net:
        nodes = pair(net, folder, limits=None)
        with no_orphans():
            start(nodes)
            deadline, turns = time.monotonic() + 90.0, 0
            while not have_ended(nodes) and time.monotonic() < deadline:
                net.cut()
                time.sleep(down)
                net.restore()
                time.sleep(up)
                turns += 1
            codes = codes_of(nodes, 60.0)
        assert codes == [0, 0], [node.said()[-1500:] for node in nodes]
        return f"{turns} times, {again(net, folder)}"


def other_folder(theirs: str, folder: Path) -> str:
    """The folders of the nodes are at different steps: that of node 0 counts."""
    world = undisturbed(SIZE, *ROUNDS)
    with network() as net:
        nodes = pair(net, folder)
        mine, other = (node.folder / "run" for node in nodes)
        shutil.copytree(world.home / "run", mine)
        cut_back(mine, 0)
        if theirs != "nothing":
            shutil.copytree(world.home / "run", other)
        if theirs == "older":
            cut_back(other, 1)
        elif theirs == "damaged":
            cut_back(other, 0)
            for path in (other / "checkpoints").rglob("*.safetensors"):
                path.write_bytes(path.read_bytes()[:-9])
        elif theirs == "the same":
            cut_back(other, 0)
        return again(net, folder)


def cut_back(run: Path, older: int) -> None:
    """As a kill leaves it: without its end, and without its newest checkpoints."""
    for path in sorted((run / "checkpoints").iterdir())[-older:] if older else []:
        shutil.rmtree(path)
    for name in ("model", "predictions"):
        shutil.rmtree(run / name)


def pods(to: tuple[int, ...], number: int, folder: Path) -> str:
    """Pods of Kubeflow: variables, containers, and a signal to process 1 of some."""
    undisturbed(SIZE, *LONG)
    with network() as net:
        nodes = pair(net, folder, is_pod=True, more=LONG)
        with no_orphans():
            start(nodes, _moment("a step", 0))
            wait_for(nodes, nodes[0].is_hit)
            for node in to:
                os.kill(nodes[node].launcher(), number)
            codes = codes_of(nodes, WITHIN_SECONDS)
        saved = sorted((folder / "node-0" / "run" / "checkpoints").glob("step-*"))
        if number == signal.SIGKILL:
            assert [codes[node] for node in to] == [128 + number] * len(to), codes
            assert {codes[node] for node in {0, 1} - set(to)} <= {75}, codes
        else:
            _check(nodes, codes, may_finish=False)
            assert len(saved) == 1, saved
        with no_orphans():  # as pods again, to the end
            nodes = pair(net, folder, is_pod=True, more=LONG)
            start(nodes)
            assert codes_of(nodes, 90.0) == [0, 0], [node.said()[-1500:] for node in nodes]
        return f"codes {codes}, {again(net, folder, LONG)}"


def container(place: str, folder: Path) -> str:
    """One process that trains, process 1 of a container; TERM at a moment."""
    world = undisturbed(1, *LONG)
    copied(folder)
    with network() as net:
        words = train_words(*LONG)
        nodes = [Node(net, 0, folder, words, is_container=True, is_alone=True)]
        with no_orphans():
            function, call = PLACES[place]
            nodes[0].start(Moment(0, function, call, victims=(), signal=0, pause=0.5))
            wait_for(nodes, nodes[0].is_hit)
            os.kill(nodes[0].launcher(), signal.SIGTERM)
            codes = codes_of(nodes, WITHIN_SECONDS)
        _check(nodes, codes, may_finish=False)
        assert len(list((folder / "run" / "checkpoints").glob("step-*"))) == (place == "a step")
        with no_orphans():
            nodes[0].start()
            assert codes_of(nodes, 90.0) == [0], nodes[0].said()[-1500:]
    assert_clean(folder)
    return f"codes {codes}, {assert_same(RunFolder(folder / 'run'), RunFolder(world.home / 'run'))}"


def cases() -> Iterator[Case]:
    """All of them."""
    yield Case("two nodes, undisturbed", undisturbed_nodes, seconds=200.0)
    hows = ("both", "from node 0", "from node 1", "pulled")
    places = (
        "the start", "meeting", "the process group", "the plan", "a step", "a save",
        "an evaluation", "the finish",
    )  # fmt: skip
    for number, place in enumerate(places):
        for of in range(2):
            for how in (hows[(2 * number + of) % 4], hows[(2 * number + of + 1) % 4]):
                name = f"link {how}, for good, at {place} of node {of}"
                yield Case(name, partial(cut, place, how, of, 0.0), seconds=300.0)
    for place in ("meeting", "a step", "a save", "an evaluation"):
        name = f"link both, for 12 s, at {place}"
        yield Case(name, partial(cut, place, "both", 0, 12.0), seconds=300.0)
        name = f"link both, for 1 s, at {place}"
        yield Case(name, partial(cut, place, "both", 1, 1.0), seconds=300.0)
    for place in ("a step", "an evaluation"):
        run = partial(cut, place, "both", 0, 60.0, is_real=True)
        yield Case(f"link both, for 60 s, with the real limits, at {place}", run, seconds=900.0)
    run = partial(cut, "a step", "both", 0, 0.0, is_real=True)
    yield Case("link both, for good, with the real limits", run, seconds=900.0)
    for place in ("the start", "the process group", "a step", "a save", "an evaluation"):
        for of in range(2):
            name = f"node {of} gone at {place}"
            yield Case(name, partial(node_gone, place, of), seconds=300.0)
    for place in ("a step", "an evaluation"):
        for of in range(2):
            name = f"rank of node {of} suspended at {place}"
            yield Case(name, partial(suspended, place, of), seconds=300.0)
    yield Case("slow link", partial(slow, "4mbit", "60kb"), seconds=300.0)
    yield Case("slow link that loses much", partial(slow, "2mbit", "8kb"), seconds=300.0)
    yield Case("flapping link", partial(flapping, 0.25, 0.5), seconds=400.0)
    for theirs in ("nothing", "older", "newer", "damaged", "the same"):
        name = f"the folder of node 1 is {theirs}"
        yield Case(name, partial(other_folder, theirs), seconds=300.0)
    for to in ((0,), (1,), (0, 1)):
        who = " and ".join(map(str, to))
        yield Case(f"pods, TERM to process 1 of {who}", partial(pods, to, signal.SIGTERM))
    for to in ((0,), (1,)):
        yield Case(f"pods, KILL to process 1 of {to[0]}", partial(pods, to, signal.SIGKILL))
    for place in ("the start", "a step"):
        name = f"a container of one process, TERM at {place}"
        yield Case(name, partial(container, place), seconds=200.0)
