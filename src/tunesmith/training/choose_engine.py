"""Which engine trains a model: one over CUDA graphs, the ordinary fast one, or the exact one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tunesmith.data.batches import Batch, Examples
from tunesmith.i18n import gettext as _
from tunesmith.training.engine import Engine, ExactEngine, Pass
from tunesmith.training.fast.engine import FAST_DEVICES, FastEngine, FastForward
from tunesmith.training.fast.gpu_parts import UNMEASURED, left_out
from tunesmith.training.fast.graphs.engine import GraphedEngine, against_graphs
from tunesmith.training.fast.probe import ProbeResult, probe
from tunesmith.training.fast.ragged_attention import Kernels
from tunesmith.training.memory import OneRowTooLarge, is_out_of_memory

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["EngineSelection", "TrainingRows", "choose_engine"]


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """What the choice of an engine depends on, of the rows to train on.

    Attributes:
        sample: a few rows of different lengths, to compare engines on.
        batch: makes a padded batch of some rows, on the CPU.
        longest: the most tokens of a row; None if that is not known.
        token_ids: every token id that occurs, also in rows for evaluation; None if not known.
        copied: the rows to copy to the device; None if batches are made on the host.
    """

    sample: NDArray[np.int64]
    batch: Callable[[NDArray[np.int64]], Batch]
    longest: int | None
    token_ids: Iterable[int] | None
    copied: Examples | None = None


@dataclass(frozen=True, slots=True)
class EngineSelection:
    """An engine, and why it is this one.

    Attributes:
        engine: ready for the first step.
        probe_result: how the model runs fast; None for the exact engine.
        disabled: parts that were switched off.
        uses: the parts that the fast engine uses on a GPU; None elsewhere.
        could_enable: parts that it leaves out there until they are enabled.
    """

    engine: Engine
    probe_result: ProbeResult | None = None
    disabled: frozenset[str] = frozenset()
    uses: tuple[str, ...] | None = None
    could_enable: tuple[str, ...] = ()

    @property
    def is_padded(self) -> bool:
        """Whether batches go through the model with their padding."""
        return self.probe_result is None or self.probe_result.exit is None

    def as_json(self) -> Mapping[str, object]:
        """Return the engine's name and what its probe found, for `plan.json`."""
        result = self.probe_result
        if result is None:
            return {"name": "exact"}
        facts: dict[str, object] = {
            "name": "fast",
            "layout": result.exit or ("parts of equal length" if result.by_length else "padded"),
            "reason": result.reason,
            "disabled": sorted(self.disabled),
        }
        if isinstance(self.engine, GraphedEngine):
            facts |= {"graphs": True, "device_data": self.engine.has_data}
        if self.uses is not None:
            facts |= {"uses": list(self.uses), "could_enable": list(self.could_enable)}
        return facts

    def on_gpu(self) -> str:
        """Which parts compute on a GPU, and which could be enabled; empty elsewhere."""
        if self.uses is None:
            return ""
        uses = _("the fast engine uses here: {parts}").format(parts=", ".join(self.uses) or "-")
        if not self.could_enable:
            return uses
        off = _("not measured on a GPU, and off: {parts}").format(
            parts=", ".join(self.could_enable)
        )
        return f"{uses}; {off}"


def choose_engine(
    network: nn.Module,
    run: Pass,
    accelerator: Accelerator,
    *,
    rows: TrainingRows,
    make_optimizer: Callable[[], torch.optim.Optimizer],
    max_grad_norm: float | None,
    half: bool,
    note: Callable[[str], None],
    exact_because: str | None = None,
    disabled: frozenset[str] = frozenset(),
    enabled: frozenset[str] = frozenset(),
    sync_every: int = 1,
    has_unused: Callable[[], bool] = lambda: False,
) -> EngineSelection:
    """Choose the fastest engine that agrees with the exact one on some rows.

    Args:
        network: on its device, frozen weights marked.
        run: one pass.
        accelerator: device and processes, and the precision of the exact engine.
        rows: to train on.
        make_optimizer: AdamW over the weights that train, called once.
        max_grad_norm: longer gradients are shortened; None for no limit.
        half: whether the fast engine computes in bfloat16.
        note: called with a line about each part that is computed a slower way, also later.
        exact_because: why only the exact engine may be used, "" where the recipe says so; None if
            the fast one may be.
        disabled: parts of the fast engine to leave out, as `train.disable` names them.
        enabled: parts to use on a GPU although they are not measured, as `train.enable` names them.
        sync_every: steps after which results are needed.
        has_unused: whether some trained weight gets no gradient; asked for the exact engine.

    Raises:
        OneRowTooLarge: memory does not suffice for a single row (M111).
    """
    device = accelerator.device
    if exact_because is None and device.type not in FAST_DEVICES:
        exact_because = _("the fast one does not know {device}").format(device=device.type)
    if exact_because is not None:
        if exact_because:
            note(_("the exact engine is used: {reason}").format(reason=exact_because))
        exact = ExactEngine(
            network,
            run,
            accelerator,
            make_optimizer=make_optimizer,
            max_grad_norm=max_grad_norm,
            has_unused=accelerator.num_processes > 1 and has_unused(),
        )
        return EngineSelection(exact)
    selection = _fast(
        network, run, accelerator, rows,
        note=note, disabled=left_out(device, enabled=enabled, disabled=disabled),
        sync_every=sync_every,
        make_optimizer=make_optimizer, max_grad_norm=max_grad_norm, half=half,
    )  # fmt: skip
    if device.type == "cuda":
        selection = with_parts(selection, half=half, disabled=disabled)
    return replace(selection, disabled=disabled)


def with_parts(
    selection: EngineSelection, *, half: bool, disabled: frozenset[str]
) -> EngineSelection:
    """Add which parts of the fast engine compute the steps, and which could be enabled.

    Args:
        selection: of the fast engine; its `disabled` has all parts that are left out.
        half: whether it computes in bfloat16.
        disabled: the parts that the recipe leaves out.
    """
    engine, result = selection.engine, selection.probe_result
    assert isinstance(engine, FastEngine) and result is not None  # noqa: S101 - `_fast` made them
    uses = {
        "packing": result.exit is not None or result.by_length,
        "last_layer": result.exit == "first token, last layer cut",
        "dropout": True,
        "vocabulary": engine.has_compact_vocabulary,
        "copies": half,
        "clipping": True,
        "process": True,
        "varlen": result.kernels is not None and not result.kernels.refusals,
        "graphs": isinstance(engine, GraphedEngine),
        "device_data": isinstance(engine, GraphedEngine) and engine.has_data,
    }
    off = selection.disabled
    return replace(
        selection,
        uses=tuple(part for part in uses if uses[part] and part not in off),
        could_enable=tuple(part for part in UNMEASURED if part in off - disabled),
    )


def _fast(
    network: nn.Module,
    run: Pass,
    accelerator: Accelerator,
    rows: TrainingRows,
    *,
    note: Callable[[str], None],
    half: bool,
    disabled: frozenset[str],
    sync_every: int,
    **options: Any,
) -> EngineSelection:
    """Probe, rehearse, and choose between the fast engines."""
    device = accelerator.device
    result, batch = _probe(network, run, rows, device, disabled=disabled)
    if result.exit is None and "packing" not in disabled:
        words = (
            _("batches are cut into parts of nearly equal length; without padding: {reason}")
            if result.by_length
            else _("batches stay padded: {reason}")
        )
        note(words.format(reason=result.reason))
    if result.fuse_refusal:
        words = _("layers are computed operator by operator: {reason}")
        note(words.format(reason=result.fuse_refusal))
    result, reasons = rehearse(
        network, run, batch, device, probe_result=result, half=half, disabled=disabled
    )
    for reason in reasons:
        note(_("attention is computed in groups: {reason}").format(reason=reason))
    against = against_graphs(
        result, device,
        num_processes=accelerator.num_processes,
        in_groups=result.kernels is None or bool(reasons),
        longest=rows.longest,
        disabled=disabled,
    )  # fmt: skip
    if against:
        note(_("steps are not recorded as CUDA graphs: {reason}").format(reason=against))
    options |= {
        "half": half, "probe_result": result, "used_tokens": rows.token_ids, "disabled": disabled,
    }  # fmt: skip
    if against is not None or rows.longest is None:
        engine = FastEngine(network, run, accelerator, **options)
        return EngineSelection(engine, result, disabled)
    graphed = GraphedEngine(
        network, run, accelerator,
        longest=rows.longest, note=note, sync_every=sync_every, **options,
    )  # fmt: skip
    if rows.copied is not None and "device_data" not in disabled:
        graphed.keep(rows.copied)
    return EngineSelection(graphed, result, disabled)


def _probe(
    network: nn.Module,
    run: Pass,
    rows: TrainingRows,
    device: torch.device,
    *,
    disabled: frozenset[str],
) -> tuple[ProbeResult, Batch]:
    """Probe the model on the sample, or on less of it where memory does not suffice."""
    sample = rows.sample
    while True:
        batch = rows.batch(sample)
        try:
            return probe(network, run, batch, device, disabled=disabled), batch
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        if len(sample) == 1:
            raise OneRowTooLarge.of_batch(batch)
        sample = sample[: len(sample) // 2]


def rehearse(
    network: nn.Module,
    run: Pass,
    batch: Batch,
    device: torch.device,
    *,
    probe_result: ProbeResult,
    half: bool,
    disabled: frozenset[str] = frozenset(),
) -> tuple[ProbeResult, tuple[str, ...]]:
    """Try torch's ragged kernels in the precision of training; the model is left as it was.

    The probe compares in float32, for which one kernel is used; training in bfloat16 uses another.
    Both are private to torch, so that one is tried before it is relied on.

    Args:
        network: on its device, in float32.
        run: one pass.
        batch: a few labeled rows, padded, on the CPU.
        device: of the model.
        probe_result: what the probe found.
        half: whether training computes in bfloat16.
        disabled: parts to leave out.

    Returns:
        The result, without kernels if they failed; and why some attention is computed in groups.
    """
    if probe_result.kernels is None:
        return probe_result, (probe_result.kernel_refusal,) if probe_result.kernel_refusal else ()
    kernels = Kernels()  # what they refused in float32 they may take in bfloat16
    tried = replace(probe_result, kernels=kernels)
    forward = FastForward(network, run, device, probe_result=tried, half=half, disabled=disabled)
    try:
        loss = forward.outputs(batch).loss_sum
        assert loss is not None  # noqa: S101 - the rows are labeled
        torch.autograd.backward([loss])
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        is_finite = bool(nn.utils.get_total_norm(gradients).isfinite())
        failure = "" if is_finite else _("the gradient is not finite")
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        failure = str(error).splitlines()[0]
    finally:
        network.zero_grad(set_to_none=True)
        forward.close()
    if failure:
        return replace(probe_result, kernels=None), (failure,)
    return tried, tuple(kernels.refusals)
