"""Early stopping: which score chooses the best model, and when no better one is expected."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ModelSelection", "is_over"]


@dataclass(frozen=True, slots=True)
class ModelSelection:
    """How the best model is chosen.

    Attributes:
        score: the score's name.
        higher: whether higher is better.
        patience: evaluations without a better score after which to stop; None for never.
    """

    score: str
    higher: bool
    patience: int | None = None


def is_over(selection: ModelSelection | None, evaluations_since_best: int) -> bool:
    """Return whether early stopping ends the run."""
    patience = selection.patience if selection else None
    return patience is not None and evaluations_since_best >= patience
