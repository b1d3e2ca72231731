"""Whether CUDA graphs and ragged attention compute what the exact engine computes (`gpu.py`).

Dropout is off unless it is what is checked. Each way is compared with the exact engine in float32;
in bfloat16 its errors may be twice those of the exact engine in bfloat16, whose products are
rounded in other places.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from tunesmith.analysis.bench.trainings import prepare
from tunesmith.errors import IntegrityError
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.session import Session
from tunesmith.runs.signals import StopRequest
from tunesmith.runs.train import opened_session
from tunesmith.training import choose_engine
from tunesmith.training.events import StepDone
from tunesmith.training.fast.graphs.engine import GraphedEngine
from tunesmith.training.loop import train

WAYS: dict[str, tuple[str, ...]] = {
    "groups": (),
    "varlen": ("varlen",),
    "graphs": ("graphs",),
    "device_data": ("device_data",),
}
"""Parts that are enabled, by name; each brings along what it needs."""

PRECISIONS = ("fp32", "bf16")
BATCHES = 6
"""Batches whose gradients are compared; their tokens fall into several buckets."""

POISONED = (5, 12)
"""Steps of which a gradient is infinite."""

LOSS, GRADIENT = 1e-4, 1e-3
"""Relative differences in float32 that are rounding, over some dozens of steps."""

LOSS_HALF, GRADIENT_HALF = 2e-2, 1e-1
"""In bfloat16, should the errors of the exact engine be smaller than half of these."""


def check(shared: Mapping[str, object], steps: int, keep: Callable[[str, object], None]) -> bool:
    """Run all checks; `keep` is called with the name and the figures of each.

    Args:
        shared: recipe keys: data, model, device.
        steps: of each training that is compared.
        keep: writes a result.
    """
    base = {**shared, "train.dropout": 0.0, "train.max_steps": steps, "train.log_every": 3}
    exact = {p: _exact(base, p) for p in PRECISIONS}
    fine = True
    for precision in PRECISIONS:
        for name, enabled in WAYS.items():
            try:
                figures = _compared(base, enabled, precision, exact)
            except Exception as error:  # the others are still of interest
                figures = {"ok": False, "error": f"{type(error).__name__}: {error}"[:400]}
            fine &= bool(figures["ok"])
            keep(f"{name}, {precision}", figures)
    for name in ("graphs", "device_data"):
        figures = _dropout(shared, WAYS[name], steps)
        fine &= bool(figures["ok"])
        keep(f"{name}, dropout", figures)
    return fine


def _exact(base: Mapping[str, object], precision: str) -> dict[str, Any]:
    settings = {**base, "train.engine": "exact", "train.precision": precision}
    whole, parts = _trained(settings), _trained({**settings, "train.micro_batch_size": 3})
    return {"whole": whole, "parts": parts, "gradients": _gradients(settings)}


def _compared(
    base: Mapping[str, object],
    enabled: tuple[str, ...],
    precision: str,
    exact: Mapping[str, Any],
) -> dict[str, Any]:
    """One way against the exact one: losses, norms, gradients, skipped and failing steps."""
    settings = {**base, "train.precision": precision, "train.enable": list(enabled)}
    ours = {
        "whole": _trained(settings),
        "parts": _trained({**settings, "train.micro_batch_size": 3}),
        "gradients": _gradients({**settings, "train.disable": ["vocabulary"]}),
    }
    uses = ours["whole"]["uses"]  # None on a CPU
    in_use = uses is None or set(enabled) <= set(uses)
    figures: dict[str, Any] = {
        "in use": in_use,
        "uses": uses,
        "notes": ours["whole"]["notes"],
        "recorded": ours["gradients"]["recorded"],
        "buckets": ours["gradients"]["buckets"],
    }
    right = in_use
    for kind in ("whole", "parts"):
        one, other = ours[kind], exact[precision][kind]
        steps = [step for step, *_numbers in other["numbers"]]
        same_steps = [step for step, *_numbers in one["numbers"]] == steps
        loss = _apart(one, other, 1) if same_steps else math.inf
        norm = _apart(one, other, 2) if same_steps else math.inf
        half = precision == "bf16"
        noise = _apart(other, exact["fp32"][kind], 1) if half else 0.0
        figures[kind] = {
            "same steps": same_steps, "ended alike": one["ended"] == other["ended"],
            "loss": loss, "norm": norm, "loss of exact bf16 to fp32": noise,
        }  # fmt: skip
        right &= same_steps and one["ended"] == other["ended"]
        right &= loss <= (max(LOSS_HALF, 2 * noise) if half else LOSS)
        right &= norm <= (max(GRADIENT_HALF, 4 * noise) if half else 10 * GRADIENT)
    truth = exact["fp32"]["gradients"]["gradients"]
    error = _largest(ours["gradients"]["gradients"], truth)
    noise = _largest(exact[precision]["gradients"]["gradients"], truth)
    figures["gradient"] = {"error": error, "error of exact": noise}
    right &= error <= (max(GRADIENT_HALF, 2 * noise) if precision == "bf16" else GRADIENT)
    return {"ok": bool(right), **figures}


def _dropout(shared: Mapping[str, object], enabled: tuple[str, ...], steps: int) -> dict[str, Any]:
    """Seeds give the same numbers whether passes are recorded or called."""
    settings = {**shared, "train.precision": "fp32", "train.enable": list(enabled)}
    settings |= {"train.dropout": 0.1, "train.max_steps": steps, "train.log_every": 3}
    try:
        recorded = _trained(settings, poisoned=())
        called = _trained(settings, poisoned=(), records=False)
        again = _trained(settings, poisoned=())
    except Exception as error:
        return {"ok": False, "error": f"{type(error).__name__}: {error}"[:400]}
    loss = _apart(recorded, called, 1)
    same = recorded["numbers"] == again["numbers"]
    return {"ok": loss <= LOSS and same, "loss": loss, "repeats to the bit": same}


@contextmanager
def _session(settings: Mapping[str, object]) -> Iterator[Session]:
    with _static_memory_on_a_cpu(settings), tempfile.TemporaryDirectory() as folder:
        job = prepare(settings)
        with opened_session(job, RunFolder(Path(folder)), stop=StopRequest()) as session:
            yield session


@contextmanager
def _static_memory_on_a_cpu(settings: Mapping[str, object]) -> Iterator[None]:
    """Without a GPU, to try the script: passes are called where they would be recorded."""
    parts: Any = settings.get("train.enable", [])
    if settings["train.device"] != "cpu" or not {"graphs", "device_data"} & set(parts):
        yield
        return
    original = choose_engine.against_graphs
    choose_engine.against_graphs = lambda *_given, **_named: None
    try:
        yield
    finally:
        choose_engine.against_graphs = original


def _trained(
    settings: Mapping[str, object],
    *,
    poisoned: tuple[int, ...] = POISONED,
    records: bool = True,
) -> dict[str, Any]:
    """Losses and norms of a training, some of whose gradients are infinite; then three in a row."""
    with _session(settings) as session:
        engine: Any = session.engine
        if isinstance(engine, GraphedEngine) and not records:
            engine._graphs._records = False
        accumulate, last = engine.accumulate, session.job.plan.total_steps - 3

        def poisoning(batch: Any, weight: float, *, is_last: bool) -> torch.Tensor:
            step = session.progress.step
            bad = poisoned and (step in poisoned or step >= last)
            return accumulate(batch, math.inf if bad else weight, is_last=is_last)

        engine.accumulate = poisoning
        numbers, ended = [], "at its end"
        stream = train(
            engine,
            plan=session.job.plan,
            progress=session.progress,
            micro_batches=session.micro_batches,
        )
        try:
            for event in stream:
                if isinstance(event, StepDone):
                    numbers.append((event.step, event.loss, event.grad_norm))  # noqa: PERF401 - before an error, too
        except IntegrityError as error:
            ended = error.problems[0].code
        notes = [str(problem) for problem in session.take_warnings()]
        return {
            "numbers": numbers, "ended": ended,
            "uses": session.engine_facts.get("uses"), "notes": notes,
        }  # fmt: skip


def _gradients(settings: Mapping[str, object]) -> dict[str, Any]:
    """The gradient of each weight for some batches; the third pass of a graph is a replay."""
    with _session(settings) as session:
        engine: Any = session.engine
        engine.set_training(True)
        gradients: list[dict[str, torch.Tensor]] = []
        tokens = set()
        for step in range(BATCHES):
            for _turn in range(3):
                for weight in session.network.parameters():
                    if weight.grad is not None:
                        weight.grad.zero_()
                total = 0
                for _number, batch in session.micro_batches(step):
                    total += batch.num_tokens
                    engine.accumulate(batch, 1 / 8, is_last=True)
            tokens.add(-(-total // 64))
            gradients.append(
                {
                    name: weight.grad.detach().float().clone()
                    for name, weight in session.network.named_parameters()
                    if weight.grad is not None
                }
            )
        graphs = engine._graphs._graphs if isinstance(engine, GraphedEngine) else {}
        return {"gradients": gradients, "recorded": len(graphs), "buckets": len(tokens)}


def _apart(one: Mapping[str, Any], other: Mapping[str, Any], column: int) -> float:
    """The largest relative difference of losses (1) or norms (2), step by step."""
    pairs = zip(one["numbers"], other["numbers"], strict=True)
    return max(abs(a[column] - b[column]) / max(abs(b[column]), 1e-6) for a, b in pairs)


def _largest(ours: list[dict[str, torch.Tensor]], truth: list[dict[str, torch.Tensor]]) -> float:
    """The largest relative difference of a gradient, as the probe measures it."""
    worst = 0.0
    for one, exact in zip(ours, truth, strict=True):
        if one.keys() != exact.keys():
            return math.inf
        whole = math.sqrt(sum(float(g.norm()) ** 2 for g in exact.values()))
        for name, gradient in exact.items():
            size = float(gradient.norm()) + 1e-3 * whole + 1e-30
            apart = float((gradient - one[name].to(gradient.device)).norm()) / size
            worst = max(worst, apart) if math.isfinite(apart) else math.inf
    return worst
