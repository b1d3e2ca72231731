"""A Ray cluster on this machine, of loopback addresses, and one training on it: for the slow tests.

`python -m tests.ray_driver FOLDER` reads `case.json` there, and writes `result.json`.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S": "0.5",
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "4",
    "CUDA_VISIBLE_DEVICES": "",
    "OMP_NUM_THREADS": "1",
}
_STORE_BYTES = 80 << 20


class Machines:
    """A head without CPUs, and machines of one CPU that come and go."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._cluster: Any = Cluster()
        self._count = 1
        self._add(cpus=0)
        self.all = [self.add() for _twice in range(2)]

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def add(self) -> Any:
        return self._add(cpus=1)

    def _add(self, *, cpus: int) -> Any:
        self._count += 1  # 127.0.0.1 is replaced by an address of the network
        return self._cluster.add_node(
            num_cpus=cpus,
            object_store_memory=_STORE_BYTES,
            include_dashboard=False,
            node_ip_address=f"127.0.0.{self._count}",
        )

    def remove(self, node: Any) -> None:
        """As if its machine were gone."""
        self._cluster.remove_node(node, allow_graceful=False)

    def close(self) -> None:
        self._cluster.shutdown()


@contextmanager
def cluster() -> Iterator[Machines]:
    """Two machines, and this process connected to them; sessions are below `RAY_TMPDIR`."""
    import ray

    machines = Machines()
    try:
        ray.init(address=machines.address, _node_ip_address="127.0.0.2")
        yield machines
    finally:
        ray.shutdown()
        machines.close()


def steps(out: Path) -> int:
    """How many are logged, in the folder or in those of machines below it."""
    logs = out.rglob("events.jsonl")
    return max((log.read_text().count('"event": "step"') for log in logs), default=0)


def wait_for_steps(out: Path, number: int) -> None:
    deadline = time.monotonic() + 200
    while steps(out) < number:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{steps(out)} steps")
        time.sleep(0.02)


def slowed(config: dict[str, Any]) -> dict[str, Any]:
    """A worker: it notes who it is and where it begins, and waits in each step."""
    import ray

    import tunesmith
    from tunesmith.ray import train_loop
    from tunesmith.runs.session import Session

    address = ray.util.get_node_ip_address()
    facts = {"pid": os.getpid(), "rank": os.environ["RANK"], "size": os.environ["WORLD_SIZE"],
             "address": address, "tunesmith": tunesmith.__file__, "step": None}  # fmt: skip
    note, pause = Path(config.pop("note")), config.pop("pause")
    if config.pop("apart"):  # each machine has a folder of its own
        config["out"] += f"/{address}"
    real = Session.micro_batches

    def write_note() -> None:
        with note.open("a") as file:
            file.write(json.dumps(facts) + "\n")

    def micro_batches(self: Session, step: int) -> Any:
        if facts["step"] is None:
            facts["step"] = step
            write_note()
        time.sleep(pause)
        return real(self, step)

    Session.micro_batches = micro_batches  # type: ignore[method-assign]
    try:
        return train_loop(config)
    finally:
        if facts["step"] is None:
            write_note()


def disturb(kind: str, machines: Machines, case: dict[str, Any]) -> None:
    notes = map(json.loads, Path(case["config"]["note"]).read_text().splitlines())
    worker = next(note for note in notes if note["rank"] == str(case.get("rank", 1)))
    machine = next(one for one in machines.all if one.node_ip_address == worker["address"])
    if kind == "killed":
        os.kill(worker["pid"], signal.SIGKILL)
        return
    if kind == "lost":
        machines.remove(machine)
    else:
        drain(machine, seconds=case["notice"])
    if case.get("replaced", True):
        machines.add()


def drain(node: Any, *, seconds: float) -> None:
    """Announce that a machine will be taken away, as a cloud does; then take it."""
    import ray
    from ray._raylet import GcsClient
    from ray.core.generated import autoscaler_pb2

    client = GcsClient(address=ray.get_runtime_context().gcs_address)
    reason = autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
    deadline = int((time.time() + seconds) * 1000)
    accepted, message = client.drain_node(node.node_id, reason, "taken away", deadline)
    assert accepted, message


def main(folder: Path) -> None:
    case = json.loads((folder / "case.json").read_text())
    if arguments := case.get("script"):
        sys.argv[1:] = arguments
        with cluster():
            runpy.run_path(str(Path(__file__).parents[1] / "deploy" / "ray_train.py"))
        return
    out = Path(case["config"]["out"])
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    from tunesmith.ray import EndOnErrors

    result: dict[str, Any] = {}
    with cluster() as machines:
        number = case.get("workers", 2)
        trainer = TorchTrainer(
            slowed,
            train_loop_config=case["config"],
            scaling_config=ScalingConfig(
                num_workers=tuple(number) if isinstance(number, list) else number,
                elastic_resize_monitor_interval_s=case.get("resize", 60.0),
            ),
            run_config=RunConfig(
                name="run",
                storage_path=str(folder / "ray"),
                callbacks=[EndOnErrors()],
                failure_config=FailureConfig(max_failures=case.get("failures", 0)),
            ),
        )

        def fit() -> None:
            try:
                fitted = trainer.fit()
                table = fitted.metrics_dataframe
                result["returned"] = fitted.return_value
                result["metrics"] = fitted.metrics
                result["rows"] = None if table is None else table.to_dict("records")
            except Exception as error:
                result["error"] = f"{type(error).__name__}: {error}"
                failures = getattr(error, "worker_failures", {})
                result["failures"] = {rank: type(e).__name__ for rank, e in failures.items()}

        # machines are added in the main thread, which may set handlers of signals
        thread = threading.Thread(target=fit, daemon=True)
        thread.start()
        if case.get("disturbance"):
            wait_for_steps(out, case["at"])
            disturb(case["disturbance"], machines, case)
        thread.join()
    (folder / "result.json").write_text(json.dumps(result, default=str))


if __name__ == "__main__":
    os.environ.update(ENVIRONMENT)
    main(Path(sys.argv[1]))
