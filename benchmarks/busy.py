"""Training next to busy neighbors: Trainer, ours with threads that always spin, and ours.

    python benchmarks/busy.py --glue ../shared/glue --neighbors 0 1 3

MRPC, 8 rows per step, MiniLM-L6, bfloat16 where the processor has it; Trainer with its defaults. A
neighbor is a process that computes all the time. Contenders take turns while the neighbors run; the
first turn, in which ours finds them, is not counted. `others` is what the neighbors used, in CPUs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from machine import facts
from speed import settings

from tunesmith.analysis.bench.compare import steps_taken
from tunesmith.analysis.bench.contenders import CONTENDERS, Child, Contender
from tunesmith.training.device import has_fast_bf16

TARGET = Path(__file__).parent / "results" / "busy.json"
OURS = CONTENDERS["fast-bf16" if has_fast_bf16() else "fast"]
SPINNING = Contender(
    f"{OURS.name} without waiting", "tunesmith", {**OURS.arguments, "train.disable": ["waiting"]}
)
WHO = (CONTENDERS["trainer"], SPINNING, OURS)


@contextmanager
def neighbors(count: int) -> Iterator[list[psutil.Process]]:
    """So many processes that compute all the time."""
    command = [sys.executable, "-c", "while True: pass"]
    running = [subprocess.Popen(command) for _neighbor in range(count)]
    try:
        yield [psutil.Process(process.pid) for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()


def used(processes: Sequence[psutil.Process]) -> float:
    return sum(process.cpu_times().user for process in processes)


def measure(count: int, children: Sequence[Child], turns: int, steps: int) -> dict[str, Any]:
    speeds: dict[str, list[float]] = {child.contender.name: [] for child in children}
    others: dict[str, list[float]] = {child.contender.name: [] for child in children}
    with neighbors(count) as processes:
        for number in range(1 + turns):
            for child in children:
                before = used(processes)
                turn = child.turn(steps, untimed=1)
                assert not isinstance(turn, str), turn
                whole = turn.seconds * (1 + 1 / steps)
                name = child.contender.name
                if number:
                    speeds[name].append(turn.rows / turn.seconds)
                    others[name].append((used(processes) - before) / whole)
                print(count, number, name, round(turn.rows / turn.seconds, 1), flush=True)
    ours = speeds[OURS.name]
    return {
        name: {
            "rows_per_second": round(statistics.median(rates), 1),
            "range": [round(min(rates), 1), round(max(rates), 1)],
            "others": round(statistics.median(others[name]), 2),
            "ours_to_this": round(
                statistics.median(own / one for own, one in zip(ours, rates, strict=True)), 2
            ),
        }
        for name, rates in speeds.items()
    } | {"turns": turns, "steps_per_turn": steps, "machine": facts()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--glue", type=Path, default=Path("../shared/glue"))
    parser.add_argument("--neighbors", type=int, nargs="+", default=[0, 1, 3])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--steps", type=int, default=12)
    options = parser.parse_args()
    result = json.loads(TARGET.read_text()) if TARGET.is_file() else {}
    count = len(options.neighbors) * steps_taken(options.turns, options.steps)
    with tempfile.TemporaryDirectory() as folder:
        shared = settings(options.glue, "mrpc", 8, count, Path(folder))
        shared["train.log_every"] = options.steps
        children = [Child(contender, shared) for contender in WHO]
        for child in children:
            assert child.ready() is None
        for neighbor_count in options.neighbors:
            measured = measure(neighbor_count, children, options.turns, options.steps)
            result[f"{neighbor_count} neighbors"] = measured
            TARGET.write_text(json.dumps(result, indent=1) + "\n")
        for child in children:
            child.stop()


if __name__ == "__main__":
    main()
