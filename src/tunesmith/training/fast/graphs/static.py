"""A pass over static memory: the same tensors for every batch of a bucket.

What changes from batch to batch is written into them before; what comes out is read from them
after. So the pass can be recorded once and replayed; calling it does the same.
"""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import torch

from tunesmith.data.batches import Batch
from tunesmith.training.engine import Pass
from tunesmith.training.fast.graphs.buckets import Bucket, BucketPack, lay
from tunesmith.training.fast.graphs.device_data import Table, send
from tunesmith.training.fast.packed_model import PackedLayout

__all__ = ["StaticPass"]


class StaticPass:
    """Forward and backward of the batches of one bucket.

    Attributes:
        table: where its rows are.
        weight: of the summed loss, in the gradient; to be written before `run`.
        loss: summed, as the last `run` found it.
    """

    def __init__(
        self, layout: PackedLayout, forward: Pass, bucket: Bucket, table: Table, *, half: bool
    ) -> None:
        """Make the tensors that stay.

        Args:
            layout: of a model that answers once per sequence, entered while this runs.
            forward: one pass of the task.
            bucket: whose batches these are.
            table: where their rows are; the first ones unless `take` says otherwise.
            half: whether to compute in bfloat16.
        """
        self._layout, self._forward, self._bucket = layout, forward, bucket
        self._half = half
        self._device = table.offsets.device
        kind = next(layout.network.parameters()).dtype
        self.table = table
        self.weight = torch.zeros((), dtype=kind, device=self._device)
        self.loss = torch.zeros((), dtype=kind, device=self._device)
        self._rows = torch.arange(bucket.rows, device=self._device)

    def take(self, rows: torch.Tensor) -> None:
        """Take these rows of the table, int64 (B,) on the host."""
        send(rows, self._rows)

    def run(self) -> None:
        """Add the gradient of `weight` times the summed loss, and keep the loss."""
        laid, packed = self._packed()
        half = torch.autocast(self._device.type, torch.bfloat16) if self._half else nullcontext()
        with half:
            loss = self._layout.run_packed(self._forward, laid, packed).loss_sum
        assert loss is not None  # noqa: S101 - training rows have labels
        torch.autograd.backward([loss * self.weight])
        self.loss.copy_(loss.detach())

    def _packed(self) -> tuple[BucketPack, Batch]:
        """The rows as a pack of the bucket's shape; the mask hides nothing."""
        table, rows = self.table, self._rows
        laid = lay(self._bucket, table.offsets[rows], table.lengths[rows], self._layout.kernels)
        inputs = table.gathered(laid)
        inputs["position_ids"] = (laid.positions + self._layout.first_position)[None]
        inputs["attention_mask"] = torch.ones_like(inputs["position_ids"])
        examples = np.arange(self._bucket.rows)
        return laid, Batch(inputs, table.labels[rows], len(examples), self._bucket.tokens, examples)
