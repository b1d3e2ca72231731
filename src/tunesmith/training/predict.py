"""Predictions of a model: batches by length, each example once, answers in their own order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from tunesmith.data.batches import Batch, Examples, Padding, by_length, make_batch
from tunesmith.data.encoded import Ragged
from tunesmith.tasks import EVALUATION_SEED, Outputs, Predictions, Task
from tunesmith.training.engine import Forward
from tunesmith.training.memory import OneRowTooLarge, is_out_of_memory, release_memory
from tunesmith.training.streams import Streams

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["Evaluation", "predict"]

_TOKENS, _TOKENS_ON_CPU = 32_768, 2_048
"""Tokens per forward pass: enough to keep the device busy, few enough to stay in its caches."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Predictions and their loss.

    Attributes:
        predictions: what the task collects, in the order of the examples; of rows, once joined.
        loss: the mean over all targets; None without labels.
        num_targets: how many these were.
        halvings: how often memory halved what goes through at once.
    """

    predictions: Predictions
    loss: float | None
    num_targets: int
    halvings: int = 0


def predict(
    forward: Forward,
    task: Task,
    examples: Examples,
    padding: Padding,
    *,
    batch_size: int | None = None,
    halvings: int = 0,
    accelerator: Accelerator,
    between: Callable[[], None] | None = None,
    before_gather: Callable[[], None] | None = None,
    several: bool = False,
) -> Evaluation:
    """Run the model over all examples, shared among the processes.

    Args:
        forward: takes batches through the model, which is left in evaluation mode.
        task: makes random changes, the same in each evaluation, and runs one pass.
        examples: what to predict.
        padding: how to fill batches.
        batch_size: the most examples per forward pass and process; None for as many as their
            tokens allow.
        halvings: how often to halve either beforehand.
        accelerator: which process this is, and how to gather.
        between: called before every batch, so that a long evaluation can be stopped.
        before_gather: called after the last one, before several processes exchange what they have.
        several: whether several batches may go through `forward` at once, on a CPU.

    Raises:
        OneRowTooLarge: memory does not suffice for a single example.
    """
    forward.network.eval()
    budget = _TOKENS_ON_CPU if accelerator.device.type == "cpu" else _TOKENS
    cut = _Cut(examples.lengths, batch_size, budget, halvings, accelerator.device)
    batches = cut(np.arange(len(examples)))
    mine = batches[accelerator.process_index :: accelerator.num_processes]
    idle = not mine  # more processes than batches: run one for its shapes, keep none of it

    def batch_of(places: NDArray[np.int64]) -> Batch:
        if between is not None:
            between()
        return task.corrupt(make_batch(examples, places, padding), seed=EVALUATION_SEED)

    def generate(batch: Batch) -> Outputs:
        return task.generate(forward.network, batch.to(accelerator.device))

    assigned = mine or [batches[0][:1]]
    collected = _Collected(sum(map(len, assigned)))
    with torch.inference_mode():
        with Streams.start(several=several, batches=len(assigned)) as streams:
            for batch, outputs in _passes(forward.outputs, assigned, batch_of, cut, streams):
                collected.add(batch, outputs)
        if task.generates:
            with forward.plain_model():
                for batch, outputs in _passes(generate, assigned, batch_of, cut, Streams(None, 1)):
                    collected.add_ragged(batch, outputs)
    if idle:
        collected.clear()
    halvings = cut.halvings
    if accelerator.num_processes > 1:
        if before_gather is not None:
            before_gather()
        halvings = collected.gather(accelerator, halvings)
    targets = collected.num_targets
    return Evaluation(
        collected.in_order(), collected.loss / targets if targets else None, targets, halvings
    )


class _Collected:
    """What evaluation collects, in the order in which batches come."""

    def __init__(self, count: int) -> None:
        """Make room for so many examples.

        Small pieces kept from each pass would be between the large ones that it frees, and the next
        pass, of another size, would find no room there.
        """
        self.loss, self.num_targets = 0.0, 0
        self._filled = 0
        self._places = np.empty(count, dtype=np.int64)
        self._fixed: dict[str, NDArray[Any]] = {}
        self._ragged: dict[str, list[tuple[NDArray[np.int64], NDArray[Any]]]] = {}

    def add(self, batch: Batch, outputs: Outputs) -> None:
        """Add one pass."""
        part = slice(self._filled, self._filled + len(batch.examples))
        self._filled = part.stop
        self._places[part] = batch.examples
        if outputs.loss_sum is not None:
            self.loss += float(outputs.loss_sum)
            self.num_targets += batch.num_targets
        for name, tensor in outputs.per_example.items():
            values = _as_array(tensor)
            if name not in self._fixed:
                shape = (len(self._places), *values.shape[1:])
                self._fixed[name] = np.empty(shape, values.dtype)
            self._fixed[name][part] = values
        self.add_ragged(batch, outputs)

    def add_ragged(self, batch: Batch, outputs: Outputs) -> None:
        """Add what differs in length, of examples that were or will be added."""
        for name, (example, tensor) in outputs.ragged.items():
            places = batch.examples[example.cpu().numpy()]
            self._ragged.setdefault(name, []).append((places, _as_array(tensor)))

    def clear(self) -> None:
        """Drop all values; names, shapes and types stay."""
        self.loss, self.num_targets = 0.0, 0
        self._places = self._places[:0]
        self._fixed = {name: values[:0] for name, values in self._fixed.items()}
        self._ragged = {
            name: [(places[:0], values[:0]) for places, values in parts]
            for name, parts in self._ragged.items()
        }

    def gather(self, accelerator: Accelerator, halvings: int) -> int:
        """Collect from all processes; returns the highest `halvings` of any."""
        self._join_parts()
        arrays = [self._places, *self._fixed.values()]
        arrays += [array for parts in self._ragged.values() for array in parts[0]]
        numbers = [self.loss, self.num_targets, halvings]
        arrays, table = _gather(arrays, numbers, accelerator)
        self.loss, self.num_targets = float(table[:, 0].sum()), int(table[:, 1].sum())
        rest = iter(arrays)
        self._places = next(rest)
        self._fixed = {name: next(rest) for name in self._fixed}
        self._ragged = {name: [(next(rest), next(rest))] for name in self._ragged}
        return int(table[:, 2].max())  # all cut alike the next time, or rows would be lost

    def _join_parts(self) -> None:
        self._ragged = {
            name: [(np.concatenate([p for p, _v in parts]), np.concatenate([v for _p, v in parts]))]
            for name, parts in self._ragged.items()
        }

    def in_order(self) -> Predictions:
        """Return it in the order of the examples."""
        self._join_parts()
        order = np.argsort(self._places)
        predictions: dict[str, Any] = {name: values[order] for name, values in self._fixed.items()}
        for name, ((places, values),) in self._ragged.items():
            lengths = np.bincount(places, minlength=len(order))
            predictions[name] = Ragged(values[np.argsort(places, kind="stable")], lengths)
        return predictions


def _as_array(tensor: torch.Tensor) -> NDArray[Any]:
    """Return a tensor as an array, numbers in single precision."""
    values: NDArray[Any] = (tensor.float() if tensor.is_floating_point() else tensor).cpu().numpy()
    return values


@dataclass
class _Cut:
    """Cuts places into batches, the longest first, as large as memory has allowed so far."""

    lengths: NDArray[np.int64]
    batch_size: int | None
    max_tokens: int
    halvings: int
    device: torch.device

    def __call__(self, places: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        rows = max(1, self.batch_size >> self.halvings) if self.batch_size else None
        parts = by_length(self.lengths[places], rows, max_tokens=self.max_tokens >> self.halvings)
        return [places[part] for part in parts]


def _passes(
    run: Callable[[Batch], Outputs],
    batches: Sequence[NDArray[np.int64]],
    batch_of: Callable[[NDArray[np.int64]], Batch],
    cut: _Cut,
    streams: Streams,
) -> Iterator[tuple[Batch, Outputs]]:
    """Each batch with what comes of it; where memory does not suffice, the rest is cut smaller."""
    while batches:
        failed: list[Batch] = []
        waiting = iter(batches)
        made = (batch_of(places) for places in _until(waiting, failed))
        for batch, outputs in streams.map(lambda batch: _attempt(run, batch), made):
            if outputs is not None:
                yield batch, outputs
            else:
                failed.append(batch)
        if not failed:
            return
        release_memory(cut.device)
        for batch in failed:
            if len(batch.examples) == 1:
                raise OneRowTooLarge.of_batch(batch)
        cut.halvings += 1
        batches = cut(np.concatenate([*(batch.examples for batch in failed), *waiting]))


def _until(
    batches: Iterator[NDArray[np.int64]], failed: Sequence[Batch]
) -> Iterator[NDArray[np.int64]]:
    """Take batches until one has failed."""
    while not failed:
        places = next(batches, None)
        if places is None:
            return
        yield places


def _attempt(run: Callable[[Batch], Outputs], batch: Batch) -> Outputs | None:
    """Run one pass, in any thread; return None if memory does not suffice."""
    try:
        with torch.inference_mode():
            return run(batch)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    return None


def _gather(
    arrays: Sequence[NDArray[Any]], numbers: Sequence[float], accelerator: Accelerator
) -> tuple[list[NDArray[Any]], NDArray[np.float64]]:
    """Concatenate arrays over all processes, and return the numbers of each process as a row.

    The arrays of processes differ in length: each is filled up to the longest, and cut again.
    """
    device = accelerator.device
    mine = torch.tensor([*numbers, *map(len, arrays)], dtype=torch.float64, device=device)
    table = accelerator.gather(mine).reshape(-1, len(mine)).cpu().numpy()
    gathered = []
    for array, lengths in zip(arrays, table.T[len(numbers) :].astype(int).tolist(), strict=True):
        longest = max(lengths)
        filled = np.zeros((longest, *array.shape[1:]), dtype=array.dtype)
        filled[: len(array)] = array
        everyone = accelerator.gather(torch.from_numpy(filled).to(device)).cpu().numpy()
        parts = [everyone[i * longest : i * longest + n] for i, n in enumerate(lengths)]
        gathered.append(np.concatenate(parts))
    return gathered, table[:, : len(numbers)]
