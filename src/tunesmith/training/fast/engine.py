"""The fast engine: packs, lanes of dropout, compact vocabulary, bfloat16 copies, fused updates.

Each part can be switched off by itself, and each falls back where it does not apply. Saved, and
outside of this engine, the model is the plain one of transformers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tunesmith.data.batches import Batch
from tunesmith.tasks import Outputs
from tunesmith.training.engine import (
    FinishedStep,
    Pass,
    Step,
    own_memory,
    sum_over_ranks,
)
from tunesmith.training.fast.bf16_linear import HalfCopies
from tunesmith.training.fast.dropout import patch_dropout
from tunesmith.training.fast.embedding import CompactVocabulary, TableGradient, table_of
from tunesmith.training.fast.inference_layer import InferenceLayers
from tunesmith.training.fast.kernels import why_missing
from tunesmith.training.fast.packed_model import PackedLayout
from tunesmith.training.fast.packing import has_empty_row, in_parts
from tunesmith.training.fast.probe import ProbeResult
from tunesmith.training.fast.update import FusedUpdate, HalfGradients
from tunesmith.training.memory import release_memory
from tunesmith.training.optimizer import read_state, write_state

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["FAST_DEVICES", "FastEngine", "FastForward"]

FAST_DEVICES = ("cpu", "cuda")
"""Where its kernels and AdamW's scaling of gradients exist."""


class FastForward:
    """Batches through a patched model; `close` and `plain_model` remove the patches."""

    def __init__(
        self,
        network: nn.Module,
        run: Pass,
        device: torch.device,
        *,
        probe_result: ProbeResult,
        half: bool,
        disabled: frozenset[str] = frozenset(),
        layers: InferenceLayers | None = None,
    ) -> None:
        """Patch the model.

        Args:
            network: on its device, in float32.
            run: one pass of the task.
            device: of the model.
            probe_result: what the probe found.
            half: whether to compute in bfloat16.
            disabled: parts to leave out, as `train.disable` names them.
            layers: of the model, for predictions.
        """
        self._patches, self._packing = ExitStack(), ExitStack()
        self.network = network
        self.probe_result = probe_result
        self._disabled = disabled
        self._run = run
        self._device = device
        self._half = half
        self._layout = (
            PackedLayout(network, probe_result.exit, probe_result.kernels, fuses=probe_result.fuses)
            if probe_result.exit
            else None
        )
        self._layers = layers
        self._copies: HalfCopies | None = None
        self._gradients = HalfGradients()
        self._patch_or_close()

    def outputs(self, batch: Batch) -> Outputs:
        """One pass, packed if the model can; a row without tokens has no place in a pack."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
            if self._layout is None:
                return self._run(self.network, batch.to(self._device))
            if has_empty_row(batch):
                with self._padded():
                    return self._run(self.network, batch.to(self._device))
            outputs = self._layout.run(self._run, batch, self._device)
        if not torch.is_grad_enabled():  # no backward pass will need it
            self._layout.discard_pack()
        return outputs

    def close(self) -> None:
        """Remove all patches."""
        self._packing.close()
        self._patches.close()
        self._copies = None

    @contextmanager
    def _padded(self) -> Iterator[None]:
        """Padded batches for a moment; all else stays."""
        self._packing.close()
        try:
            yield
        finally:
            self._pack()

    @contextmanager
    def plain_model(self) -> Iterator[None]:
        """Remove the patches in a `with` block."""
        self.close()
        try:
            yield
        finally:
            self._patch_or_close()

    def _patch_or_close(self) -> None:
        """Patch the model, or leave it plain if that fails."""
        try:
            self._patch()
        except BaseException:
            self.close()
            raise

    def _patch(self) -> None:
        if "dropout" not in self._disabled:
            self._patches.callback(_remove_patches, patch_dropout(self.network))
        if self._half and "copies" not in self._disabled:
            packed = self._layers.modules if self._layers else frozenset[nn.Module]()
            self._copies = HalfCopies(self.network, without=packed)
            self._patches.callback(_remove_patches, self._copies.patched)
        self._pack()

    def _pack(self) -> None:
        if self._layout is not None:
            self._layout.enter(self._packing)
            if self._layout.fused is not None and self._copies is not None:
                self._layout.fused.copies = self._copies.by_weight
            if self._layers is not None:
                self._layers.enter(
                    self._packing,
                    self._layout.context,
                    cut=self._layout.exit == "first token, last layer cut",
                )


def _remove_patches(patched: Iterable[Any]) -> None:
    for module in patched:
        del module.forward  # the class's own comes back


class FastEngine(FastForward):
    """Steps by faster means: one process or several, which exchange their gradients at the end."""

    def __init__(
        self,
        network: Any,
        run: Pass,
        accelerator: Accelerator,
        *,
        make_optimizer: Callable[[], torch.optim.Optimizer],
        max_grad_norm: float | None,
        probe_result: ProbeResult,
        half: bool,
        used_tokens: Iterable[int] | None = None,
        disabled: frozenset[str] = frozenset(),
    ) -> None:
        """Patch the model and make its optimizer.

        Args:
            network: on its device, in float32, frozen weights marked.
            run: one pass of the task.
            accelerator: device and processes; its own precision and wrapping are not used.
            make_optimizer: fused AdamW over the weights that train, called once they are compact;
                it may return one that was made before they were.
            max_grad_norm: longer gradients are shortened; None for no limit.
            probe_result: what the probe found.
            half: whether to compute in bfloat16.
            used_tokens: every token id that occurs; None to keep the whole table.
            disabled: parts to leave out, as `train.disable` names them.
        """
        own_memory(network)
        if "vocabulary" in disabled:
            used_tokens = None
        table = table_of(network)
        self._vocabulary = (
            CompactVocabulary(table, used_tokens)
            if table and used_tokens is not None and probe_result.exit
            else None
        )
        self._is_alone = accelerator.num_processes == 1 and accelerator.device.type == "cpu"
        keeps = self._is_alone and "vocabulary" not in disabled
        self._kept = TableGradient(table) if table and keeps else None
        self._updates_by_kernel = (
            self._is_alone and not disabled & {"update", "clipping"} and why_missing() is None
        )
        self._fused_update: FusedUpdate | None = None
        self.accelerator = accelerator
        self.sum_type = torch.float64
        super().__init__(
            network,
            run,
            accelerator.device,
            probe_result=probe_result,
            half=half,
            disabled=disabled,
        )
        try:
            self.optimizer: Any = make_optimizer()
        except BaseException:
            self.close()
            raise
        if self._vocabulary is not None:
            self._vocabulary.lend(self.optimizer)
        self._parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self._max_grad_norm = max_grad_norm or math.inf
        if self._updates_by_kernel:
            self._fused_update = FusedUpdate(self.optimizer, self._gradients, self._kept)
        self._table_name = next(
            (f"{name}.weight" for name, module in network.named_modules() if module is table), ""
        )

    @property
    def has_compact_vocabulary(self) -> bool:
        """Whether the table holds only the rows that occur."""
        return self._vocabulary is not None

    def outputs(self, batch: Batch) -> Outputs:
        """One pass; every token must be among those that were said to occur."""
        self._check(batch)
        return super().outputs(batch)

    def _check(self, batch: Batch) -> None:
        if self._vocabulary is not None:
            # what fills up a batch need not be among them
            is_real = batch.inputs["attention_mask"].numpy().astype(bool)
            self._vocabulary.check(batch.inputs["input_ids"].numpy()[is_real])

    def accumulate(self, batch: Batch, weight: float, *, is_last: bool) -> torch.Tensor:
        """Forward and backward; a model that cannot run packed takes the rows length by length."""
        parts = in_parts(batch) if self.probe_result.by_length else [batch]
        losses = []
        for part in parts:
            loss = self.outputs(part).loss_sum
            assert loss is not None  # noqa: S101 - training rows have labels, the survey saw to it
            torch.autograd.backward([loss * (weight * (not batch.is_dummy))])
            losses.append(loss.detach())
        if is_last:
            self._exchange()
        return torch.stack(losses).sum() * (not batch.is_dummy)

    def update(self, step: Step, *, wait: bool) -> list[FinishedStep]:
        """Compute the norm, then AdamW with a clipped gradient; by a kernel where there is one."""
        prepared = None
        if self._fused_update is not None:
            prepared = self._fused_update.prepare(self._copies.by_weight if self._copies else {})
        if prepared is None:
            norm = self._update_by_torch()
        else:
            norm = prepared.norm()
            if math.isfinite(norm):
                prepared.apply(1 / max((norm + 1e-6) / self._max_grad_norm, 1.0))
        if math.isfinite(norm) and self._vocabulary is not None and self._vocabulary.trains:
            group = self._vocabulary.group_in(self.optimizer)
            self._vocabulary.decay(1 - group["lr"] * group["weight_decay"])
        self._gradients.clear()
        self.optimizer.zero_grad()
        return [(step, sum_over_ranks(self.accelerator, step.loss_sum), norm)]

    def _update_by_torch(self) -> float:
        """Update by torch's operators; return the norm.

        AdamW divides by the clipping factor in the same pass.
        """
        self._gradients.widen()
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        norm = float(torch.nn.utils.get_total_norm(gradients))
        if math.isfinite(norm):
            shrink = max((norm + 1e-6) / self._max_grad_norm, 1.0)
            if shrink > 1 and "clipping" in self._disabled:
                torch._foreach_mul_(gradients, 1 / shrink)
                shrink = 1.0
            scale = None if shrink == 1.0 else torch.tensor(shrink, device=self._device)
            self.optimizer.grad_scale = scale
            self.optimizer.step()
            if self._copies is not None:
                self._copies.refresh()
        return norm

    def hand_back(self) -> None:
        """Let the optimizer hold the full table again, for use after training."""
        self.optimizer.grad_scale = None
        if self._vocabulary is not None:
            self._vocabulary.hand_back(self.optimizer)

    def discard_gradients(self) -> None:
        """Gradients, and the cache of the device."""
        self._gradients.clear()
        self.optimizer.zero_grad()
        release_memory(self._device)

    @contextmanager
    def plain_model(self) -> Iterator[None]:
        """The plain model with its full table."""
        with super().plain_model():  # which closes
            try:
                yield
            finally:
                if self._vocabulary is not None:
                    self._vocabulary.take()
                    self._vocabulary.compact()

    def state(self) -> dict[str, torch.Tensor]:
        """The optimizer's tensors, as if the table had been whole."""
        vocabulary = self._vocabulary
        if vocabulary is None:
            return read_state(self.network, self.optimizer)
        with vocabulary.compacted():
            tensors = read_state(self.network, self.optimizer)
        return {
            key: vocabulary.widen(tensor) if self._is_moment(key, tensor) else tensor
            for key, tensor in tensors.items()
        }

    def load_state(self, tensors: Mapping[str, torch.Tensor]) -> list[str]:
        """From either engine."""
        if self._fused_update is not None:
            self._fused_update.forget()
        vocabulary = self._vocabulary
        if vocabulary is None:
            return write_state(self.network, self.optimizer, tensors)
        narrowed = {
            key: vocabulary.narrow(tensor) if self._is_moment(key, tensor) else tensor
            for key, tensor in tensors.items()
        }
        with vocabulary.compacted():
            return write_state(self.network, self.optimizer, narrowed)

    def _is_moment(self, key: str, tensor: torch.Tensor) -> bool:
        """Whether an optimizer's tensor has a row for each row of the table."""
        return tensor.ndim == 2 and key.startswith(f"{self._table_name}.")

    def _patch(self) -> None:
        if self._kept is not None:
            self._kept.enter(self._patches)
        if self._vocabulary is not None:
            self._vocabulary.enter(self._patches)
        super()._patch()

    def _pack(self) -> None:
        super()._pack()
        if self._updates_by_kernel and self._layout is not None and self._layout.fused is not None:
            self._layout.fused.take_gradient = self._gradients.take

    def set_training(self, training: bool) -> None:
        """Switch dropout on or off."""
        self.network.train(training)

    def close(self) -> None:
        """Remove all patches and restore the full table."""
        super().close()
        if self._fused_update is not None:
            self._fused_update.forget()
        if self._vocabulary is not None and self._vocabulary.is_compact:
            self._vocabulary.expand()

    def _exchange(self) -> None:
        """Sum the gradients of all processes, in one piece.

        What has no gradient in any of them keeps none: AdamW leaves it alone, as in one process.
        """
        if self.accelerator.num_processes == 1:
            return
        has = torch.tensor([p.grad is not None for p in self._parameters], device=self._device)
        has = has.to(torch.int32)
        torch.distributed.all_reduce(has)
        shared = [p for p, count in zip(self._parameters, has.tolist(), strict=True) if count]
        for parameter in shared:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        flat = torch.cat([p.grad.flatten() for p in shared if p.grad is not None])
        torch.distributed.all_reduce(flat)
        start = 0
        for parameter in shared:
            stop = start + parameter.numel()
            assert parameter.grad is not None  # noqa: S101 - zero at least, by now
            parameter.grad.copy_(flat[start:stop].view_as(parameter))
            start = stop
