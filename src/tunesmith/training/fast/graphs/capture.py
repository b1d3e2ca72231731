"""CUDA graphs: a function over the same memory is recorded once and replayed.

`StaticPass` is such a function: the same tensors hold every batch of a bucket, so its forward and
backward pass can be recorded. `Graphs` records and replays.

A replay costs the host one call where the kernels of a pass cost hundreds. Random numbers follow
the seed: before a replay torch writes seed and offset of the default generator into memory that the
recorded kernels read, and moves the offset on by what they draw. So `torch.manual_seed` before a
replay gives the numbers that it would give without a graph.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch

from tunesmith.data.batches import Batch
from tunesmith.i18n import gettext as _
from tunesmith.training.engine import Pass
from tunesmith.training.fast.graphs.buckets import Bucket, BucketPack, pack_bucket
from tunesmith.training.fast.graphs.device_data import Table, send
from tunesmith.training.fast.packed_model import PackedLayout

__all__ = ["Graphs", "StaticPass"]


class Graphs:
    """Functions over tensors that stay where they are, by key; on a CPU they are simply called.

    All graphs share one pool of memory. They may do so in any order because none leaves anything in
    it: what outlives a call is in tensors made outside.
    """

    def __init__(self, device: torch.device, note: Callable[[str], None]) -> None:
        """Nothing is recorded yet.

        Args:
            device: of the tensors.
            note: called with the reason if recording is given up.
        """
        self._device = device
        self._note = note
        self._records = device.type == "cuda"
        self._seen: set[Hashable] = set()
        self._graphs: dict[Hashable, Any] = {}
        if self._records:
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            self._pool = torch.cuda.graph_pool_handle()

    def play(self, key: Hashable, run: Callable[[], None]) -> None:
        """Do what `run` does: call it at first, record it the second time, replay it then.

        What is called once, such as the pass of a short last batch in a single epoch, is not worth
        recording; and the first call sets up what libraries set up only once.
        """
        if not self._records:
            run()
        elif key in self._graphs:
            self._graphs[key].replay()
        elif key not in self._seen:
            self._seen.add(key)
            self._warm_up(run)
        elif self._record(key, run):
            self._graphs[key].replay()
        else:
            run()

    def forget(self, key: Hashable | None = None) -> None:
        """Forget one recording, or all: their memory has moved or is needed."""
        keys = [*self._seen] if key is None else [key]
        for one in keys:
            self._seen.discard(one)
            self._graphs.pop(one, None)

    def _warm_up(self, run: Callable[[], None]) -> None:
        """Call it on the stream it will be recorded on: autograd remembers streams."""
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            run()
        torch.cuda.current_stream(self._device).wait_stream(self._stream)

    def _record(self, key: Hashable, run: Callable[[], None]) -> bool:
        """Record without executing; whether that worked."""
        generator = torch.cuda.default_generators[self._device.index or 0]
        seed, offset = generator.initial_seed(), generator.get_offset()
        stream = torch.cuda.current_stream(self._device)
        graph = torch.cuda.CUDAGraph()
        try:
            # other threads may use the device: a graph is none of their business
            with torch.cuda.graph(
                graph, self._pool, self._stream, capture_error_mode="thread_local"
            ):
                run()
        except RuntimeError as error:
            torch.cuda.set_stream(stream)  # the recording, if its end failed, has left another
            reason = str(error.__context__ or error).splitlines()[0]
            self._stop_recording(reason, seed, offset)
            return False
        self._graphs[key] = graph
        return True

    def _stop_recording(self, reason: str, seed: int, offset: int) -> None:
        """From here on everything is called.

        A recording that broke off may have left the generator in the belief that it goes on; a
        fresh state takes its place, at the same number.
        """
        self._records = False
        self.forget()
        generator = torch.cuda.default_generators[self._device.index or 0]
        generator.graphsafe_set_state(torch.Generator(self._device))
        generator.manual_seed(seed)
        generator.set_offset(offset)
        self._note(_("steps are not recorded as CUDA graphs: {reason}").format(reason=reason))


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
        pack, packed = self._packed()
        half = torch.autocast(self._device.type, torch.bfloat16) if self._half else nullcontext()
        with half:
            loss = self._layout.run_packed(self._forward, pack, packed).loss_sum
        assert loss is not None  # noqa: S101 - training rows have labels
        torch.autograd.backward([loss * self.weight])
        self.loss.copy_(loss.detach())

    def _packed(self) -> tuple[BucketPack, Batch]:
        """The rows as a pack of the bucket's shape; the mask hides nothing."""
        table, rows = self.table, self._rows
        pack = pack_bucket(
            self._bucket, table.offsets[rows], table.lengths[rows], self._layout.kernels
        )
        inputs = table.gathered(pack)
        inputs["position_ids"] = (pack.positions + self._layout.first_position)[None]
        inputs["attention_mask"] = torch.ones_like(inputs["position_ids"])
        examples = np.arange(self._bucket.rows)
        return pack, Batch(inputs, table.labels[rows], len(examples), self._bucket.tokens, examples)
