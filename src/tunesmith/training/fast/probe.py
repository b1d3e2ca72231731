"""The probe: before training, the fast way is compared with the exact one on the user's own rows.

Dropout is off and everything is float32. Outputs and every gradient must agree; where they do not,
the next way is tried, and the last of them is the exact one itself.

A gradient whose parts nearly cancel, as of choices that are read alike, is mostly rounding in
float32. So where only gradients differ, both ways are computed in float64 too: see `_is_rounding`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tunesmith.data.batches import Batch
from tunesmith.tasks import Outputs
from tunesmith.training.fast.packed_model import Exit, PackedLayout, can_fuse, exits_of
from tunesmith.training.fast.packing import in_parts, widened
from tunesmith.training.fast.ragged_attention import Kernels
from tunesmith.training.memory import installed_bytes, is_out_of_memory

__all__ = ["AS_EXACT", "OUTPUTS_AGREE", "ProbeResult", "difference", "probe", "probed_places"]

OUTPUTS_AGREE = 1e-5
GRADIENTS_AGREE = 1e-4
_DOUBLES_AGREE = 1e-7
AS_EXACT = 4.0
"""How many times the rounding of the exact way a fast way may have."""
_BYTES_PER_WEIGHT = 40
"""Of two passes in float64 next to two in float32: weights and gradients."""
_REFUSALS = (
    RuntimeError, ValueError, TypeError, AttributeError, IndexError, KeyError, AssertionError,
)  # fmt: skip
"""How models say that they cannot run packed."""

Pass = Callable[[nn.Module, Batch], Outputs]
Found = tuple[list[torch.Tensor], dict[str, torch.Tensor]]
Way = Callable[[nn.Module], Found]
"""Computes outputs and gradients with a model."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """How a model runs fast.

    Attributes:
        exit: how packs leave the model; None if it cannot run packed.
        by_length: whether a batch may be taken in parts of nearly equal length instead.
        reason: as text, for the log.
        kernels: torch's own for ragged attention, if they may be used; None for groups.
        kernel_refusal: why they may not, as text; empty where they were not tried.
        fuses: whether layers are computed as one function each.
        fuse_refusal: why they are not although the model has such layers, as text.
    """

    exit: Exit | None
    by_length: bool
    reason: str
    kernels: Kernels | None = None
    kernel_refusal: str = ""
    fuses: bool = False
    fuse_refusal: str = ""


def probe(
    network: Any,
    run: Pass,
    batch: Batch,
    device: torch.device,
    *,
    trains: bool = True,
    disabled: frozenset[str] = frozenset(),
) -> ProbeResult:
    """Find the fastest way that agrees with the exact one; the model is left as it was.

    Args:
        network: in float32, on its device.
        run: one pass of the task.
        batch: a few rows, padded, on the CPU; labeled if `trains`.
        device: of the model.
        trains: whether gradients must agree, too.
        disabled: "packing", "last_layer", "layers" or "varlen" for ways not to try.
    """
    if "packing" in disabled:
        return ProbeResult(None, by_length=False, reason="packing is switched off")
    training = network.training
    network.eval()
    try:
        exact = _Exact(network, partial(_padded, run=run, batch=batch, trains=trains), trains)
        tried, fuse_refusal = [], ""
        exits = exits_of(network)
        fuses = False
        if exits and "layers" not in disabled:
            fuses, fuse_refusal = can_fuse(network, device)
        for name in exits:
            if "last_layer" in disabled and name == "first token, last layer cut":
                continue
            kernel_refusal = ""
            for kernels, fused in _ways_to_try(device, fuses, disabled):
                way = partial(
                    _packed, name=name, kernels=kernels, fuses=fused,
                    run=run, batch=batch, trains=trains,
                )  # fmt: skip
                text, agrees = exact.compare(way)
                if agrees:
                    return ProbeResult(
                        name, False, text, kernels, kernel_refusal, fused, fuse_refusal
                    )
                if fused:
                    fuse_refusal = text
                else:
                    kernel_refusal = text
            tried.append(f"{name}: {text}")
        reason = "; ".join(tried) or "its attention does not go through transformers' interface"
        if trains:
            _text, same = exact.compare(partial(_in_parts, run=run, batch=batch))
            return ProbeResult(None, same, reason)
        return ProbeResult(None, by_length=False, reason=reason)
    finally:
        network.train(training)
        if trains:
            network.zero_grad(set_to_none=True)


def probed_places(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """A few examples of different lengths to compare engines on, none of them among the longest."""
    order = np.argsort(lengths, kind="stable")
    return np.unique(order[np.linspace(0, 0.6 * (len(order) - 1), 6).astype(np.int64)])


def _ways_to_try(
    device: torch.device, fuses: bool, disabled: frozenset[str]
) -> list[tuple[Kernels | None, bool]]:
    """On a GPU torch's own kernels first; on a CPU, where they are not, fused layers."""
    if device.type == "cuda" and "varlen" not in disabled:
        return [(Kernels(), False), (None, False)]
    return [(None, True), (None, False)] if fuses else [(None, False)]


def _padded(network: nn.Module, *, run: Pass, batch: Batch, trains: bool) -> Found:
    return _measure(network, lambda: [run(network, batch.to(_device(network)))], trains=trains)


def _packed(
    network: nn.Module,
    *,
    name: Exit,
    kernels: Kernels | None,
    fuses: bool,
    run: Pass,
    batch: Batch,
    trains: bool,
) -> Found:
    layout = PackedLayout(network, name, kernels, fuses=fuses)
    with ExitStack() as stack:
        layout.enter(stack)
        measured = _measure(
            network, lambda: [layout.run(run, batch, _device(network))], trains=trains
        )
    if layout.ignores_window:  # longer rows than these few would see too much
        raise ValueError("its sliding window is hidden in its mask")
    return measured


def _in_parts(network: nn.Module, *, run: Pass, batch: Batch) -> Found:
    """Compute a batch in parts of nearly equal length; of its outputs the loss alone."""
    pad_id = getattr(network.config, "pad_token_id", None) or 0
    parts = [widened(part, 3, pad_id).to(_device(network)) for part in in_parts(batch)]
    measured = _measure(network, lambda: [run(network, part) for part in parts], trains=True)
    return measured[0][:1], measured[1]


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device


class _Exact:
    """The exact way, which others are compared with."""

    def __init__(self, network: nn.Module, way: Way, trains: bool) -> None:
        self._network, self._way, self._trains = network, way, trains
        self._single = way(network)

    def compare(self, way: Way) -> tuple[str, bool]:
        """Return how far off a way is, as text, and whether that is near enough."""
        try:
            fast = way(self._network)
        except _REFUSALS as error:
            if is_out_of_memory(error):
                raise
            return (str(error) or type(error).__name__).splitlines()[0], False
        outputs, gradients = difference(_like(fast, self._single), fast)
        text = f"off by {outputs:.1e} in outputs, {gradients:.1e} in gradients"
        if outputs >= OUTPUTS_AGREE or not math.isfinite(gradients):
            return text, False
        if gradients < GRADIENTS_AGREE:
            return text, True
        in_double, is_rounding = self._is_rounding(way, fast)
        return f"{text} ({in_double})", is_rounding

    def _is_rounding(self, way: Way, fast: Found) -> tuple[str, bool]:
        """Return what float64 says of a way whose gradients differ in float32.

        It is as good as the exact one if the two agree in float64, which a fault of any size that
        matters prevents, and if its rounding in float32 is of the size of the exact one's.
        """
        try:
            if self._double is None:
                return "float64 needs more memory", False
            network, exact = self._double
            exact = _like(fast, exact)
            same = max(difference(exact, way(network)))
        except (MemoryError, *_REFUSALS) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            return f"in float64: {reason}", False
        own, others = (difference(exact, one)[1] for one in (_like(fast, self._single), fast))
        text = f"{same:.1e} in float64; rounding {others:.1e}, of the exact way {own:.1e}"
        return text, same < _DOUBLES_AGREE and others <= AS_EXACT * own

    @cached_property
    def _double(self) -> tuple[nn.Module, Found] | None:
        """A copy of the model in float64 and what it computes; None without memory for it."""
        weights = sum(p.numel() for p in self._network.parameters())
        if weights * _BYTES_PER_WEIGHT > installed_bytes(_device(self._network)) / 4:
            return None
        network = copy.deepcopy(self._network).double()
        return network, self._way(network)


def _like(fast: Found, exact: Found) -> Found:
    """The exact results without outputs that a way lacks: parts have only the loss."""
    return exact[0][: len(fast[0])], exact[1]


def _measure(network: nn.Module, run: Callable[[], list[Outputs]], *, trains: bool) -> Found:
    """The loss, what is kept of each row, and gradients; of parts the loss alone is complete."""
    if not trains:
        with torch.inference_mode():
            return [tensor.float() for one in run() for tensor in one.tensors().values()], {}
    network.zero_grad(set_to_none=True)
    passes = run()
    losses = [outputs.loss_sum for outputs in passes if outputs.loss_sum is not None]
    loss = torch.stack(losses).sum()
    torch.autograd.backward([loss])
    tensors = [tensor.detach().float() for one in passes for tensor in one.tensors().values()]
    gradients = {
        name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None
    }
    return [loss.detach(), *tensors], gradients


def difference(exact: Found, other: Found) -> tuple[float, float]:
    """The largest relative differences of outputs and of gradients.

    A gradient that ought to be zero, such as that of a key's bias, is rounding on both sides: each
    is compared with its own size and a small part of the whole gradient.
    """
    outputs = 0.0
    for one, two in zip(exact[0], other[0], strict=True):
        if one.shape != two.shape:
            return float("inf"), float("inf")
        largest = max(float(one.abs().max()), 1e-6)
        outputs = _larger(outputs, float((one - two).abs().max()) / largest)
    if exact[1].keys() != other[1].keys():
        return outputs, float("inf")
    whole = sum(float(g.norm()) ** 2 for g in exact[1].values()) ** 0.5
    gradients = 0.0
    for name, g in exact[1].items():
        size = float(g.norm()) + 1e-3 * whole + 1e-30
        gradients = _larger(gradients, float((g - other[1][name]).norm()) / size)
    return outputs, gradients


def _larger(one: float, other: float) -> float:
    """The larger of two differences; one that is no number is larger than any."""
    return max(one, other) if math.isfinite(other) else math.inf
