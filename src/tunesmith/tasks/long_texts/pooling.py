"""The logits of a text from those of its windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["pool"]


def pool(logits: torch.Tensor, owner: torch.Tensor, count: int, pooling: str) -> torch.Tensor:
    """Return the logits of texts, shape (count, C).

    A text of one window has exactly the logits of that window.

    Args:
        logits: of windows, shape (S, C).
        owner: which text each window is of, rising, shape (S,).
        count: of the texts.
        pooling: "mean" or "max".
    """
    import torch

    sizes = torch.bincount(owner, minlength=count)
    if pooling == "mean":
        total = logits.new_zeros(count, logits.shape[1]).index_add(0, owner, logits)
        return total / sizes[:, None]
    first = sizes.cumsum(0) - sizes
    places = torch.arange(len(owner), device=owner.device) - first[owner]
    padded = logits.new_full((count, int(sizes.max()), logits.shape[1]), -torch.inf)
    return padded.index_put((owner, places), logits).amax(1)
