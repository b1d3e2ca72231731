"""Predictions of a model: batches by length, each example once, answers in their own order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from tunesmith.data.batches import Batch, Examples, Padding, by_length, make_batch
from tunesmith.tasks import EVALUATION_SEED, Outputs, Predictions, Task
from tunesmith.training.engine import Forward
from tunesmith.training.memory import OneRowTooLarge, is_out_of_memory, let_go

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["Evaluation", "predict"]

_TOKENS, _TOKENS_ON_CPU = 32_768, 2_048
"""Tokens per forward pass: enough to keep the device busy, few enough to stay in its caches."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Predictions and their loss.

    Attributes:
        predictions: what the task keeps of each example, in the order of the examples.
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
) -> Evaluation:
    """Run the model over all examples, shared among the processes.

    Args:
        forward: takes batches through the model, which is left in evaluation mode.
        task: draws what hangs on chance, always the same, and makes one pass.
        examples: what to predict.
        padding: how to fill batches.
        batch_size: the most examples per forward pass and process; None for as many as their
            tokens allow.
        halvings: how often to halve either beforehand.
        accelerator: which process this is, and how to gather.
        between: called before every batch, so that a long evaluation can be stopped.

    Raises:
        OneRowTooLarge: memory does not suffice for a single example.
    """
    forward.network.eval()
    budget = _TOKENS_ON_CPU if accelerator.device.type == "cpu" else _TOKENS
    cut = _Cut(examples.lengths, batch_size, budget, halvings)
    batches = cut(np.arange(len(examples)))
    mine = batches[accelerator.process_index :: accelerator.num_processes]
    idle = not mine  # more processes than batches: run one for its shapes, keep none of it

    def batch_of(places: NDArray[np.int64]) -> Batch:
        if between is not None:
            between()
        return task.corrupt(make_batch(examples, places, padding), seed=EVALUATION_SEED)

    asked = mine or [batches[0][:1]]
    # filled as answers come: small pieces kept from each pass would lie between the large ones it
    # frees, and the next pass, of another size, would find no room there
    places = np.empty(sum(map(len, asked)), dtype=np.int64)
    arrays: dict[str, NDArray[Any]] = {}
    loss, targets, filled = 0.0, 0, 0
    with torch.inference_mode():
        for batch, outputs in _passes(forward, asked, batch_of, cut):
            part = slice(filled, filled + len(batch.examples))
            places[part] = batch.examples
            if outputs.loss_sum is not None:
                loss += float(outputs.loss_sum)
                targets += batch.num_targets
            for name, values in outputs.per_example.items():
                found = values.float().cpu().numpy()
                if name not in arrays:
                    arrays[name] = np.empty((len(places), *found.shape[1:]), found.dtype)
                arrays[name][part] = found
            filled = part.stop
    halvings = cut.halvings
    if idle:
        places, arrays = places[:0], {name: values[:0] for name, values in arrays.items()}
        loss, targets = 0.0, 0
    if accelerator.num_processes > 1:
        places, arrays, loss, targets, halvings = _gather(
            places, arrays, (loss, targets, halvings), accelerator
        )
    order = np.argsort(places)
    return Evaluation(
        {name: values[order] for name, values in arrays.items()},
        loss / targets if targets else None,
        targets,
        halvings,
    )


@dataclass
class _Cut:
    """Cuts places into batches, the longest first, as large as memory has allowed so far."""

    lengths: NDArray[np.int64]
    batch_size: int | None
    max_tokens: int
    halvings: int

    def __call__(self, places: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        rows = max(1, self.batch_size >> self.halvings) if self.batch_size else None
        found = by_length(self.lengths[places], rows, max_tokens=self.max_tokens >> self.halvings)
        return [places[part] for part in found]


def _passes(
    forward: Forward,
    batches: Sequence[NDArray[np.int64]],
    batch_of: Callable[[NDArray[np.int64]], Batch],
    cut: _Cut,
) -> Iterator[tuple[Batch, Outputs]]:
    """Each batch with what comes of it; where memory does not suffice, the rest is cut smaller."""
    waiting = list(reversed(batches))
    while waiting:
        batch = batch_of(waiting.pop())
        outputs = _attempt(forward, batch)
        if outputs is not None:
            yield batch, outputs
            continue
        if len(batch.examples) == 1:
            raise OneRowTooLarge(int(batch.examples[0]), batch.num_tokens)
        cut.halvings += 1
        waiting = cut(np.concatenate([batch.examples, *reversed(waiting)]))[::-1]


def _attempt(forward: Forward, batch: Batch) -> Outputs | None:
    """One pass, or None if memory does not suffice."""
    try:
        return forward.outputs(batch)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    let_go(next(forward.network.parameters()).device)
    return None


def _gather(
    places: NDArray[np.int64],
    arrays: dict[str, NDArray[Any]],
    numbers: tuple[float, int, int],
    accelerator: Accelerator,
) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]], float, int, int]:
    """The same from all processes; shares differ in length, so each is filled up and cut again."""
    device = accelerator.device
    facts = torch.tensor([len(places), *numbers], dtype=torch.float64, device=device)
    table = accelerator.gather(facts).reshape(-1, 4).cpu()
    counts = [int(count) for count in table[:, 0]]
    longest = max(counts)

    def gathered(values: NDArray[Any]) -> NDArray[Any]:
        filled = np.zeros((longest, *values.shape[1:]), dtype=values.dtype)
        filled[: len(values)] = values
        everyone = accelerator.gather(torch.from_numpy(filled).to(device)).cpu().numpy()
        parts = [everyone[i * longest : i * longest + n] for i, n in enumerate(counts)]
        return np.concatenate(parts)

    return (
        gathered(places),
        {name: gathered(values) for name, values in sorted(arrays.items())},
        float(table[:, 1].sum()),
        int(table[:, 2].sum()),
        int(table[:, 3].max()),  # all cut alike the next time, or rows would be lost between them
    )
