"""What a task's network gives for a batch, and what evaluation collects of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tunesmith.data.rows import Row

if TYPE_CHECKING:
    import torch

__all__ = ["Answered", "Outputs", "Predictions"]

Predictions = Mapping[str, Any]
"""What evaluation collects, by name: arrays whose first dimension counts rows, or `Ragged`."""

Answered = Iterable[tuple[Row, Mapping[str, Any]]]
"""Rows, each with its answer."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """The result of one forward pass.

    Attributes:
        loss_sum: the loss summed over the batch's targets, a scalar; None without labels.
        per_example: what evaluation collects, by name; the first dimension counts the examples of
            the batch. None of it may depend on padding.
        ragged: likewise, where examples differ in how many values they have: for each value the
            example of the batch that it belongs to, shape (n,), and the values, shape (n, ...).
    """

    loss_sum: torch.Tensor | None
    per_example: Mapping[str, torch.Tensor]
    ragged: Mapping[str, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)

    def tensors(self, example: int | None = None) -> dict[str, torch.Tensor]:
        """Return all values by name, or those of one example."""
        if example is None:
            return {**self.per_example, **{name: each for name, (_of, each) in self.ragged.items()}}
        fixed = {name: values[example] for name, values in self.per_example.items()}
        return fixed | {name: each[of == example] for name, (of, each) in self.ragged.items()}
