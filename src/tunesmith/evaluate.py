"""Predictions of a model: batches by length, each example once, answers in their own order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from tunesmith.batching import Examples, Padding, by_length, make_batch
from tunesmith.engine import Forward
from tunesmith.tasks import EVALUATION_SEED, Predictions, Task

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["Evaluation", "predict"]

_TOKENS, _TOKENS_ON_CPU = 32_768, 4_096
"""Tokens per forward pass: enough to keep the device busy, few enough to stay in its caches."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Predictions and their loss.

    Attributes:
        predictions: what the task keeps of each example, in the order of the examples.
        loss: the mean over all targets; None without labels.
        num_targets: how many these were.
    """

    predictions: Predictions
    loss: float | None
    num_targets: int


def predict(
    forward: Forward,
    task: Task,
    examples: Examples,
    padding: Padding,
    *,
    batch_size: int | None = None,
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
        accelerator: which process this is, and how to gather.
        between: called before every batch, so that a long evaluation can be stopped.
    """
    forward.network.eval()
    budget = _TOKENS_ON_CPU if accelerator.device.type == "cpu" else _TOKENS
    batches = list(by_length(examples.lengths, batch_size, max_tokens=budget))
    mine = batches[accelerator.process_index :: accelerator.num_processes]
    idle = not mine  # more processes than batches: run one for its shapes, keep none of it
    mine = mine or [batches[0][:1]]
    kept: dict[str, list[NDArray[Any]]] = {}
    loss, targets = 0.0, 0
    with torch.inference_mode():
        for places in mine:
            if between is not None:
                between()
            batch = task.draw(make_batch(examples, places, padding), seed=EVALUATION_SEED)
            outputs = forward.outputs(batch)
            if outputs.loss_sum is not None:
                loss += float(outputs.loss_sum)
                targets += batch.num_targets
            for name, values in outputs.kept.items():
                kept.setdefault(name, []).append(values.float().cpu().numpy())
    places = np.concatenate(mine)
    arrays = {name: np.concatenate(parts) for name, parts in kept.items()}
    if idle:
        places, arrays = places[:0], {name: values[:0] for name, values in arrays.items()}
        loss, targets = 0.0, 0
    if accelerator.num_processes > 1:
        places, arrays, loss, targets = _gather(places, arrays, loss, targets, accelerator)
    order = np.argsort(places)
    return Evaluation(
        {name: values[order] for name, values in arrays.items()},
        loss / targets if targets else None,
        targets,
    )


def _gather(
    places: NDArray[np.int64],
    arrays: dict[str, NDArray[Any]],
    loss: float,
    targets: int,
    accelerator: Accelerator,
) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]], float, int]:
    """The same from all processes; shares differ in length, so each is filled up and cut again."""
    device = accelerator.device
    facts = torch.tensor([len(places), loss, targets], dtype=torch.float64, device=device)
    table = accelerator.gather(facts).reshape(-1, 3).cpu()
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
    )
