"""CPU seconds of a training step on one thread, contenders in turn: for a machine that is busy.

    OMP_NUM_THREADS=1 python benchmarks/cpu_time.py

`speed.py` measures what users wait for, and needs idle cores. CPU time depends less on what else
runs; caches and memory are shared all the same, so these figures are rougher. All contenders run in
one process, with the process settings of the fast engine, which help Trainer, too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from machine import facts
from speed import RESULTS, WORK, settings

from tunesmith.analysis.bench.trainings import trainer_steps, tunesmith_steps
from tunesmith.training.device import has_fast_bf16

TARGET = RESULTS / "cpu_time.json"
SETS = ("entities, batch 32", "choices, batch 32", "questions, batch 32")
PRECISIONS = ("fp32", "bf16") if has_fast_bf16() else ("fp32",)


def measured(work: str, steps: int, glue: Path) -> dict[str, Any]:
    name, batch_size, _steps = WORK[work]
    with tempfile.TemporaryDirectory() as folder:
        shared = settings(glue, name, batch_size, steps + 2, Path(folder))
        shared |= {"train.device": "cpu", "train.log_every": 1}
        contenders = {}
        for precision in PRECISIONS:
            ours = {**shared, "train.precision": precision}
            arguments = {"bf16": True} if precision == "bf16" else {}
            contenders[f"trainer-{precision}"] = trainer_steps(
                shared, arguments, tunes_process=False
            )
            contenders[f"fast-{precision}"] = tunesmith_steps(ours)
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        for step in range(steps + 1):
            for name, each in contenders.items():
                started = time.process_time()
                next(each)
                if step:  # the first one prepares
                    seconds[name].append(time.process_time() - started)
        for each in contenders.values():
            each.close()
    reference = seconds["trainer-fp32"]
    return {
        name: {
            "seconds_per_step": round(statistics.median(each), 3),
            "ratio": round(statistics.median(map(float.__truediv__, reference, each)), 2),
        }
        for name, each in seconds.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--glue", type=Path, default=Path("../shared/glue"))
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--work", nargs="+", default=list(SETS), choices=WORK)
    options = parser.parse_args()
    torch.set_num_threads(1)
    result = json.loads(TARGET.read_text()) if TARGET.is_file() else {}
    for work in options.work:
        results = measured(work, options.steps, options.glue)
        result[work] = {"steps": options.steps, "machine": facts(), "results": results}
        print(work, results, flush=True)
        TARGET.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
