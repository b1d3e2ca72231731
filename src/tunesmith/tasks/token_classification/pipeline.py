"""The entities of the pipeline of transformers and those of the task itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tunesmith.data.batches import Examples, Padding, make_batch
from tunesmith.data.encoded import Ragged, hold_in_memory
from tunesmith.data.rows import Row
from tunesmith.tasks.protocol import Task

if TYPE_CHECKING:
    from torch import nn

__all__ = ["count_differences", "usage_of"]

_TOKENS = 512
"""Longer texts are cut by the pipeline or read in other windows."""

Found = set[tuple[int, int, str]]


def usage_of(pipeline: str, *, are_plain: bool, is_first: bool) -> str:
    """Return lines that call the pipeline: neighboring pieces as one entity, texts in windows.

    Args:
        pipeline: its name.
        are_plain: whether each word has a class of its own.
        is_first: whether only the first piece of a word is labeled.
    """
    strategy = "none" if are_plain else "first" if is_first else "simple"
    stride = "" if are_plain else ", stride=32"
    return (
        "from transformers import pipeline\n\n"
        f'use = pipeline("{pipeline}", model="path/to/this/folder",\n'
        f'               aggregation_strategy="{strategy}"{stride})\n'
        'print(use("…"))'
    )


def count_differences(task: Task, model: nn.Module, tokenizer: Any, texts: Sequence[str]) -> int:
    """Return for how many texts of one window both mark other entities.

    Args:
        task: whose entities.
        model: in float32; it stays on its device.
        tokenizer: of the model.
        texts: to mark.
    """
    from transformers import pipeline

    limit = min(_TOKENS, tokenizer.model_max_length)
    short = [text for text in texts if len(tokenizer.encode(text)) <= limit]
    serve: Any = pipeline(
        "token-classification",
        model=model,
        tokenizer=tokenizer,
        aggregation_strategy="simple",
        device=next(model.parameters()).device,
    )
    return sum(_own(task, model, tokenizer, text, limit) != _served(serve, text) for text in short)


def _own(task: Task, model: nn.Module, tokenizer: Any, text: str, limit: int) -> Found:
    import torch

    row = Row(0, {task.roles.text: text})
    encoded = task.encode([row], tokenizer, limit, labeled=False)
    examples = Examples(hold_in_memory(encoded))
    places = np.arange(len(examples))
    batch = make_batch(examples, places, Padding.of(tokenizer))
    with torch.inference_mode():
        (_of, logits) = task.forward(model, batch.to(next(model.parameters()).device)).ragged[
            "logits"
        ]
    values = logits.float().cpu().numpy()
    joined = task.join({"logits": Ragged(values, np.array([len(values)]))}, examples)
    listed: Any = task.decode(joined, [row])[0]["label"]
    return {(one["start"], one["end"], one["label"]) for one in listed}


def _served(serve: Any, text: str) -> Found:
    entities = set()
    for one in serve(text):
        start, end = int(one["start"]), int(one["end"])
        inside = text[start:end]
        start += len(inside) - len(inside.lstrip())
        end -= len(inside) - len(inside.rstrip())
        if start < end:
            entities.add((start, end, str(one["entity_group"])))
    return entities
