"""What the loop adds to the model's own forward, backward and optimizer step.

    python benchmarks/loop_overhead.py --glue ../shared/glue

The bare step runs the same network on the same batches, already made: forward, backward,
`clip_grad_norm_`, `AdamW.step`, `zero_grad`. The loop does everything else of a run: it cuts and
pads batches from prepared data, seeds dropout, counts targets, tests the norm, writes the learning
rate, and its events go to events.jsonl. Both go in alternation, a block of steps each; the figure
is the median of the ratios of adjacent blocks.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from glue_quality import GLUE, model_folder
from machine import facts

from tunesmith.inputs import resolve_inputs, validate_inputs
from tunesmith.recipe import gather
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.open_session import open_session
from tunesmith.runs.prepare import prepare_run
from tunesmith.runs.recorder import Recorder
from tunesmith.runs.session import Session
from tunesmith.runs.signals import StopRequest
from tunesmith.training.device import deterministic_kernels, make_accelerator
from tunesmith.training.events import Event
from tunesmith.training.loop import train
from tunesmith.training.optimizer import make_optimizer


def build(folder: Path, out: Path, batch_size: int) -> Session:
    labels = json.dumps(GLUE[folder.name]["labels"])
    layers = gather(
        sets=[
            f"data.train={folder}",
            f"model={model_folder()}",
            f"data.labels={labels}",
            f"train.batch_size={batch_size}",
            "train.epochs=100",
            "train.engine=exact",
        ]
    )
    out.mkdir()
    return open_session(
        prepare_run(validate_inputs(resolve_inputs(layers))),
        RunFolder(out),
        make_accelerator(device="cpu"),
        precision="fp32",
        stop=StopRequest(),
    )


def ours(session: Session, recorder: Recorder) -> Iterator[Event]:
    stream = train(
        session.engine,
        plan=session.job.plan,
        progress=session.progress,
        micro_batches=session.micro_batches,
    )
    while (event := recorder.timed(stream)) is not None:
        yield from recorder.record([event])


def bare(session: Session, optimizer: torch.optim.Optimizer, batches: list[Any]) -> None:
    model = session.network
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for batch in batches:
        loss = torch.nn.functional.cross_entropy(model(**batch.inputs).logits, batch.labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--glue", type=Path, default=Path("../shared/glue"))
    parser.add_argument("--blocks", type=int, default=15)
    parser.add_argument("--steps", type=int, default=12)
    arguments = parser.parse_args()
    result: dict[str, Any] = {}
    for batch_size in (8, 32):
        steps = max(3, arguments.steps * 8 // batch_size)
        with tempfile.TemporaryDirectory() as folder, deterministic_kernels(wanted=True):
            session = build(arguments.glue / "mrpc", Path(folder) / "run", batch_size)
            with Recorder(session, None) as recorder:
                stream = ours(session, recorder)
                optimizer = make_optimizer(session.network, session.job.recipe.train)
                for _warm in range(5):
                    next(stream)
                times: list[tuple[float, float]] = []
                for _block in range(arguments.blocks):
                    at = session.progress.step
                    made = [session.micro_batches(at + i)[0][1] for i in range(steps)]
                    started = time.perf_counter()
                    bare(session, optimizer, made)
                    between = time.perf_counter()
                    for _step in range(steps):
                        next(stream)
                    times.append((between - started, time.perf_counter() - between))
        ratios = sorted(loop / own for own, loop in times)
        own = statistics.median(own for own, _loop in times) / steps
        result[f"batch {batch_size}"] = {
            "bare_ms_per_step": round(own * 1000, 1),
            "ratio_median": round(statistics.median(ratios), 4),
            "ratio_quartiles": [round(ratios[len(ratios) // 4], 4),
                                round(ratios[-len(ratios) // 4], 4)],
            "blocks": len(times),
            "steps_per_block": steps,
        }  # fmt: skip
        print(batch_size, result[f"batch {batch_size}"], flush=True)
    result["machine"] = facts()
    target = Path(__file__).parent / "results" / "loop_overhead.json"
    target.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
