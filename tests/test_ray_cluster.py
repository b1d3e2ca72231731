"""Training on a Ray cluster of two machines, which is disturbed: slow tests.

Each cluster is of loopback addresses on this machine, in a process of its own (`ray_driver`).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import pytest
from safetensors.numpy import load_file

import tunesmith
from tests.jobs.launched import Launched, standalone
from tunesmith.runs.folder import RunFolder
from tunesmith.storage.lock import hold

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1000),
    pytest.mark.skipif(sys.platform != "linux", reason="needs more than one loopback address"),
]
pytest.importorskip("ray.cluster_utils")

ROOT = Path(__file__).parents[1]
STEPS = 60
SETTINGS: dict[str, object] = {
    "train.log_every": 1,
    "train.epochs": 10,
    "train.batch_size": 8,
    "train.micro_batch_size": 4,
    "train.learning_rate": 1e-3,
    "train.engine": "exact",
    "train.evaluate_every": "30 steps",
    "train.save_every": "10 steps",
    "train.select_by": None,
    "train.preflight": False,
    "data.validation": "21%",
}


class Base(NamedTuple):
    """What all runs share, and the weights of an undisturbed one of two processes."""

    data: Path
    model: Path
    weights: Path


class Trained(NamedTuple):
    """What the driver said, what the workers noted, and the run."""

    result: dict[str, Any]
    workers: list[dict[str, Any]]
    run: RunFolder
    said: str

    @property
    def weights(self) -> Path:
        return self.run.model / "model.safetensors"

    def saved(self) -> list[int]:
        return [e["step"] for e in self.run.events() if e["event"] == "saved"]

    def codes(self) -> list[str]:
        return [line.split(" ", 1)[0] for line in self.run.warnings()]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    from tests.runs.machines import tickets_and_model

    folder = tmp_path_factory.mktemp("base")
    data, model = tickets_and_model(folder)
    job = Launched(folder / "launched", data, model)
    settings = [f"{k}={'null' if v is None else v}" for k, v in SETTINGS.items()]
    (job.folder / "tmp").mkdir(parents=True)
    command = [sys.executable, "-m", "tunesmith.launch", *standalone(2), "train", str(data),
               "--model", str(model), "--out", "run"]  # fmt: skip
    sets = [part for setting in settings for part in ("--set", setting)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([*command, *sets], cwd=job.folder, env=environment, check=True)
    return Base(data, model, job.run.model / "model.safetensors")


@pytest.fixture(autouse=True)
def sessions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder for the sessions of Ray, with a short path for its sockets; no process is left."""
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")
    monkeypatch.setenv("RAY_TMPDIR", folder)
    try:
        yield
        deadline = time.monotonic() + 20
        while (running := ray_processes()) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert running == []
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def ray_processes() -> list[str]:
    """Those whose environment names the folder of this test."""
    commands = []
    for process in psutil.process_iter(["cmdline"]):
        with suppress(psutil.Error):
            if process.environ().get("RAY_TMPDIR") == os.environ["RAY_TMPDIR"]:
                commands.append(" ".join(process.info["cmdline"] or ())[:200])
    return commands


def driven(tmp_path: Path, case: dict[str, Any], *, seconds: float = 450) -> str:
    """What the driver said, which had no error."""
    (tmp_path / "case.json").write_text(json.dumps(case))
    environment = {**os.environ, "TUNESMITH_CACHE": str(tmp_path / "cache"),
                   "PYTHONPATH": str(ROOT)}  # fmt: skip
    driver = subprocess.Popen(
        [sys.executable, "-m", "tests.ray_driver", str(tmp_path)],
        cwd=tmp_path, env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        said, _none = driver.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(driver.pid, signal.SIGKILL)
        said, _none = driver.communicate()
    (tmp_path / "said.txt").write_text(said)
    assert driver.returncode == 0, said[-6000:]
    return said


def trained(tmp_path: Path, base: Base, *, seconds: float = 450, **case: Any) -> Trained:
    """Train on a cluster, with settings of a case of the driver."""
    out, note = tmp_path / "out", tmp_path / "workers.jsonl"
    own = case.pop("settings", {})
    config = {"what": str(base.data), "model": str(base.model), "out": str(out),
              "settings": {**SETTINGS, **own}, "note": str(note),
              "apart": case.pop("apart", False), **case.pop("own", {}),
              "pause": case.pop("pause", 0.0)}  # fmt: skip
    said = driven(tmp_path, {**case, "config": config}, seconds=seconds)
    result = json.loads((tmp_path / "result.json").read_text())
    workers = [json.loads(line) for line in note.read_text().splitlines()]
    for model in out.rglob("model"):
        out = model.parent
    with hold(out):  # no one holds it any more
        pass
    assert not list(out.rglob(".tmp-*"))
    return Trained(result, workers, RunFolder(out), said)


def same(run: Trained, base: Base) -> bool:
    assert run.run.is_finished, run.said[-6000:]
    return run.weights.read_bytes() == base.weights.read_bytes()


def test_an_undisturbed_run(tmp_path: Path, base: Base) -> None:
    run = trained(tmp_path, base)
    assert same(run, base)
    assert [worker["size"] for worker in run.workers] == ["2", "2"]
    assert {worker["tunesmith"] for worker in run.workers} == {tunesmith.__file__}
    scores = {f"validation_{k}": v for k, v in tunesmith.Run(run.run.path).scores.items()}
    assert run.result["returned"]["out"] == str(run.run.path)
    assert run.result["metrics"] == {"step": STEPS, **scores}
    assert [row["step"] for row in run.result["rows"]] == [30, 60, 60]
    pointers = list((tmp_path / "ray").rglob("run.json"))
    assert json.loads(pointers[0].read_text())["run"] == str(run.run.path)
    again = trained(tmp_path, base)
    assert again.result["metrics"] == run.result["metrics"], "a finished run is not trained again"
    assert len(again.saved()) == len(run.saved())


def test_a_machine_is_lost_and_another_one_comes(tmp_path: Path, base: Base) -> None:
    run = trained(tmp_path, base, disturbance="lost", at=15, pause=0.1, failures=3)
    assert same(run, base)
    assert len(run.workers) >= 4


def test_a_machine_is_lost_and_the_other_one_goes_on(tmp_path: Path, base: Base) -> None:
    run = trained(
        tmp_path, base, disturbance="lost", replaced=False, at=15, pause=0.1, failures=3,
        workers=[1, 2],
    )  # fmt: skip
    same(run, base)
    ours, theirs = load_file(run.weights), load_file(base.weights)
    for name, tensor in theirs.items():
        np.testing.assert_allclose(ours[name], tensor, rtol=0, atol=1e-5)
    assert [worker["size"] for worker in run.workers][-1] == "1"
    assert "C103" in run.codes()


def test_a_machine_that_will_be_taken_away(tmp_path: Path, base: Base) -> None:
    run = trained(
        tmp_path, base, disturbance="preempted", notice=6, at=8, pause=0.15,
        settings={"train.save_every": "1000 steps"},
    )  # fmt: skip
    assert same(run, base)
    first = run.saved()[0]
    assert 8 <= first < 60 and len(run.workers) == 4, "saved, gone on, started again"
    steps = [event["step"] for event in run.run.events() if event["event"] == "step"]
    assert steps == list(range(1, STEPS + 1)), "the log was cut back to the save"


def test_machines_with_folders_of_their_own(tmp_path: Path, base: Base) -> None:
    """The one with the run is lost; a copy in a store is there."""
    store = tmp_path / "store"
    run = trained(
        tmp_path, base, disturbance="lost", rank=0, replaced=True, at=25, pause=0.1, failures=3,
        apart=True, own={"remote": f"file://{store}"},
    )  # fmt: skip
    assert same(run, base)
    first, last = run.workers[0], run.workers[-1]
    assert first["step"] == 0 and last["step"] in (10, 20), "it went on from the copy"
    assert run.run.path.name not in {w["address"] for w in run.workers[:2] if w["rank"] == "0"}


def test_a_worker_is_killed(tmp_path: Path, base: Base) -> None:
    run = trained(tmp_path, base, disturbance="killed", at=15, pause=0.05, failures=1)
    assert same(run, base)
    assert len(run.workers) == 4


def test_a_mistake_ends_the_job_at_once(tmp_path: Path, base: Base) -> None:
    run = trained(tmp_path, base, settings={"data.label": "lable"}, failures=3)
    assert len(run.workers) == 2, "it was not tried again"
    assert "D301" in run.result["error"] and "lable" in run.result["error"]


def test_the_script_for_clusters(tmp_path: Path, base: Base) -> None:
    recipe, out = base.weights.parents[1] / "recipe.yaml", tmp_path / "runs" / "out"
    said = driven(tmp_path, {"script": [str(recipe), str(out), "--at-least", "2"]})
    assert (out / "model" / "model.safetensors").read_bytes() == base.weights.read_bytes()
    assert f"{{'out': '{out}', 'scores': {{'f1': " in said
    assert (out.parent / "ray" / "out").is_dir()
