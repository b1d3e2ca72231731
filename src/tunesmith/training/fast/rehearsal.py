"""The rehearsal: torch's ragged kernels there and back, in the precision of training.

The probe compares in float32, for which one kernel is used; training in bfloat16 uses another. Both
are private to torch, so that one is tried before it is relied on.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from tunesmith.data.batches import Batch
from tunesmith.i18n import gettext as _
from tunesmith.training.engine import Pass
from tunesmith.training.fast.engine import FastForward
from tunesmith.training.fast.probe import ProbeResult
from tunesmith.training.fast.ragged_attention import Kernels
from tunesmith.training.memory import is_out_of_memory

__all__ = ["rehearse"]


def rehearse(
    network: nn.Module,
    run: Pass,
    batch: Batch,
    device: torch.device,
    *,
    verdict: ProbeResult,
    half: bool,
    without: frozenset[str] = frozenset(),
) -> tuple[ProbeResult, tuple[str, ...]]:
    """Train on a few rows without an update; the model is left as it was.

    Args:
        network: on its device, in float32.
        run: one pass of the task.
        batch: a few labelled rows, padded, on the CPU.
        device: of the model.
        verdict: what the probe found.
        half: whether training computes in bfloat16.
        without: parts to leave out.

    Returns:
        The verdict, without kernels if they failed; and why some attention is computed in groups,
        in words, nothing if none is.
    """
    if verdict.kernels is None:
        return verdict, (verdict.without_kernels,) if verdict.without_kernels else ()
    kernels = Kernels()  # what they refused in float32 they may take in bfloat16
    tried = replace(verdict, kernels=kernels)
    forward = FastForward(network, run, device, verdict=tried, half=half, without=without)
    try:
        loss = forward.outputs(batch).loss_sum
        assert loss is not None  # noqa: S101 - the rows are labelled
        torch.autograd.backward([loss])
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        failure = "" if bool(nn.utils.get_total_norm(gradients).isfinite()) else _not_finite()
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        failure = str(error).splitlines()[0]
    finally:
        network.zero_grad(set_to_none=True)
        forward.close()
    if failure:
        return replace(verdict, kernels=None), (failure,)
    return tried, tuple(kernels.refusals)


def _not_finite() -> str:
    return _("the gradient is not finite")
