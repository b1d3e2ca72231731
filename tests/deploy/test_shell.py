"""The shell parts of the manifests, run by bash with stand-ins for the schedulers' commands."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.deploy.manifests import ARRAY, BATCH, DEPLOY, loaded
from tunesmith.many.jobs_file import read_jobs
from tunesmith.runs.folder import RunFolder

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="what clusters run on"),
    pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash"),
]

SRUN = """#!/bin/bash
echo "$@" > "$SEEN/srun"
while [[ $1 == --* ]]; do shift; done
processes=()
for ((task = 0; task < SLURM_NTASKS; task++)); do
    SLURM_PROCID=$task SLURM_LOCALID=$((task % ${SLURM_NTASKS_PER_NODE:-1})) "$@" &
    processes+=($!)
done
echo "${processes[@]}" > "$SEEN/tasks"
highest=0
for process in "${processes[@]}"; do
    wait "$process"
    code=$?
    ((code > highest)) && highest=$code
done
exit "$highest"
"""
"""As SLURM's: the tasks at once, and the highest of their codes."""
SCONTROL = """#!/bin/bash
case $1 in
    show) printf '%s\\n' node-a node-b ;;
    requeue) echo "$2" >> "$SEEN/requeued"; exit "${REQUEUE_CODE:-0}" ;;
esac
"""
PYTHON = """#!/bin/bash
names=(RANK LOCAL_RANK WORLD_SIZE LOCAL_WORLD_SIZE MASTER_ADDR MASTER_PORT OMP_NUM_THREADS)
{ for name in "${names[@]}"; do echo "$name=${!name-}"; done; printf '%s\\n' "$@"; } \
    > "$SEEN/python-${RANK:-0}"
codes=($CODES)
exit "${codes[${RANK:-0}]-${codes[0]}}"
"""
"""Notes its variables and arguments; ends with the code of its rank in $CODES, or the first."""


class Cluster:
    """A node with the commands of SLURM, which queues a job again as long as the job wants."""

    def __init__(self, folder: Path) -> None:
        self.seen = folder / "seen"
        self.work = folder / "work"
        self.bin = folder / "bin"
        for made in (self.seen, self.work, self.bin):
            made.mkdir()
        for name, script in (("srun", SRUN), ("scontrol", SCONTROL), ("python", PYTHON)):
            self.add(name, script)

    def add(self, name: str, script: str) -> None:
        (self.bin / name).write_text(script)
        (self.bin / name).chmod(0o755)

    def submit(self, script: Path, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
        """Start a batch script as SLURM does, in a session of its own."""
        environment = {
            **{name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ},
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "SEEN": str(self.seen),
            "SLURM_JOB_ID": "40017",
            "SLURM_JOB_NODELIST": "node-[a-b]",
            "SLURM_NTASKS": "1",
            "SLURM_CPUS_PER_TASK": "3",
            "CODES": "0",
            **variables,
        }
        with (self.seen / "output").open("wb") as output:
            return subprocess.Popen(
                ["bash", str(script), *arguments], cwd=self.work, env=environment,
                start_new_session=True, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def run(self, script: Path, *arguments: str, **variables: str) -> tuple[int, str]:
        """Run a job once; return its code and what it printed."""
        code = self.submit(script, *arguments, **variables).wait(240)
        return code, (self.seen / "output").read_text()

    def schedule(self, script: Path, codes: Iterable[str], **variables: str) -> list[int]:
        """Run a job as often as it is queued, with a code each time; return the job's codes."""
        ended = []
        for restarts, code in enumerate(codes):
            before = len(self.requeued())
            count = {"SLURM_RESTART_COUNT": str(restarts)} if restarts else {}
            ended.append(self.run(script, **{**variables, **count, "CODES": code})[0])
            if len(self.requeued()) == before:
                break
        return ended

    def requeued(self) -> list[str]:
        path = self.seen / "requeued"
        return path.read_text().splitlines() if path.exists() else []

    def process(self, rank: int = 0) -> tuple[dict[str, str], list[str]]:
        """The variables and the arguments of a process."""
        lines = (self.seen / f"python-{rank}").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines[:7]), lines[7:]


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


def test_a_job_is_queued_again_until_it_is_done(cluster: Cluster) -> None:
    assert cluster.schedule(BATCH, ["75", "75", "0", "0"]) == [75, 75, 0]
    assert cluster.requeued() == ["40017"] * 2


@pytest.mark.parametrize("code", ["1", "4", "130", "137"])
def test_an_error_is_passed_on(cluster: Cluster, code: str) -> None:
    assert cluster.schedule(BATCH, [code, "0"]) == [int(code)]
    assert cluster.requeued() == []


def test_the_highest_code_of_the_tasks_decides(cluster: Cluster) -> None:
    """All were stopped but one that is done already; one was killed, and the others noticed."""
    four = {"SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "2"}
    assert cluster.run(BATCH, CODES="75 75 0 75", **four)[0] == 75
    assert cluster.run(BATCH, CODES="75 137 75 75", **four)[0] == 137
    assert len(cluster.requeued()) == 1


@pytest.mark.parametrize("script", [BATCH, ARRAY], ids=lambda path: path.name)
def test_there_is_a_bound(cluster: Cluster, script: Path) -> None:
    variables = {"SLURM_ARRAY_JOB_ID": "40017", "SLURM_ARRAY_TASK_ID": "1", "CODES": "75"}
    assert cluster.schedule(script, ["75"] * 9, MAX_REQUEUES="2", **variables) == [75, 75, 75]
    assert len(cluster.requeued()) == 2
    assert cluster.run(script, SLURM_RESTART_COUNT="99", **variables)[0] == 75
    assert len(cluster.requeued()) == 3
    assert "after 0 times" in cluster.run(script, MAX_REQUEUES="0", **variables)[1]
    code, text = cluster.run(script, SLURM_RESTART_COUNT="100", **variables)
    assert (code, len(cluster.requeued())) == (75, 3)
    assert "not queued again after 100 times" in text


def test_a_job_that_slurm_has_queued_itself(cluster: Cluster) -> None:
    """As after preemption: the request fails, and nothing is said that is not so."""
    code, text = cluster.run(BATCH, CODES="75", REQUEUE_CODE="1")
    assert code == 75 and "queued again" not in text


def test_each_task_is_one_process_of_the_job(cluster: Cluster) -> None:
    four = {"SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "2"}
    assert cluster.run(BATCH, "some/my recipe.yaml", **four)[0] == 0
    for rank in range(4):
        variables, arguments = cluster.process(rank)
        assert variables == {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank % 2),
            "WORLD_SIZE": "4",
            "LOCAL_WORLD_SIZE": "2",
            "MASTER_ADDR": "node-a",
            "MASTER_PORT": "15017",
            "OMP_NUM_THREADS": "3",
        }
        assert arguments == ["-m", "tunesmith", "train", "some/my recipe.yaml", "--out",
                             "runs/my recipe"]  # fmt: skip
    options = (cluster.seen / "srun").read_text().split(" bash ")[0].split()
    assert options == ["--kill-on-bad-exit=0", "--wait=0", "--cpus-per-task=3"]


def test_the_ports_of_two_jobs_differ(cluster: Cluster) -> None:
    assert cluster.run(BATCH, SLURM_JOB_ID="99999", OMP_NUM_THREADS="1", RUN="runs/x")[0] == 0
    variables, arguments = cluster.process()
    assert variables["MASTER_PORT"] == "24999" and variables["OMP_NUM_THREADS"] == "1"
    assert arguments[-1] == "runs/x"


def test_an_element_of_an_array_trains_its_line(cluster: Cluster) -> None:
    variables = {"SLURM_ARRAY_JOB_ID": "40017", "SLURM_ARRAY_TASK_ID": "2"}
    for words, name in ((), "jobs.jsonl"), (("my jobs.jsonl",), "my jobs.jsonl"):
        assert cluster.run(ARRAY, *words, **variables)[0] == 0
        _environment, arguments = cluster.process()
        assert arguments[2:] == ["many", name, "--line", "2"]


def test_what_the_element_ends_with_is_that_of_train(cluster: Cluster) -> None:
    """The command itself: a line with an error, and one that is not there."""
    cluster.add("python", f'#!/bin/bash\nexec {sys.executable} "$@"\n')
    lines = ['{"what": "a.csv", "out": "b c"}', '{"what": "missing.csv"}']
    (cluster.work / "jobs.jsonl").write_text("\n".join(lines) + "\n")
    variables = {"SLURM_ARRAY_JOB_ID": "40017", "SLURM_NTASKS": "1"}
    code, text = cluster.run(ARRAY, **variables, SLURM_ARRAY_TASK_ID="2")
    assert code == 2 and "C170 jobs.jsonl:2" in text
    code, text = cluster.run(ARRAY, **variables, SLURM_ARRAY_TASK_ID="4")
    assert code == 2 and "there is no line 4" in text
    assert cluster.requeued() == []


def test_an_element_is_queued_again_alone(cluster: Cluster) -> None:
    """The id of one element is that of the whole array."""
    variables = {"SLURM_ARRAY_JOB_ID": "40017", "SLURM_ARRAY_TASK_ID": "2"}
    assert cluster.schedule(ARRAY, ["75", "75", "0"], **variables) == [75, 75, 0]
    assert cluster.requeued() == ["40017_2"] * 2


def test_the_lines_that_come_with_the_array_are_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DEPLOY)
    jobs = read_jobs(Path("jobs.jsonl"))
    (size,) = (line for line in ARRAY.read_text().splitlines() if "--array=1-3%2" in line)
    assert len(jobs) == 3 and size


def sky(cluster: Cluster, rank: int, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the `run` of a node, with a launcher that prints its arguments."""
    task = loaded(DEPLOY / "skypilot.yaml")
    python = cluster.work / "tunesmith" / "bin" / "python"
    if not python.exists():
        python.parent.mkdir(parents=True)
        python.write_text('#!/bin/bash\nprintf "%s\\n" "$@"\nexit "$CODE"\n')
        python.chmod(0o755)
    environment = {
        **task["envs"],
        "PATH": os.environ["PATH"],
        "HOME": str(cluster.work),
        "RUNS": str(cluster.work),
        "SKYPILOT_TASK_ID": "managed-1",
        "SKYPILOT_NODE_IPS": "10.0.0.5\n10.0.0.6",
        "SKYPILOT_NUM_NODES": str(task["num_nodes"]),
        "SKYPILOT_NODE_RANK": str(rank),
        "SKYPILOT_NUM_GPUS_PER_NODE": "4",
        "CODE": "75",
        **variables,
    }
    return subprocess.run(
        ["bash", "-c", task["run"]], env=environment, capture_output=True, text=True, check=False
    )


def test_two_nodes_of_skypilot_start_one_job(cluster: Cluster) -> None:
    for rank in (0, 1):
        node = sky(cluster, rank)
        assert node.returncode == 75, node.stderr
        assert node.stdout.split() == [
            "-m", "tunesmith.launch", "--nnodes", "2", "--node-rank", str(rank),
            "--nproc-per-node", "4", "--master-addr", "10.0.0.5", "--master-port", "29500",
            "train", "deploy/recipe.yaml", "--out", f"{cluster.work}/ratings",
        ]  # fmt: skip
    without = sky(cluster, 1, SKYPILOT_NUM_GPUS_PER_NODE="0").stdout.split()
    assert without[without.index("--nproc-per-node") + 1] == "1"


def test_skypilot_has_a_bound(cluster: Cluster) -> None:
    codes = [sky(cluster, 0, MAX_STARTS="2").returncode for _start in range(3)]
    assert codes == [75, 75, 1]
    assert sky(cluster, 1, MAX_STARTS="2").returncode == 75, "the first node counts"
    assert sky(cluster, 0, MAX_STARTS="2", SKYPILOT_TASK_ID="managed-2").returncode == 75


def test_shell_parts_are_shell() -> None:
    task = loaded(DEPLOY / "skypilot.yaml")
    for text in (BATCH.read_text(), ARRAY.read_text(), task["setup"], task["run"]):
        done = subprocess.run(
            ["bash", "-n"], input=text, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_requeued_run_equals_an_uninterrupted_one(cluster: Cluster) -> None:
    """Two processes, and the signal of the time limit to both."""
    cluster.add("python", f'#!/bin/bash\nexec {sys.executable} "$@"\n')
    shutil.copy(DEPLOY / "recipe.yaml", cluster.work)
    settings = {
        "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_CPUS_PER_TASK": "1",
        "SLURM_JOB_NODELIST": "localhost", "TUNESMITH_TRAIN__LOG_EVERY": "1",
        "TUNESMITH_TRAIN__EPOCHS": "1",
    }  # fmt: skip
    cluster.add("scontrol", SCONTROL.replace("node-a node-b", "localhost"))
    code, text = cluster.run(BATCH, RUN="runs/through", **settings)
    assert code == 0, text
    batch = cluster.submit(BATCH, **settings)
    log = cluster.work / "runs" / "recipe" / "events.jsonl"
    deadline = time.monotonic() + 120
    while not (log.exists() and '"step": 2' in log.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for task in (cluster.seen / "tasks").read_text().split():
        os.kill(int(task), signal.SIGTERM)
    assert batch.wait(120) == 75
    assert cluster.requeued() == ["40017"]
    stopped = RunFolder(cluster.work / "runs" / "recipe")
    assert not stopped.facts() and list((stopped.path / "checkpoints").glob("step-*"))

    code, text = cluster.run(BATCH, SLURM_JOB_ID="40018", **settings)
    assert code == 0, text
    through = RunFolder(cluster.work / "runs" / "through")
    losses = [
        [event["loss"] for event in run.events() if event["event"] == "step"]
        for run in (through, stopped)
    ]
    assert losses[0] == losses[1] and len(losses[0]) == 38
    weights = [(run.model / "model.safetensors").read_bytes() for run in (through, stopped)]
    assert weights[0] == weights[1]
