"""Whether the checkpoints of a run will fit on its disk."""

from __future__ import annotations

import shutil

from torch import nn

from tunesmith.errors import Place, Problem, ResourceError
from tunesmith.i18n import gettext as _
from tunesmith.runs.folder import RunFolder
from tunesmith.training import checkpoint

__all__ = ["refuse_small_disk"]


def refuse_small_disk(run: RunFolder, network: nn.Module, keep_checkpoints: int) -> None:
    """Find out before training that checkpoints and model cannot fit.

    A checkpoint holds the weights and, in float32, both moments of those that train. At most
    `keep_checkpoints`, the best one and one being written are there at a time, then the model.

    Args:
        run: whose folder; what it holds already needs no more room.
        network: as it is saved.
        keep_checkpoints: how many of the newest are kept.

    Raises:
        ResourceError: too little space is free (C107).
    """
    parameters = list(network.parameters())
    weights = sum(p.numel() * p.element_size() for p in parameters)
    trained = sum(p.numel() * 4 for p in parameters if p.requires_grad)
    missing = max(0, keep_checkpoints + 2 - len(checkpoint.saved_steps(run.checkpoints)))
    needed = int(1.1 * ((weights + 2 * trained) * missing + weights))
    free = shutil.disk_usage(run.path).free
    if free < needed:
        raise ResourceError(
            Problem(
                "C107",
                _(
                    "{needed:.1f} GB are needed for checkpoints and model, {free:.1f} are free"
                ).format(needed=needed / 1e9, free=free / 1e9),
                Place(str(run.path)),
                fix=_("Make room, name another disk with --out, or lower train.keep_checkpoints."),
            )
        )
