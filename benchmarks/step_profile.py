"""Where a step of the fast engine goes: torch's own profile, by operation.

    python benchmarks/step_profile.py --glue ../shared/glue

MiniLM-L6 on MRPC in the fastest precision, after steps that warm up: a library makes its kernels
when it first sees a shape. Times are those of the operation itself, without what it calls; the
profiler adds a little to each. Torch does not see kernels of numba: the functions that start them
are operations of their own here.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from machine import facts
from speed import settings
from torch.profiler import ProfilerActivity, profile, record_function

from tunesmith.inputs import resolve_inputs, validate_inputs
from tunesmith.recipe import gather
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.prepare import prepare_run
from tunesmith.runs.signals import StopRequest
from tunesmith.runs.train import opened_session
from tunesmith.training.device import has_fast_bf16
from tunesmith.training.events import StepDone
from tunesmith.training.fast.engine import FastEngine
from tunesmith.training.fast.kernels import why_missing
from tunesmith.training.loop import train

TARGET = Path(__file__).parent / "results" / "step_profile.json"
SHOWN = 24


def record(owner: Any, name: str, label: str) -> None:
    """Show calls of a function in profiles."""
    function: Callable[..., Any] = getattr(owner, name)

    @wraps(function)
    def recorded(*arguments: Any, **options: Any) -> Any:
        with record_function(label):
            return function(*arguments, **options)

    setattr(owner, name, recorded)


def record_kernels() -> None:
    record(FastEngine, "update", "update")
    if why_missing() is None:
        from tunesmith.training.fast.kernels import layer_norm
        from tunesmith.training.fast.kernels.attention import Attention

        for name in ("forward", "backward"):
            record(Attention, name, f"attention, {name}")
            record(layer_norm, name, f"norm with dropout, {name}")


def measure(glue: Path, batch_size: int, *, warm: int, steps: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        keys = settings(glue, "mrpc", batch_size, warm + 2 * steps, Path(home))
        keys["train.precision"] = "bf16" if has_fast_bf16() else "fp32"
        flags = {tuple(key.split(".")): (key, value) for key, value in keys.items()}
        job = prepare_run(validate_inputs(resolve_inputs(gather(flags=flags, environment={}))))
        with opened_session(job, RunFolder(Path(home)), stop=StopRequest()) as session:
            events = train(
                session.engine, plan=job.plan, progress=session.progress,
                micro_batches=session.micro_batches,
            )  # fmt: skip
            done = (event for event in events if isinstance(event, StepDone))
            for _step in range(warm):
                next(done)
            started = time.perf_counter()
            for _step in range(steps):
                next(done)
            seconds = time.perf_counter() - started
            with profile(activities=[ProfilerActivity.CPU]) as profiled:
                for _step in range(steps):
                    next(done)
    every = sorted(profiled.key_averages(), key=lambda one: -one.self_cpu_time_total)
    return {
        "precision": keys["train.precision"],
        "steps": steps,
        "milliseconds_per_step_without_profiler": round(1000 * seconds / steps, 1),
        "milliseconds_per_step": round(
            sum(one.self_cpu_time_total for one in every) / steps / 1000, 1
        ),
        "operations": [
            {
                "name": one.key,
                "milliseconds_per_step": round(one.self_cpu_time_total / steps / 1000, 2),
                "calls_per_step": round(one.count / steps, 1),
            }
            for one in every[:SHOWN]
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--glue", type=Path, default=Path("../shared/glue"))
    parser.add_argument("--warm", type=int, default=120)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    record_kernels()
    result: dict[str, Any] = {"machine": facts()}
    for batch_size in (8, 32):
        profiled = measure(options.glue, batch_size, warm=options.warm, steps=options.steps)
        result[f"MRPC, batch {batch_size}"] = profiled
        for line in profiled["operations"]:
            print(batch_size, *line.values(), flush=True)
    TARGET.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
