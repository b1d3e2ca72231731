"""What a step costs at least: its products at this machine's rate, its updates at its bandwidth.

Only real tokens count, never padding. The time of a step over this limit is how much of it goes
into anything else.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

__all__ = ["Machine", "Work", "measure_machine", "work_of"]


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
    """What one step does.

    Attributes:
        flops: of all products, forward and backward.
        bytes: read and written by the update and the embeddings.
    """

    flops: float
    bytes: float

    def seconds(self, machine: Machine) -> float:
        """The limit: products, then memory traffic, one after the other."""
        return self.flops / machine.flops + self.bytes / machine.bytes


def work_of(
    network: Any,
    lengths: Sequence[int],
    *,
    updated: int,
    table_rows: int,
    cuts_last_layer: bool = False,
    half: bool = False,
) -> Work:
    """The work of one step.

    Args:
        network: a transformers model.
        lengths: real tokens of each row of the step.
        updated: weights that the optimizer changes.
        table_rows: rows of the embedding table that is trained.
        cuts_last_layer: whether the last layer is computed for first tokens only.
        half: whether copies of the weights are refreshed.
    """
    config = network.config
    tokens, squares, rows = sum(lengths), sum(n * n for n in lengths), len(lengths)
    stack = _linear_weights(network.base_model)
    layers = int(config.num_hidden_layers)
    width = int(config.hidden_size)
    inside = sum(count for name, count in stack.items() if _in_layer(name))
    head = sum(_linear_weights(network).values()) - inside
    flops = 6.0 * tokens * inside + 12.0 * layers * width * squares + 6.0 * rows * head
    if cuts_last_layer:
        flops -= 6.0 * (tokens - rows) * _behind_last_attention(stack, layers)
    traffic = 32.0 * updated + 4.0 * table_rows * width + 8.0 * tokens * width
    if half:
        traffic += 2.0 * inside
    return Work(flops, traffic)


def _linear_weights(network: nn.Module) -> dict[str, int]:
    return {
        name: module.weight.numel()
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear)
    }


def _in_layer(name: str) -> bool:
    """Whether a weight belongs to one of the layers: their names hold its number."""
    return any(part.isdigit() for part in name.split("."))


def _behind_last_attention(stack: dict[str, int], layers: int) -> int:
    last = f".{layers - 1}."
    inputs = (".query", ".key", ".value")
    return sum(c for name, c in stack.items() if last in name and not name.endswith(inputs))


def measure_machine(network: Any, tokens: int, dtype: torch.dtype) -> Machine:
    """Time products of the widest layer, and updates by AdamW, for about a second."""
    device = next(network.parameters()).device
    shapes = [tuple(m.weight.shape) for m in network.modules() if isinstance(m, nn.Linear)]
    out, into = max(shapes, key=lambda shape: shape[0] * shape[1])
    rows = torch.randn(max(tokens, 256), into, device=device, dtype=dtype)
    weight = torch.randn(out, into, device=device, dtype=dtype)
    product = _best(lambda: nn.functional.linear(rows, weight), device)
    count = 4_000_000
    parameter = nn.Parameter(torch.zeros(count, device=device))
    parameter.grad = torch.ones_like(parameter)
    optimizer = torch.optim.AdamW([parameter], fused=True)
    update = _best(optimizer.step, device)
    return Machine(2.0 * rows.shape[0] * into * out / product, 28.0 * count / update)


def _best(call: Any, device: torch.device, seconds: float = 0.5) -> float:
    """The shortest time of a call, of as many as fit."""
    best, stop = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < stop:
        started = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return best
