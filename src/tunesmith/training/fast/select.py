"""Which fast engine a model gets: one over static memory with CUDA graphs, or the ordinary one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import nn

from tunesmith.data.batches import Batch, Examples
from tunesmith.i18n import gettext as _
from tunesmith.training.engine import Pass
from tunesmith.training.fast.engine import FastEngine
from tunesmith.training.fast.graphs.engine import GraphedEngine, against_graphs
from tunesmith.training.fast.probe import ProbeResult
from tunesmith.training.fast.rehearsal import rehearse

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["engine_for"]


def engine_for(
    network: nn.Module,
    run: Pass,
    accelerator: Accelerator,
    *,
    verdict: ProbeResult,
    half: bool,
    without: frozenset[str],
    probed: Batch,
    examples: Examples,
    draws: bool,
    sync_every: int,
    note: Callable[[str], None],
    **named: Any,
) -> FastEngine:
    """Rehearse torch's kernels, and take the fastest engine that the answers allow.

    Args:
        network: on its device, in float32, frozen weights marked.
        run: one pass of the task.
        accelerator: device and processes.
        verdict: what the probe found.
        half: whether to compute in bfloat16.
        without: parts to leave out, as `train.disable` names them.
        probed: the rows of the probe.
        examples: all training rows.
        draws: whether the task draws something about rows, which only the host can do.
        sync_every: after how many steps somebody wants to know of them.
        note: told, in a line, of what is computed the slower way.
        **named: as `FastEngine` takes them.
    """
    device = accelerator.device
    verdict, reasons = rehearse(
        network, run, probed, device, verdict=verdict, half=half, without=without
    )
    for reason in reasons:
        note(_("attention is computed in groups: {reason}").format(reason=reason))
    named |= {"verdict": verdict, "half": half, "without": without}
    against = against_graphs(
        verdict, device,
        num_processes=accelerator.num_processes,
        in_groups=verdict.kernels is None or bool(reasons),
        without=without,
    )  # fmt: skip
    if against is not None:
        if against:
            note(_("steps are not recorded as CUDA graphs: {reason}").format(reason=against))
        return FastEngine(network, run, accelerator, **named)
    longest = int(examples.lengths.max())
    engine = GraphedEngine(
        network, run, accelerator, longest=longest, note=note, sync_every=sync_every, **named
    )
    if not draws and "device_data" not in without:
        engine.keep(examples)
    return engine
