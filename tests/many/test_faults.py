"""Whatever ends which process: nothing is lost, nothing is left behind, the weights are equal."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.many.files import ROWS, job, start, written
from tunesmith.many.index import Index
from tunesmith.many.jobs_file import read_jobs
from tunesmith.many.states import state_of
from tunesmith.runs.folder import RunFolder
from tunesmith.storage.lock import hold

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="/proc, and processes that are forked"),
]

COUNT = 4
STEPS = 40


class Place:
    """A folder with a file of jobs, and the processes that were started for it."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.folder = folder
        self.mark = uuid.uuid4().hex
        (folder / "rows.csv").write_text(ROWS)
        lines = [
            job(f"runs/{seed}", model, train__seed=seed, train__max_steps=STEPS,
                train__engine="fast" if seed % 2 else "exact", train__learning_rate=1e-3)
            for seed in range(COUNT)
        ]  # fmt: skip
        self.path = written(folder, lines)

    def start(self, *words: str) -> subprocess.Popen[str]:
        environment = {"MARK": self.mark, "OMP_NUM_THREADS": "1"}
        return start(self.folder, "jobs.jsonl", *words, environment=environment)

    def processes(self, *, of: str = "") -> list[int]:
        """Processes of this place; of a kind: "forkserver", "job" or "command"."""
        kinds: dict[str, list[int]] = {"forkserver": [], "job": [], "command": [], "": []}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if f"MARK={self.mark}".encode() not in (folder / "environ").read_bytes():
                    continue
                line = (folder / "cmdline").read_bytes().decode().split("\0")
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if state == "Z":
                continue
            pid = int(folder.name)
            kinds[""].append(pid)
            if any("forkserver" in word for word in line):
                is_job = os.getsid(pid) == pid
                kinds["job" if is_job else "forkserver"].append(pid)
            elif "many" in line:
                kinds["command"].append(pid)
        return kinds[of]

    def wait(self, condition: Callable[[], object], seconds: float = 200) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def has_trained(self, run: int, step: int) -> bool:
        log = self.folder / "runs" / str(run) / "events.jsonl"
        return log.exists() and f'"step": {step}' in log.read_text()

    def states(self) -> list[str]:
        states = Index(self.path.with_suffix(".index.jsonl")).read()
        return [states[f"runs/{seed}"].state for seed in range(COUNT)]

    def weights(self) -> dict[str, str]:
        return {
            run.name: hashlib.sha256((run / "model/model.safetensors").read_bytes()).hexdigest()
            for run in sorted((self.folder / "runs").iterdir())
        }

    def is_left_clean(self) -> None:
        """No process, lock or temporary folder."""
        self.wait(lambda: not self.processes(), 60)
        assert not list((self.folder / "tmp").iterdir())
        for run in (self.folder / "runs").glob("*"):
            with hold(run):
                assert RunFolder(run).foreign_entries() == []

    def finish(self, *words: str) -> None:
        """The same command again does the rest."""
        process = self.start(*words)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, out + err
        assert self.states() == ["done"] * COUNT
        current = Path.cwd()
        os.chdir(self.folder)
        try:
            jobs = read_jobs(Path("jobs.jsonl"))
            assert [state_of(one).state for one in jobs] == ["done"] * COUNT
        finally:
            os.chdir(current)
        self.is_left_clean()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> dict[str, str]:
    """The weights of each job by `tunesmith train`, in a process of its own."""
    place = Place(tmp_path_factory.mktemp("alone"), tiny_bert)
    for line in map(json.loads, place.path.read_text().splitlines()):
        sets = [f"{key}={json.dumps(value)}" for key, value in line["settings"].items()]
        words = [line["what"], "--out", line["out"], *(w for each in sets for w in ("--set", each))]
        done = subprocess.run(
            [sys.executable, "-m", "tunesmith", "train", *words],
            cwd=place.folder, env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    return place.weights()


@pytest.fixture
def place(tmp_path: Path, tiny_bert: Path) -> Iterator[Place]:
    made = Place(tmp_path, tiny_bert)
    yield made
    for pid in made.processes():
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("count", ["1", "3"])
def test_the_weights_are_those_of_train(place: Place, alone: dict[str, str], count: str) -> None:
    assert len(set(alone.values())) == COUNT
    if count == "3":  # in another order
        place.path.write_text("\n".join(reversed(place.path.read_text().splitlines())) + "\n")
    place.finish("--jobs", count)
    assert place.weights() == alone


def test_a_killed_process_fails_its_job_alone(place: Place, alone: dict[str, str]) -> None:
    process = place.start("--jobs", "2")
    place.wait(lambda: place.has_trained(0, 5))
    victim = next(
        pid
        for pid in place.processes(of="job")
        if any(
            os.readlink(link).startswith(str(place.folder / "runs/0"))  # noqa: PTH115 - not a path
            for link in Path(f"/proc/{pid}/fd").iterdir()
        )
    )
    os.kill(victim, signal.SIGKILL)
    out, _err = process.communicate(timeout=300)
    assert process.returncode == 137 and "C172" in out
    assert place.states() == ["failed", "done", "done", "done"]
    place.is_left_clean()
    place.finish()
    assert place.weights() == alone


@pytest.mark.parametrize("moment", ["start", "forked", "training", "between"])
def test_a_killed_command_loses_nothing(place: Place, alone: dict[str, str], moment: str) -> None:
    process = place.start("--jobs", "2")
    place.wait(lambda: reached(place, moment))
    process.kill()
    process.communicate()
    place.wait(lambda: not place.processes(), 60)
    assert not list((place.folder / "tmp").iterdir()), "the process that forks clears away"
    place.finish("--jobs", "2")
    assert place.weights() == alone


@pytest.mark.parametrize("moment", ["start", "forked", "training", "between"])
@pytest.mark.parametrize("to_all", [False, True], ids=["command", "all"])
def test_one_signal_is_a_stop(
    place: Place, alone: dict[str, str], moment: str, to_all: bool
) -> None:
    process = place.start("--jobs", "2")
    place.wait(lambda: reached(place, moment))
    for pid in place.processes() if to_all else [process.pid]:
        os.kill(pid, signal.SIGTERM)
    out, err = process.communicate(timeout=150)
    assert process.returncode == 75, out + err
    assert "failed" not in out
    place.is_left_clean()
    place.finish("--jobs", "2")
    assert place.weights() == alone


def reached(place: Place, moment: str) -> bool:
    if moment == "start":
        return bool(place.processes(of="forkserver"))
    if moment == "forked":
        return bool(place.processes(of="job"))
    if moment == "training":
        return place.has_trained(0, 7)
    return place.has_trained(2, 0) or place.has_trained(2, 1)


def test_a_second_interrupt_ends_at_once(place: Place) -> None:
    process = place.start("--jobs", "2")
    place.wait(lambda: place.has_trained(0, 2))
    process.send_signal(signal.SIGINT)
    time.sleep(5.1)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    place.is_left_clean()


def test_without_the_process_that_forks(place: Place, alone: dict[str, str]) -> None:
    """Its jobs save and end; another one takes its place."""
    process = place.start("--jobs", "2")
    place.wait(lambda: place.has_trained(0, 2))
    (server,) = place.processes(of="forkserver")
    os.kill(server, signal.SIGKILL)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, out + err
    place.is_left_clean()
    assert place.weights() == alone


def test_two_commands_divide_the_jobs(place: Place, alone: dict[str, str]) -> None:
    commands = [place.start("--jobs", "2", "--json") for _each in range(2)]
    ended = [(one, *one.communicate(timeout=300)) for one in commands]
    assert [one.returncode for one, _out, _err in ended] == [0, 0], [err for *_x, err in ended]
    assert place.states() == ["done"] * COUNT
    for seed in range(COUNT):
        events = [event["event"] for event in RunFolder(place.folder / f"runs/{seed}").events()]
        lines = (place.folder / f"runs/{seed}/events.jsonl").read_text()
        assert Counter(events)["finished"] == 1 and lines.count('"finished"') == 1
    place.is_left_clean()
    assert place.weights() == alone


def test_one_command_takes_over_from_another(place: Place, alone: dict[str, str]) -> None:
    first = place.start("--jobs", "2")
    place.wait(lambda: place.has_trained(0, 2))
    second = place.start()
    time.sleep(2)
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=150)
    assert first.returncode == 75
    out, err = second.communicate(timeout=300)
    assert second.returncode == 0, out + err
    place.is_left_clean()
    assert place.weights() == alone
