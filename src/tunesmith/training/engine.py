"""Engines: how a step is computed. The result does not depend on the engine.

`exact` runs the unchanged model, padded, in the stated precision, wrapped by Accelerate: the
reference, and what ejected scripts reproduce.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import nn

from tunesmith.data.batches import Batch
from tunesmith.tasks import Outputs
from tunesmith.training.device import widest_float, wrap
from tunesmith.training.memory import release_memory
from tunesmith.training.optimizer import read_state, write_state

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = [
    "MAX_SKIPPED",
    "Engine",
    "ExactEngine",
    "ExactForward",
    "FinishedStep",
    "Forward",
    "MicroBatch",
    "Pass",
    "Step",
    "own_memory",
    "sum_over_ranks",
]

MAX_SKIPPED = 3
"""So many skipped updates in a row end the run."""

Pass = Callable[[nn.Module, Batch], Outputs]
"""One pass of a task through a model."""

MicroBatch = tuple[int, Batch]
"""The number of a micro-batch in its step, over all processes, and its tensors."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step whose gradient is complete.

    Attributes:
        number: steps done, this one included.
        batches: of this process.
        targets: how many, over all processes; 1 for none.
        loss_sum: the summed loss of this process, a scalar of `Engine.sum_type` on the device.
    """

    number: int
    batches: Sequence[MicroBatch]
    targets: float
    loss_sum: torch.Tensor


FinishedStep = tuple[Step, float, float]
"""A step, its summed loss over all processes, and the L2 norm of its gradient before clipping."""


class Forward(Protocol):
    """How batches go through a model."""

    network: nn.Module
    """The model as it is saved."""

    def outputs(self, batch: Batch) -> Outputs:
        """Run one pass over a batch from the CPU; outputs are in the order of its examples."""
        ...

    def plain_model(self) -> AbstractContextManager[None]:
        """Return a context in which `network` is the plain model with all its weights."""
        ...


class Engine(Forward, Protocol):
    """How a step is computed: forward, backward, update."""

    accelerator: Accelerator
    """Its device, and the processes that share each step."""

    sum_type: torch.dtype
    """In which losses are added: double precision, single where the device has no other."""

    optimizer: torch.optim.Optimizer
    """Its groups hold the learning rates of the next update."""

    def accumulate(self, batch: Batch, weight: float, *, is_last: bool) -> torch.Tensor:
        """Add the gradient of `weight` times the summed loss of a batch.

        Args:
            batch: of this process, on the CPU.
            weight: one over the targets of the whole step.
            is_last: whether the step has no more batches on this process.

        Returns:
            The summed loss, a scalar without gradient; zero for a batch that does not count.
        """
        ...

    def update(self, step: Step, *, wait: bool) -> Sequence[FinishedStep]:
        """Clip, update if the gradient is finite, discard the gradient.

        An engine may return nothing while its device is busy, and several steps later. After
        `MAX_SKIPPED` gradients in a row that are not finite it then skips all updates until it has
        returned.

        Args:
            step: whose gradient this is.
            wait: whether to return every step so far.

        Returns:
            The steps that are finished and were not returned before, in order.
        """
        ...

    def discard_gradients(self) -> None:
        """Discard the gradient so far, and the memory that torch caches."""
        ...

    def state(self) -> dict[str, torch.Tensor]:
        """Return the optimizer's tensors by names such as "encoder.weight.exp_avg"."""
        ...

    def load_state(self, tensors: Mapping[str, torch.Tensor]) -> list[str]:
        """Restore the optimizer's tensors; return the names that belong to no weight."""
        ...

    def set_training(self, training: bool) -> None:
        """Switch dropout on or off."""
        ...

    def close(self) -> None:
        """Leave `network` as the plain model, for good."""
        ...


class ExactForward:
    """Padded batches through the unchanged model."""

    def __init__(self, network: nn.Module, run: Pass, accelerator: Accelerator) -> None:
        """Take a model on its device; the precision is that of the accelerator."""
        self.network = network
        self._run = run
        self.accelerator = accelerator
        self._model: nn.Module = accelerator.prepare_model(network, evaluation_mode=True)

    def outputs(self, batch: Batch) -> Outputs:
        """Run one pass."""
        return self._run(self._model, batch.to(self.accelerator.device))

    @contextmanager
    def plain_model(self) -> Iterator[None]:
        """Do nothing: the model is always plain."""
        yield


def own_memory(network: nn.Module) -> None:
    """Give each weight memory of its own, so that safetensors can write it.

    transformers splits weights that a file holds fused; the parts then share the memory of the
    whole. Tied weights stay tied.
    """
    for parameter in network.parameters():
        size = parameter.numel() * parameter.element_size()
        if parameter.untyped_storage().nbytes() != size:
            parameter.data = parameter.data.clone()


def sum_over_ranks(accelerator: Accelerator, value: float | torch.Tensor) -> float:
    """Return the sum of a number over all processes, by an all-reduce in double precision."""
    if accelerator.num_processes == 1:
        return float(value)
    tensor = torch.as_tensor(value, dtype=torch.float64, device=accelerator.device)
    return float(accelerator.reduce(tensor, reduction="sum"))


class ExactEngine(ExactForward):
    """The reference: Accelerate's backward pass and DDP, torch's clipping, AdamW."""

    def __init__(
        self,
        network: nn.Module,
        run: Pass,
        accelerator: Accelerator,
        *,
        make_optimizer: Callable[[], torch.optim.Optimizer],
        max_grad_norm: float | None,
        has_unused: bool = False,
    ) -> None:
        """Wrap the model for its processes.

        Args:
            network: frozen weights marked.
            run: one pass of the task.
            accelerator: device, precision, processes.
            make_optimizer: over the weights that train, called once they are on the device.
            max_grad_norm: longer gradients are shortened; None for no limit.
            has_unused: whether some trained weight gets no gradient.
        """
        own_memory(network)
        self.network = network
        self._run = run
        self.accelerator = accelerator
        self.sum_type = widest_float(accelerator.device)
        self._model = wrap(accelerator, network, has_unused=has_unused)
        self.optimizer = make_optimizer()
        self._parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self._max_grad_norm = max_grad_norm or math.inf

    def outputs(self, batch: Batch) -> Outputs:
        """Run one pass; DDP would exchange buffers in it, with a process that may have stopped."""
        return self._run(self.network, batch.to(self.accelerator.device))

    def accumulate(self, batch: Batch, weight: float, *, is_last: bool) -> torch.Tensor:
        """Run forward and backward; gradients are exchanged after the last batch."""
        accelerator = self.accelerator
        # before the last batch no process may wait for another, as DDP does for buffers
        model = self._model if is_last else self.network
        with nullcontext() if is_last else accelerator.no_sync(self._model):
            loss = self._run(model, batch.to(accelerator.device)).loss_sum
            assert loss is not None  # noqa: S101 - training rows have labels, the survey saw to it
            # DDP averages over processes; the product undoes it
            accelerator.backward(loss * (accelerator.num_processes * weight * (not batch.is_dummy)))
        return loss.detach() * (not batch.is_dummy)

    def update(self, step: Step, *, wait: bool) -> list[FinishedStep]:
        """Clip and update; the step is finished at once."""
        norm = float(nn.utils.clip_grad_norm_(self._parameters, self._max_grad_norm))
        if math.isfinite(norm):
            self.optimizer.step()
        self.optimizer.zero_grad()
        return [(step, sum_over_ranks(self.accelerator, step.loss_sum), norm)]

    def discard_gradients(self) -> None:
        """Discard gradients, and the cache of the device."""
        self.optimizer.zero_grad()
        release_memory(self.accelerator.device)

    def state(self) -> dict[str, torch.Tensor]:
        """Return the moments and step counts of AdamW."""
        return read_state(self.network, self.optimizer)

    def load_state(self, tensors: Mapping[str, torch.Tensor]) -> list[str]:
        """Restore the optimizer in place."""
        return write_state(self.network, self.optimizer, tensors)

    def set_training(self, training: bool) -> None:
        """Switch the mode of the wrapped model."""
        self._model.train(training)

    def close(self) -> None:
        """Do nothing: the model is plain already."""
