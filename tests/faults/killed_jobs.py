"""SIGKILL for ranks of a job, for its launcher, and for several at once; then the same command.

Jobs of one, two and four processes, under `tunesmith launch`, under torchrun, and as plain
processes. They are killed where a run comes to a chosen moment, and at random times; the same
command is repeated until it is done, and some are killed in that, too. Each ends with the bits of
the undisturbed run with as many processes, and nothing is left: no process, lock or folder.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from tests.faults import Case
from tests.faults.forked_jobs import ForkedJob, RunningJob, no_orphans
from tests.faults.moments import PLACES, Moment, hit
from tests.faults.runs import home_of
from tests.faults.same_run import assert_same, leftovers
from tunesmith.runs.folder import RunFolder
from tunesmith.storage.lock import hold

__all__ = [
    "World",
    "assert_clean",
    "cases",
    "copied",
    "finish",
    "temporary",
    "train_words",
    "undisturbed",
]

SETTINGS = (
    "train.epochs=2", "train.batch_size=8", "train.micro_batch_size=2", "train.log_every=2",
    "train.learning_rate=1e-3", "train.save_every=3 steps", "train.evaluate_every=4 steps",
    "train.select_by=loss", "data.validation=20%",
)  # fmt: skip
SIZES = (1, 2, 4)
KILLS = 200
SEED = 18
_OTHERS_END_SECONDS = 100.0


def train_words(*more: str, engine: str = "exact", preflight: bool = False) -> list[str]:
    """The one command of these cases, with more settings."""
    engine_ = (f"train.engine={engine}", f"train.preflight={str(preflight).lower()}")
    sets = [word for key in (*SETTINGS, *engine_, *more) for word in ("--set", key)]
    return ["train", "tickets.csv", "--model", "./bert", "--out", "run", *sets]


def rows() -> list[list[str]]:
    """Sixty rows, some of them one text with two labels, so that there is a warning."""
    things = ["printer", "screen", "router", "cable", "phone"]
    written = [["body", "queue"]]
    for i in range(56):
        text = f"the {things[i % 5]} is broken {i}" if i % 2 else f"send me a {things[i % 5]} {i}"
        written.append([text, "repair" if i % 2 else "order"])
    return [*written, *([f"broken {i // 2}", ("repair", "order")[i % 2]] for i in range(4))]


@dataclass(frozen=True)
class World:
    """Data, model, and an undisturbed run; made once per process and kind of job.

    Attributes:
        home: holds `tickets.csv`, `bert` and `run`.
        seconds: that the run took.
    """

    home: Path
    seconds: float


@cache
def _inputs() -> Path:
    import tests.runs.preloaded  # noqa: F401 - loaded here, so that no child has to

    return home_of("killed-jobs", rows())


def copied(folder: Path) -> Path:
    """Copy data and model into a folder."""
    folder.mkdir(exist_ok=True)
    shutil.copy(_inputs() / "tickets.csv", folder)
    shutil.copytree(_inputs() / "bert", folder / "bert")
    return folder


def undisturbed(size: int, *more: str, engine: str = "exact", preflight: bool = False) -> World:
    """The run that others are compared with."""
    return _undisturbed(size, more, engine, preflight)


@cache
def _undisturbed(size: int, more: tuple[str, ...], engine: str, preflight: bool) -> World:
    name = "-".join(map(str, (size, engine, preflight, *more))).replace(" ", "-")
    home = copied(_inputs() / name)
    words = train_words(*more, engine=engine, preflight=preflight)
    job = ForkedJob(home, words, size, "plain")
    started = time.monotonic()
    with no_orphans():
        running = job.start()
        codes = running.ended()
        assert codes == [0] * len(codes), running.said()
    seconds = time.monotonic() - started
    assert_clean(home)
    return World(home, seconds)


def assert_clean(folder: Path, *, is_over: bool = True) -> None:
    """Nothing is held, and nothing temporary is left.

    Args:
        folder: of the job.
        is_over: whether the command came to its end; a killed process leaves what the next
            command clears away.
    """
    if (folder / "run").exists():
        with hold(folder / "run"):
            pass
    if is_over:
        assert temporary(folder) == []
        assert leftovers(folder / "run") == leftovers(folder / "cache") == []


def temporary(folder: Path) -> list[str]:
    """What is left in the folder for temporary files, but for torchrun's own logs."""
    names = sorted(path.name for path in (folder / "tmp").iterdir())
    return [name for name in names if not name.startswith("torchelastic_")]


def finish(job: ForkedJob, *, to: RunFolder) -> str:
    """Run the same command to its end, and compare it with the undisturbed run."""
    with no_orphans():
        started = job.start()
        codes = started.ended()
    assert codes == [0] * len(codes), started.said()[-2000:]
    assert_clean(job.folder)
    assert_no_bug(started)
    return assert_same(RunFolder(job.folder / "run"), to)


def assert_no_bug(started: RunningJob) -> None:
    """Nothing that was printed is a traceback, or said to be a bug."""
    said = started.said()
    if started.job.launcher in ("launch", "plain"):
        assert "Traceback" not in said, said[-2500:]
    assert "M000" not in said, said[-2500:]


# a case


@dataclass(frozen=True)
class Kill:
    """One kill.

    Attributes:
        moment: where it happens; None for a time.
        part: of the time that the undisturbed run takes.
        victims: who is killed.
    """

    moment: Moment | None
    part: float
    victims: tuple[str, ...]

    def __str__(self) -> str:
        return " and ".join(name if name == "launcher" else f"rank {name}" for name in self.victims)


@dataclass(frozen=True)
class Plan:
    """What is killed in a case.

    Attributes:
        size: of the job.
        launcher: how it is started.
        engine: of the run.
        preflight: whether it is on.
        kills: one after the other, each in a start of its own.
    """

    size: int
    launcher: str
    engine: str
    preflight: bool
    kills: tuple[Kill, ...]


def killed(plan: Plan, folder: Path) -> str:
    """The law: however it is killed, the same command ends with the same bits."""
    world = undisturbed(plan.size, engine=plan.engine, preflight=plan.preflight)
    copied(folder)
    words = train_words(engine=plan.engine, preflight=plan.preflight)
    job = ForkedJob(folder, words, plan.size, plan.launcher)
    seen = []
    for number, kill in enumerate(plan.kills):
        codes = _kill(job, kill, world)
        if codes is None and number == 0:  # it was over before: earlier, from the beginning
            for name in ("run", "cache", "tmp"):
                shutil.rmtree(folder / name)
            earlier = replace(kill, moment=None, part=0.3 * kill.part)
            codes = _kill(job, earlier, world)
            assert codes is not None, "nothing was killed"
        seen.append("over" if codes is None else "+".join(map(str, codes)))
    return f"codes {', '.join(seen)}, {finish(job, to=RunFolder(world.home / 'run'))}"


def _kill(job: ForkedJob, kill: Kill, world: World) -> list[int] | None:
    """Start it and kill; None if it came to its end before."""
    with no_orphans(_OTHERS_END_SECONDS):
        started = job.start(kill.moment, patch=join_soon)
        if kill.moment is None:
            _sleep(started, kill.part * world.seconds)
            if not started.wait_for(partial(_are_there, started, kill.victims)):
                return None
            hit(Moment(0, "", victims=kill.victims), job.folder / "pids")
        codes = started.ended(_OTHERS_END_SECONDS)
    assert_clean(job.folder, is_over=False)
    assert_no_bug(started)
    if all(code == 0 for code in codes):
        return None
    return check_codes(job, kill, codes, started)


def check_codes(job: ForkedJob, kill: Kill, codes: list[int], started: RunningJob) -> list[int]:
    """The exit codes are those that the documentation promises."""
    killed = -signal.SIGKILL
    if job.launcher == "launch":
        expected = {killed} if "launcher" in kill.victims else {137, 75, 0}
        assert codes[0] in expected, (codes, started.said()[-2000:])
        if codes[0] == 75:  # a rank was killed that had left its code
            assert kill.moment is None or "launcher" not in kill.victims
    elif job.launcher == "plain":
        for rank, code in enumerate(codes):
            expected = {killed, 0} if str(rank) in kill.victims else {75, 0}
            assert code in expected, (codes, kill, started.said()[-2000:])
    return codes


def join_soon() -> None:
    """A rank that never comes is waited for during minutes; here for seconds."""
    from tunesmith.training import peer_store

    peer_store.JOIN_SECONDS = 20.0


def _are_there(started: RunningJob, victims: tuple[str, ...]) -> bool:
    return all(started.pid_of(name) is not None for name in victims)


def _sleep(started: RunningJob, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not started.has_ended():
        time.sleep(0.002)


# by the real program, started as users do


def killed_for_real(size: int, launcher: str, seed: int, folder: Path) -> str:
    """Each process starts Python."""
    world = undisturbed(size)
    draw = random.Random(seed)
    copied(folder)
    for name in ("tmp", "cache"):
        (folder / name).mkdir()
    victims = draw.choice(("launcher", "rank", "rank"))
    steps = draw.randint(0, 9)
    with no_orphans(_OTHERS_END_SECONDS):
        first = _real(folder, size, launcher)
        _wait_for_steps(folder, first, steps)
        pids = _ranks_of(first) if launcher != "plain" else [first.pid]
        pid = first.pid if victims == "launcher" or not pids else draw.choice(pids)
        os.kill(pid, signal.SIGKILL)
        first.wait(_OTHERS_END_SECONDS)
    assert_clean(folder, is_over=False)
    with no_orphans():
        second = _real(folder, size, launcher)
        assert second.wait(120) == 0, (folder / "output.txt").read_text()[-2000:]
    assert_clean(folder)
    same = assert_same(RunFolder(folder / "run"), RunFolder(world.home / "run"))
    return f"{victims} after {steps} steps, code {first.returncode}, {same}"


def _real(folder: Path, size: int, launcher: str) -> subprocess.Popen[bytes]:
    options = ["--standalone", "--nproc-per-node", str(size)]
    program = {
        "plain": ["-m", "tunesmith"],
        "launch": ["-m", "tunesmith", "launch", *options],
        "torchrun": ["-m", "torch.distributed.run", *options, "-m", "tunesmith"],
    }[launcher]
    with (folder / "output.txt").open("a") as output:
        return subprocess.Popen(
            [sys.executable, *program, *train_words()],
            cwd=folder, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={
                **os.environ, "TMPDIR": str(folder / "tmp"), "CUDA_VISIBLE_DEVICES": "",
                "TUNESMITH_CACHE": str(folder / "cache"),
            },
        )  # fmt: skip


def _wait_for_steps(folder: Path, process: subprocess.Popen[bytes], steps: int) -> None:
    log, deadline = folder / "run" / "events.jsonl", time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        if log.is_file() and log.read_text().count('"event": "step"') * 2 >= steps:
            return
        time.sleep(0.005)


def _ranks_of(process: subprocess.Popen[bytes]) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    there = []
    for pid in map(int, children):
        with suppress(OSError):
            if b"\0RANK=" in Path(f"/proc/{pid}/environ").read_bytes():
                there.append(pid)
    return there


# which cases there are


def plans() -> Iterator[tuple[str, Plan]]:
    """The plans of all forked jobs: chosen moments first, then random times."""
    draw = random.Random(SEED)
    number = 0
    for size in SIZES:
        for launcher in ("launch", "plain"):
            for place in PLACES:
                if size == 1 and place in ("meeting", "after a save"):
                    continue
                number += 1
                kill = _at(place, size, launcher, draw)
                yield _named(number, size, launcher, place, kill, draw)
    operations = ("fsync", "rename", "mkdir", "unlink")
    for size in SIZES:
        for count in range(8):
            number += 1
            launcher = ("launch", "plain")[count % 2]
            call = draw.randint(1, 40)
            moment = Moment(0, f"os:{operations[count % 4]}", call, victims=("0",))
            kill = Kill(moment, 0.5, moment.victims)
            name = f"{operations[count % 4]} {call}"
            yield _named(number, size, launcher, name, kill, draw)
    while number < KILLS - REAL_CASES:
        number += 1
        size = SIZES[number % 3]
        launcher = ("launch", "plain", "launch", "torchrun")[number // 3 % 4]
        part = draw.uniform(0.02, 0.95)
        kill = Kill(None, part, _victims(size, launcher, draw))
        yield _named(number, size, launcher, f"at {part:.0%} of the time", kill, draw)


def _named(
    number: int, size: int, launcher: str, what: str, kill: Kill, draw: random.Random
) -> tuple[str, Plan]:
    again = Kill(None, draw.uniform(0.05, 0.9), _victims(size, launcher, draw))
    kills = (kill, again) if draw.random() < 0.3 else (kill,)
    engine = "fast" if draw.random() < 0.3 else "exact"
    plan = Plan(size, launcher, engine, draw.random() < 0.2, kills)
    more = ", again" if len(kills) > 1 else ""
    return f"{number:03} {size} by {launcher}, {what}: {kill}{more}", plan


def _at(place: str, size: int, launcher: str, draw: random.Random) -> Kill:
    function, call = PLACES[place]
    rank = draw.randrange(size)
    if place in _OF_RANK_0:
        rank = 0
    victims = tuple(dict.fromkeys((str(rank), *_victims(size, launcher, draw))))
    if draw.random() < 0.6:
        victims = (str(rank),)
    return Kill(Moment(rank, function, call, victims=victims), 0.5, victims)


_OF_RANK_0 = (
    "a save", "writing a checkpoint", "deleting a checkpoint", "the predictions", "preparing",
)  # fmt: skip


def _victims(size: int, launcher: str, draw: random.Random) -> tuple[str, ...]:
    """One rank mostly; sometimes the launcher, or several at once."""
    everyone = [*map(str, range(size)), *(["launcher"] if launcher != "plain" else [])]
    count = draw.choice((1, 1, 1, 2, len(everyone)))
    return tuple(sorted(draw.sample(everyone, min(count, len(everyone)))))


REAL = [
    (size, launcher)
    for size, launcher in (
        (1, "plain"), (1, "launch"), (2, "launch"), (2, "torchrun"), (4, "launch"), (4, "torchrun"),
    )
    for _turn in range(2)
]  # fmt: skip
REAL_CASES = len(REAL)


def cases() -> Iterator[Case]:
    """All of them: `KILLS`."""
    for name, plan in plans():
        yield Case(name, partial(killed, plan), seconds=400.0)
    for seed, (size, launcher) in enumerate(REAL):
        name = f"{KILLS - REAL_CASES + seed + 1} {size} by {launcher}, the program itself"
        yield Case(name, partial(killed_for_real, size, launcher, seed), seconds=400.0)
