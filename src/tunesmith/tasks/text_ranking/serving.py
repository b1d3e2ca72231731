"""The scores of the pipeline of transformers and those of the task itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tunesmith.data.batches import Examples, Padding, make_batch
from tunesmith.data.encoded import hold_in_memory
from tunesmith.data.rows import Row
from tunesmith.tasks.protocol import Task

if TYPE_CHECKING:
    from torch import nn

__all__ = ["count_differences"]

_MOST_ROWS = 8
_AGREE = 1e-4


def count_differences(task: Task, model: nn.Module, tokenizer: Any, rows: Sequence[Row]) -> int:
    """Return for how many of the first rows the pipeline gives another score.

    Args:
        task: whose scores.
        model: in float32; it stays on its device.
        tokenizer: of the model.
        rows: pairs to score; those that are too long for the model are left out.
    """
    import torch
    from transformers import pipeline

    encoded = task.encode(rows[:_MOST_ROWS], tokenizer, tokenizer.model_max_length, labeled=False)
    examples = Examples(hold_in_memory(encoded))
    lengths = examples.prepared.lengths()
    chosen = np.flatnonzero(encoded.full_lengths <= lengths)
    if not len(chosen):
        return 0
    device = next(model.parameters()).device
    batch = make_batch(examples, chosen, Padding.of(tokenizer)).to(device)
    with torch.inference_mode():
        logits = task.forward(model, batch).per_example["logits"].cpu().numpy()
    some = [rows[i] for i in chosen.tolist()]
    scores: list[Any] = [answer["score"] for answer in task.decode({"logits": logits}, some)]
    serve: Any = pipeline("text-classification", model=model, tokenizer=tokenizer, device=device)
    pairs = [dict(zip(("text", "text_pair"), task.texts_of(row), strict=True)) for row in some]
    served = [answer["score"] for answer in serve(pairs)]
    return int(np.sum(np.abs(np.subtract(scores, served)) > _AGREE))
