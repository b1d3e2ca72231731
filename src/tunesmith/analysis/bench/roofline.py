"""The least time of a step: its products at this machine's rate, its updates at its bandwidth.

Padding does not count. The time of a step over this limit is spent on anything else. Products are
not read from the names of layers but counted during a forward pass of the plain model, where a
shared layer is called more than once.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from tunesmith.data.batches import Batch
from tunesmith.training.engine import Pass
from tunesmith.training.fast.neighbors import Reading, Window, read

__all__ = [
    "MOST_OTHERS", "Machine", "Products", "Work", "measure_machine", "others_since",
    "processor_speed", "products_of", "work_of",
]  # fmt: skip

MOST_OTHERS = 0.25
"""CPUs that other processes may use while something is measured."""

_LINEAR = (nn.Linear, Conv1D)
"""Layers that are one product with a matrix; `Conv1D` is that of GPT-2."""

_UPDATE_BYTES = 28.0
"""AdamW reads a weight, its gradient and two moments, and writes all but the gradient."""


@dataclass(frozen=True, slots=True)
class Machine:
    """How fast this machine is.

    Attributes:
        flops: floating-point operations a second in products of the model's own shapes.
        bytes: memory traffic of an AdamW update, bytes a second.
    """

    flops: float
    bytes: float


@dataclass(frozen=True, slots=True)
class Work:
    """The work of one step.

    Attributes:
        flops: of all products, forward and backward.
        bytes: read and written by the update and the embeddings.
    """

    flops: float
    bytes: float

    def seconds(self, machine: Machine) -> float:
        """Return the limit: products, then memory traffic, one after the other."""
        return self.flops / machine.flops + self.bytes / machine.bytes


@dataclass(frozen=True, slots=True)
class Products:
    """Multiplications by weights in one forward pass.

    Attributes:
        of_token: for each token.
        of_row: for each row, mostly of the head.
        behind: for each token, after the attention of the last layer.
    """

    of_token: int
    of_row: int
    behind: int = 0


def products_of(network: Any, run: Pass, batch: Batch) -> Products | None:
    """Count the products of a forward pass.

    None if their number follows neither from tokens nor from rows, or if weights other than those
    of linear layers are multiplied.

    Args:
        network: the plain model, on its device.
        run: one pass of the task.
        batch: rows of two tokens or more.
    """
    rows, longest = batch.inputs["input_ids"].shape
    layers = int(network.config.num_hidden_layers)
    counts = {rows * longest: 0, rows: 0}
    before: list[int] = []
    has_others = False

    def called(module: Any, _inputs: Any, output: torch.Tensor) -> None:
        nonlocal has_others
        places = output.numel() // output.shape[-1]
        if places in counts:
            counts[places] += module.weight.numel()
        else:
            has_others = True

    with ExitStack() as hooks:
        for name, module in network.named_modules():
            if isinstance(module, _LINEAR):
                hooks.callback(module.register_forward_hook(called).remove)
            elif not isinstance(module, nn.Embedding):
                has_others |= any(w.ndim > 1 for w in module.parameters(recurse=False))
            if f".{name}".endswith(f".layer.{layers - 1}.attention.output"):
                # where `fast.layout` cuts the last layer
                hook = module.register_forward_pre_hook(
                    lambda *_called: before.append(counts[rows * longest])
                )
                hooks.callback(hook.remove)
        trains = network.training
        hooks.callback(network.train, trains)
        network.eval()
        with torch.no_grad():
            run(network, batch.to(next(network.parameters()).device))
    if has_others or len(counts) < 2:
        return None
    of_token = counts[rows * longest]
    return Products(of_token, counts[rows], of_token - before[-1] if before else 0)


def work_of(
    network: Any,
    products: Products,
    lengths: Sequence[int],
    *,
    updated: int,
    table_rows: int,
    cuts_last_layer: bool = False,
    half: bool = False,
) -> Work:
    """Return the work of one step.

    Args:
        network: a transformers model.
        products: of one pass through it.
        lengths: real tokens of each row of the step.
        updated: weights that the optimizer changes.
        table_rows: rows of the trained embedding table.
        cuts_last_layer: whether the last layer is computed for first tokens alone.
        half: whether bfloat16 copies of linear layers are updated.
    """
    config = network.config
    tokens, squares, rows = sum(lengths), sum(n * n for n in lengths), len(lengths)
    layers = int(config.num_hidden_layers)
    width = int(config.hidden_size)
    attention = 12.0 * layers * width * squares
    flops = 6.0 * tokens * products.of_token + attention + 6.0 * rows * products.of_row
    if cuts_last_layer:
        flops -= 6.0 * (tokens - rows) * products.behind
    traffic = _UPDATE_BYTES * updated + 4.0 * table_rows * width + 8.0 * tokens * width
    if half:
        traffic += 2.0 * sum(m.weight.numel() for m in network.modules() if type(m) is nn.Linear)
    return Work(flops, traffic)


def measure_machine(network: Any, tokens: int, dtype: torch.dtype) -> Machine:
    """Measure products of the widest layer, and updates by AdamW, for about a second.

    It is measured again, twice at most, if other processes used the CPUs meanwhile.
    """
    device = next(network.parameters()).device
    layers = [module for module in network.modules() if isinstance(module, _LINEAR)]
    widest: Any = max(layers, key=lambda layer: layer.weight.numel())
    out, into = widest.weight.t().shape if isinstance(widest, Conv1D) else widest.weight.shape
    rows = torch.randn(max(tokens, 256), into, device=device, dtype=dtype)
    weight = torch.randn(out, into, device=device, dtype=dtype)
    count = 4_000_000
    parameter = nn.Parameter(torch.zeros(count, device=device))
    parameter.grad = torch.ones_like(parameter)
    optimizer = torch.optim.AdamW([parameter], fused=True)
    product = update = float("inf")
    for _try in range(3):
        before = read(None)
        product = min(product, _best(lambda: nn.functional.linear(rows, weight), device))
        update = min(update, _best(optimizer.step, device))
        if others_since(before) <= MOST_OTHERS:
            break
    return Machine(2.0 * rows.shape[0] * into * out / product, _UPDATE_BYTES * count / update)


def processor_speed(seconds: float = 0.02) -> float:
    """Return how often a CPU computes the same digest in a second, at best.

    It needs no second thread: where the threads of a new team run, on one CPU or on several, is up
    to the system, and says nothing about the load.
    """
    block, best = bytes(1 << 14), float("inf")
    stop = time.perf_counter() + seconds
    while (started := time.perf_counter()) < stop:
        hashlib.sha256(block).digest()
        best = min(best, time.perf_counter() - started)
    return 1 / best


def others_since(before: Reading | None) -> float:
    """Return the CPUs that other processes have used since then; 0 where that is not known."""
    now = read(None)
    if before is None or now is None:
        return 0.0
    return Window.between(before, now, threads=1).others


def _best(call: Any, device: torch.device, seconds: float = 0.5) -> float:
    """Return the shortest time of the calls that fit into some seconds."""
    best, stop = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < stop:
        started = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return best
