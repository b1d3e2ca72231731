"""From the logits of windows to the best answers of each row, as run_qa.py finds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.batches import Batch, Examples
from tunesmith.data.encoded import Ragged
from tunesmith.tasks.outputs import Predictions

if TYPE_CHECKING:
    import torch

__all__ = ["best_of_rows", "highest", "padded_logits"]

_FAR = -1e9
"""A logit that has no probability."""


def padded_logits(outputs: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logits of starts and ends of each window, (2, B, T), and which are real, (B, T).

    Padding has no probability, so that no loss depends on the other windows of a batch. Logits of a
    pack are laid out by window.
    """
    import torch

    mask = batch.inputs["attention_mask"]
    logits = torch.stack([outputs.start_logits, outputs.end_logits]).float()
    if batch.rows is None:
        return logits.masked_fill(mask == 0, _FAR), mask
    is_real = mask[0].bool()
    rows, places = batch.rows[0][is_real], batch.inputs["position_ids"][0][is_real]
    places = places - places.min()
    shape = (len(batch.examples), int(places.max()) + 1)
    padded = logits.new_full((2, *shape), _FAR)
    padded[:, rows, places] = logits[:, 0, is_real]
    real = torch.zeros(shape, dtype=mask.dtype, device=mask.device)
    real[rows, places] = 1
    return padded, real


def highest(
    logits: torch.Tensor, mask: torch.Tensor, count: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the highest logits of each window, by their tokens.

    Args:
        logits: of tokens, shape (B, T).
        mask: which tokens are real, (B, T).
        count: how many of a window.

    Returns:
        For each of these logits its window, its token (from 0, without padding) and itself, (n,)
        all; those of a window in the order of its tokens.
    """
    import torch

    real = mask.bool()
    first = real.int().argmax(dim=1)
    masked = logits.float().masked_fill(~real, -torch.inf)
    places = masked.topk(min(count, logits.shape[1]), dim=1).indices.sort(dim=1).values
    chosen = masked.gather(1, places)
    is_real = chosen > -torch.inf
    windows = torch.arange(len(logits), device=logits.device)[:, None].expand_as(places)
    tokens = (places - first[:, None])[is_real].int()
    return windows[is_real], tokens, chosen[is_real]


def best_of_rows(
    predictions: Predictions, examples: Examples, *, n_best: int, max_answer_length: int
) -> Predictions:
    """Return the best answers of each row, and what having none scores.

    Args:
        predictions: of windows: "starts" and "ends", tokens with high logits, "start_logits" and
            "end_logits", and "null", what the first token scores.
        examples: of these predictions.
        n_best: starts and ends to combine in each window, and answers to keep.
        max_answer_length: tokens of an answer.

    Returns:
        "spans", the characters of each answer, (n, 2), the best first; "scores" of these, both
        `Ragged`; and "null", the least of its windows, (rows,).
    """
    prepared, starts = examples.prepared, examples.row_starts
    windows = prepared.aside("window", examples.indices).flat.reshape(-1, 3)
    firsts = np.searchsorted(prepared.rows, examples.row_numbers)  # also where these are left out
    spans = [one.reshape(-1, 2) for one in prepared.aside("spans", firsts).split()]
    columns = [
        predictions[name].split() for name in ("starts", "start_logits", "ends", "end_logits")
    ]
    stops = [*starts[1:].tolist(), len(examples)]
    rows = [
        _best_of_row(
            [[column[i] for column in columns] for i in range(start, stop)],
            windows[start:stop],
            own,
            n_best=n_best,
            max_answer_length=max_answer_length,
        )
        for start, stop, own in zip(starts.tolist(), stops, spans, strict=True)
    ]
    counts = np.array([len(scores) for _spans, scores in rows], dtype=np.int64)
    null = predictions["null"]
    return {
        "spans": Ragged(_joined([one for one, _s in rows], (0, 2), np.int32), counts),
        "scores": Ragged(_joined([one for _s, one in rows], (0,), np.float32), counts),
        "null": np.minimum.reduceat(null, starts) if len(starts) else null,
    }


def _joined(parts: Sequence[NDArray[Any]], empty: tuple[int, ...], kind: Any) -> NDArray[Any]:
    return np.concatenate([np.zeros(empty, dtype=kind), *parts])


def _best_of_row(
    windows: Sequence[Sequence[NDArray[Any]]],
    places: NDArray[np.int32],
    spans: NDArray[np.int32],
    *,
    n_best: int,
    max_answer_length: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return characters and scores of the best answers; equal ones count once."""
    characters, scores = [], []
    for (starts, start_logits, ends, end_logits), (first, number, count) in zip(
        windows, places.tolist(), strict=True
    ):
        firsts, lasts, sums = _pairs(
            *_in_order(starts - first, start_logits, count, n_best),
            *_in_order(ends - first, end_logits, count, n_best),
            max_answer_length,
        )
        characters.append(np.stack([spans[firsts + number, 0], spans[lasts + number, 1]], axis=1))
        scores.append(sums)
    answers, sums = np.concatenate(characters), np.concatenate(scores)
    order = np.argsort(-sums, kind="stable")
    chosen: dict[tuple[int, ...], int] = {}
    for i in order.tolist():
        if answers[i, 0] < answers[i, 1]:
            chosen.setdefault(tuple(answers[i].tolist()), i)
        if len(chosen) == n_best:
            break
    retained = list(chosen.values())
    return answers[retained], sums[retained]


def _in_order(
    tokens: NDArray[np.int32], logits: NDArray[np.float32], count: int, n_best: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the highest that are in the context, the highest first; of equal ones the last."""
    order = np.argsort(logits, kind="stable")[::-1][:n_best]
    tokens, logits = tokens[order], logits[order]
    is_inside = (tokens >= 0) & (tokens < count)
    return tokens[is_inside], logits[is_inside]


def _pairs(
    starts: NDArray[np.int32],
    start_logits: NDArray[np.float32],
    ends: NDArray[np.int32],
    end_logits: NDArray[np.float32],
    longest: int,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Return the pairs that may be answers, each start with all its ends, and their scores."""
    lengths = ends[None] - starts[:, None] + 1
    firsts, lasts = np.nonzero((lengths > 0) & (lengths <= longest))
    return starts[firsts], ends[lasts], start_logits[firsts] + end_logits[lasts]
