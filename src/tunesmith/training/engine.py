"""Engines: how a step is computed. What it computes does not hang on the engine.

`exact` runs the model as it stands, padded, in the stated precision, wrapped by Accelerate: the
reference, and what ejected scripts reproduce.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import nn

from tunesmith.data.batches import Batch
from tunesmith.tasks import Outputs
from tunesmith.training.device import wrap
from tunesmith.training.memory import let_go
from tunesmith.training.optimizer import read_state, write_state

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["MAX_SKIPPED", "Engine", "ExactEngine", "ExactForward", "Forward", "Pass", "own_memory"]

MAX_SKIPPED = 3
"""So many skipped updates in a row end the run."""

Pass = Callable[[nn.Module, Batch], Outputs]
"""One pass of a task through a model."""


class Forward(Protocol):
    """How batches go through a model."""

    network: nn.Module
    """The model as it is saved."""

    def outputs(self, batch: Batch) -> Outputs:
        """One pass; the batch comes from the CPU, and the answers are in its order."""
        ...


class Engine(Forward, Protocol):
    """How a step is computed: forward, backward, update."""

    sync_every: int
    """After how many steps losses and norms are looked at: 1 for after each; more where a look
    would keep the device waiting."""

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

    def update(self, learning_rate: float) -> float | torch.Tensor:
        """Clip, update if the gradient is finite, forget the gradient; returns its norm before.

        Of an engine that is looked at later it is a tensor, on the device; and after `MAX_SKIPPED`
        gradients in a row that are not finite it skips all updates, until somebody has looked.
        """
        ...

    def discard_gradients(self) -> None:
        """Throw away the gradient so far, and the memory that torch keeps for later."""
        ...

    def total(self, value: float | torch.Tensor) -> float:
        """The sum of a number over all processes."""
        ...

    def plain_model(self) -> Any:
        """A context in which `network` holds every weight in its plain form, to be saved."""
        ...

    def state(self) -> dict[str, torch.Tensor]:
        """The optimizer's tensors by names such as "encoder.weight.exp_avg"."""
        ...

    def load_state(self, tensors: Mapping[str, torch.Tensor]) -> list[str]:
        """Put the optimizer's tensors back; returns the names that belong to no weight."""
        ...

    def begin(self, *, training: bool) -> None:
        """Switch dropout on or off."""
        ...

    def close(self) -> None:
        """Leave `network` as the plain model, for good."""
        ...


class ExactForward:
    """Padded batches through the model as it stands."""

    def __init__(self, network: nn.Module, run: Pass, accelerator: Accelerator) -> None:
        """A model on its device, in the precision of the accelerator."""
        self.network = network
        self._run = run
        self._accelerator = accelerator
        self._model: nn.Module = accelerator.prepare_model(network, evaluation_mode=True)

    def outputs(self, batch: Batch) -> Outputs:
        """One pass."""
        return self._run(self._model, batch.to(self._accelerator.device))


def own_memory(network: nn.Module) -> None:
    """Give each weight memory of its own, so that safetensors can write it.

    transformers cuts weights that a file holds fused into pieces, which then share the memory of
    the whole. Weights that are one and the same stay that.
    """
    for parameter in network.parameters():
        size = parameter.numel() * parameter.element_size()
        if parameter.untyped_storage().nbytes() != size:
            parameter.data = parameter.data.clone()


class ExactEngine(ExactForward):
    """The reference: Accelerate's backward pass and DDP, torch's clipping, AdamW."""

    sync_every = 1

    def __init__(
        self,
        network: nn.Module,
        run: Pass,
        accelerator: Accelerator,
        *,
        make_optimizer: Callable[[], torch.optim.Optimizer],
        max_grad_norm: float | None,
        has_unused: bool = False,
        sets_rates: bool = True,
    ) -> None:
        """Wrap the model for its processes.

        Args:
            network: frozen weights marked.
            run: one pass of the task.
            accelerator: device, precision, processes.
            make_optimizer: over the weights that train, called once they are on the device.
            max_grad_norm: longer gradients are shortened; None for no limit.
            has_unused: whether some trained weight gets no gradient.
            sets_rates: False where a scheduler writes learning rates into the optimizer's groups,
                which are then left alone.
        """
        own_memory(network)
        self.network = network
        self._run = run
        self._accelerator = accelerator
        self._model = wrap(accelerator, network, has_unused=has_unused)
        self._optimizer = make_optimizer()
        self._parameters = [p for group in self._optimizer.param_groups for p in group["params"]]
        self._limit = max_grad_norm or math.inf
        self._sets_rates = sets_rates

    def accumulate(self, batch: Batch, weight: float, *, is_last: bool) -> torch.Tensor:
        """Forward and backward; gradients are exchanged after the last batch."""
        accelerator = self._accelerator
        # before the last batch no process may wait for another, which the wrapper does for buffers
        model = self._model if is_last else self.network
        with nullcontext() if is_last else accelerator.no_sync(self._model):
            loss = self._run(model, batch.to(accelerator.device)).loss_sum
            assert loss is not None  # noqa: S101 - training rows have labels, the survey saw to it
            # DDP averages over processes; the product undoes it
            factor = accelerator.num_processes * weight * (not batch.is_dummy)
            accelerator.backward(loss * factor)
        return loss.detach() * (not batch.is_dummy)

    def update(self, learning_rate: float) -> float:
        """Torch's own clipping, which gives the norm, and AdamW."""
        norm = float(nn.utils.clip_grad_norm_(self._parameters, self._limit))
        if math.isfinite(norm):
            if self._sets_rates:
                for group in self._optimizer.param_groups:
                    group["lr"] = learning_rate
            self._optimizer.step()
        self._optimizer.zero_grad()
        return norm

    def discard_gradients(self) -> None:
        """Gradients, and the cache of the device."""
        self._optimizer.zero_grad()
        let_go(self._accelerator.device)

    def total(self, value: float | torch.Tensor) -> float:
        """By an all-reduce in double precision."""
        if self._accelerator.num_processes == 1:
            return float(value)
        tensor = torch.as_tensor(value, dtype=torch.float64, device=self._accelerator.device)
        summed: Any = self._accelerator.reduce(tensor, reduction="sum")
        return float(summed)

    @contextmanager
    def plain_model(self) -> Iterator[None]:
        """It is always at rest."""
        yield

    def state(self) -> dict[str, torch.Tensor]:
        """The moments and step counts of AdamW."""
        return read_state(self.network, self._optimizer)

    def load_state(self, tensors: Mapping[str, torch.Tensor]) -> list[str]:
        """Into the optimizer, in place."""
        return write_state(self.network, self._optimizer, tensors)

    def begin(self, *, training: bool) -> None:
        """On the wrapper, which hands it down."""
        self._model.train(training)

    def close(self) -> None:
        """There is nothing to take off."""
