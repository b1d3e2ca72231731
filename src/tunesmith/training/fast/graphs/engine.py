"""The fast engine on a GPU: passes and updates as CUDA graphs, without waiting for the device.

For each token bucket a pass, forward and backward, is recorded, and one update for all of them:
a step of one micro-batch is two replays, one of four is five. Gradients keep their memory between
them. Except for the recording all of it runs on a CPU as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from tunesmith.data.batches import Batch, Examples
from tunesmith.i18n import gettext as _
from tunesmith.training.engine import FinishedStep, Step
from tunesmith.training.fast.bf16_linear import HalfCopies
from tunesmith.training.fast.engine import FastEngine
from tunesmith.training.fast.graphs.buckets import Bucket, bucket_for
from tunesmith.training.fast.graphs.capture import Graphs, StaticPass
from tunesmith.training.fast.graphs.device_data import DataSet, Table
from tunesmith.training.fast.graphs.update import DeviceUpdate
from tunesmith.training.fast.probe import ProbeResult
from tunesmith.training.memory import release_memory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["GraphedEngine", "against_graphs"]


def against_graphs(
    probe_result: ProbeResult,
    device: torch.device,
    *,
    num_processes: int,
    in_groups: bool,
    longest: int | None,
    disabled: frozenset[str],
) -> str | None:
    """Return why steps cannot be recorded as CUDA graphs; None if they can.

    The text is empty where nothing needs to be reported: on a CPU, without packs, or switched off.

    Args:
        probe_result: what the probe found.
        device: of the model.
        num_processes: that share a step.
        in_groups: whether some attention is not computed by torch's ragged kernels.
        longest: the most tokens of a row to train on; None if that is not known.
        disabled: parts to leave out.
    """
    if device.type != "cuda" or "graphs" in disabled or probe_result.exit is None:
        return ""
    if num_processes > 1:
        return _("several processes exchange their gradients")
    varying = {
        "padded": _("the head sees padding, which differs from batch to batch"),
        "every token": _(
            "the head answers for every token, and their number differs from batch to batch"
        ),
    }
    if probe_result.exit in varying:
        return varying[probe_result.exit]
    if in_groups:
        return _("attention is computed in groups, which differ from batch to batch")
    if longest is None:
        return _("the lengths of the rows are not known before they are read")
    return None


class GraphedEngine(FastEngine):
    """Steps over static memory, whose results are read every few steps.

    Attributes:
        sync_every: after how many; 1 for after each.
    """

    _copies_before: HalfCopies | None = None

    def __init__(
        self,
        *args: Any,
        longest: int,
        note: Callable[[str], None],
        sync_every: int = 1,
        **kwargs: Any,
    ) -> None:
        """Take a model that runs packed with one answer per sequence.

        Args:
            *args: as `FastEngine` takes them.
            longest: the most tokens of a training example.
            note: called with a line about each part that is computed a slower way.
            sync_every: steps after which results are read.
            **kwargs: as `FastEngine` takes them.
        """
        super().__init__(*args, **kwargs)
        self.sync_every = sync_every
        self._unread: list[tuple[Step, torch.Tensor]] = []
        self._longest = longest
        self._graphs = Graphs(self._device, note)
        self._passes: dict[Any, StaticPass] = {}
        self._data: DataSet | None = None
        self._update = DeviceUpdate(
            self.optimizer, self._parameters, self._device,
            limit=self._max_grad_norm, folds="clipping" not in self._disabled,
            then=self._after_update,
        )  # fmt: skip

    def keep(self, examples: Examples) -> bool:
        """Copy the training examples to the device; returns whether that was done."""
        if self._vocabulary is not None:
            self._vocabulary.check(examples.prepared.used())
        self._data = DataSet.copied(examples, self._device)
        return self._data is not None

    @property
    def has_data(self) -> bool:
        """Whether the device has the training examples."""
        return self._data is not None

    def batch(self, places: NDArray[np.int64]) -> Batch | None:
        """Some training examples as a batch without tensors, if the device has them."""
        return None if self._data is None else self._data.batch(places)

    def accumulate(self, batch: Batch, weight: float, *, is_last: bool) -> torch.Tensor:
        """A pass of the batch's bucket; rows longer than training rows take the ordinary way."""
        bucket = bucket_for(batch.num_tokens, len(batch.examples), self._longest)
        mask = batch.inputs.get("attention_mask")
        if mask is not None and (batch.owner is not None or not self._fits(mask.sum(dim=1))):
            return super().accumulate(batch, weight, is_last=is_last)
        key = (bucket, bool(batch.inputs))
        if key not in self._passes:
            assert self._layout is not None  # noqa: S101 - without one, `against_graphs` refuses
            table = self._table_for(batch, bucket)
            self._passes[key] = StaticPass(self._layout, self._run, bucket, table, half=self._half)
        turn = self._passes[key]
        turn.weight.fill_(weight)
        if batch.inputs:
            self._check(batch)
            turn.table.fill(batch)
        elif self._data is not None:
            turn.take(self._data.longest_first(batch.examples))
        self._graphs.play(key, turn.run)
        return turn.loss.clone()

    def _fits(self, lengths: torch.Tensor) -> bool:
        """Whether rows are of lengths that a bucket provides for."""
        return int(lengths.min()) > 0 and int(lengths.max()) <= self._longest

    def update(self, step: Step, *, wait: bool) -> list[FinishedStep]:
        """Update as recorded; norms and losses stay on the device for `sync_every` steps."""
        self._update.copy_rates()
        self._graphs.play(("update", self._update.options), self._update.run)
        self._unread.append((step, self._update.norm.clone()))
        if not wait and step.number % self.sync_every:
            return []
        unread, self._unread = self._unread, []
        return [(done, float(done.loss_sum), float(norm)) for done, norm in unread]

    def discard_gradients(self) -> None:
        """Gradients, recordings, and the cache of the device."""
        self._graphs.forget()
        self._passes.clear()
        for parameter in self._parameters:
            if parameter.grad is not None:
                parameter.grad.zero_()
        release_memory(self._device)

    def forget_recordings(self) -> None:
        """Record passes and updates again, since the model may have been changed."""
        self._graphs.forget()
        self.optimizer.zero_grad()  # a weight that is frozen now must not keep a gradient of zeros

    def hand_back(self) -> None:
        """Leave the optimizer as it is used without recordings."""
        self.optimizer.zero_grad()
        self.optimizer.found_inf = None
        super().hand_back()

    def load_state(self, tensors: Mapping[str, torch.Tensor]) -> list[str]:
        """Restore into new memory, for which the update is recorded again."""
        self._graphs.forget()
        self._unread.clear()
        self._update.reset()
        return super().load_state(tensors)

    def close(self) -> None:
        """Remove all patches; recordings are kept for when the model is patched again."""
        self._copies_before = self._copies
        super().close()

    def _patch(self) -> None:
        super()._patch()
        if self._copies_before is not None and self._copies is not None:
            self._copies.move_into(self._copies_before)  # recorded passes read there

    def _after_update(self) -> None:
        """Follow the new weights: decay unused rows, refresh copies."""
        if self._vocabulary is not None:
            group = self._vocabulary.group_in(self.optimizer)
            if group["weight_decay"]:
                applied = self._update.skips.logical_not()
                self._vocabulary.decay(1 - group["lr"] * group["weight_decay"] * applied)
        if self._copies is not None:
            self._copies.refresh()

    def _table_for(self, batch: Batch, bucket: Bucket) -> Table:
        """Where the pass of a batch reads: the whole data set, or room for one batch."""
        if batch.inputs or self._data is None:
            return Table.empty(batch, bucket, self._device)
        return self._data.table
