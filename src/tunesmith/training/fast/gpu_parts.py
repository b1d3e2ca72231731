"""Parts of the fast engine that are used on a GPU only where they are enabled.

They were written and tested on a CPU, and no GPU has measured them yet. `train.enable` names those
to use; `benchmarks/gpu.py` measures each.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["UNMEASURED", "left_out"]

UNMEASURED = ("varlen", "graphs", "device_data")
"""Each needs those before it: graphs ragged attention, and data on the device graphs."""


def left_out(
    device: torch.device, *, enabled: Iterable[str] = (), disabled: Iterable[str] = ()
) -> frozenset[str]:
    """Return the parts that an engine leaves out on a device.

    Args:
        device: of the model; on a CPU these parts do not exist.
        enabled: parts to use although they are not measured, as `train.enable` names them; a part
            brings along those that it needs.
        disabled: parts to leave out in any case, as `train.disable` names them.
    """
    if device.type != "cuda":
        return frozenset(disabled)
    last = max((UNMEASURED.index(part) for part in enabled), default=-1)
    return frozenset(disabled) | frozenset(UNMEASURED[last + 1 :])
