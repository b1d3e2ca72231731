"""The rows of an embedding table that an update can change.

A step uses a few hundred rows. The gradient of the others is zero, and so are the moments of those
that no step has used yet: AdamW changes such rows by weight decay alone, if at all.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from tunesmith.training.fast.embedding import TableGradient

__all__ = ["ActiveRows"]

_HAS_MOMENTS, _HAS_GRADIENT = 1, 2


class ActiveRows:
    """Marks rows of a table for the kernels of an update, which leave out the others.

    They are known only while the layer alone writes the gradient, and the kernels alone the
    moments. Else moments are read once, or every row counts.
    """

    def __init__(self, gradient: TableGradient) -> None:
        """Nothing is known yet.

        Args:
            gradient: of the table, entered.
        """
        self._gradient = gradient
        self._marks: NDArray[np.uint16] = np.zeros(0, dtype=np.uint16)
        self._moments: tuple[weakref.ref[torch.Tensor], ...] = ()
        self._facts: tuple[object, ...] = ()

    @property
    def weight(self) -> torch.Tensor:
        """The table."""
        return self._gradient.table.weight

    def forget(self) -> None:
        """Read the moments again before the next update: others may have written them."""
        self._moments = ()

    def marks(self, state: Mapping[str, torch.Tensor], updates: float) -> NDArray[np.uint16] | None:
        """Marks for the update that comes next, as `Tensors` has them; None if any row may change.

        Args:
            state: of the table in the optimizer.
            updates: so far; each adds one.
        """
        rows = self._gradient.rows()
        if rows is None:
            self.forget()
            return None
        moments = state["exp_avg"], state["exp_avg_sq"]
        facts = (*(moment._version for moment in moments), updates)
        same = [ref() is moment for ref, moment in zip(self._moments, moments, strict=False)]
        if facts == self._facts and len(same) == len(moments) and all(same):
            self._marks &= _HAS_MOMENTS
        else:
            self._marks = _have_moments(moments)
        for some in rows:
            self._marks[some.numpy()] = _HAS_MOMENTS | _HAS_GRADIENT
        self._moments = tuple(weakref.ref(moment) for moment in moments)
        self._facts = (*facts[:-1], updates + 1)
        return self._marks


def _have_moments(moments: tuple[torch.Tensor, ...]) -> NDArray[np.uint16]:
    """Marks of rows with a moment other than zero."""
    nonzero = [torch.linalg.vector_norm(moment, math.inf, dim=1) != 0 for moment in moments]
    marks: NDArray[np.uint16] = torch.stack(nonzero).any(0).numpy().astype(np.uint16)
    return marks  # 1 is `_HAS_MOMENTS`
