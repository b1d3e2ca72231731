"""A run that continues keeps its micro-batches, however many processes there are now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tunesmith.runs.fingerprint import changed_bits
from tunesmith.runs.session import Session
from tunesmith.training.checkpoint import Checkpoint
from tunesmith.training.peers import current

__all__ = ["keep_micro_batches"]


def keep_micro_batches(session: Session, saved: Checkpoint | None) -> None:
    """Split the steps as before, and warn of what is no longer as it was when the run began.

    Dropout is drawn for each micro-batch. Without `train.micro_batch_size` they become smaller only
    where else a process would have none, and never larger. Every process calls this.

    Args:
        session: with the progress of the checkpoint that it continues from.
        saved: that checkpoint; None for none.
    """
    job = session.job
    began = session.stored_plan.get("fingerprint") or (saved.fingerprint if saved else {})
    last = saved.fingerprint if saved else began
    size = current().decide("micro-batches", _size_in(last), lambda sizes: sizes[0])
    if job.recipe.train.micro_batch_size is None:
        session.job = replace(job, plan=job.plan.continuing(size))
    session.fingerprint = _with_size(session.fingerprint, session.job.plan.micro_batch_size)
    if not session.accelerator.is_main_process:
        return
    limit = session.progress.micro_batch_size  # where memory allowed fewer
    session.warnings += changed_bits(
        _with_size(began, size, limit),
        _with_size(session.fingerprint, session.job.plan.micro_batch_size, limit),
        str(session.run.path),
    )


def _size_in(fingerprint: Mapping[str, Any]) -> int | None:
    """The micro-batch size of a session, if its fingerprint has it."""
    size = fingerprint.get("machine", {}).get("micro_batch_size")
    return size if isinstance(size, int) and size > 0 else None


def _with_size(
    fingerprint: Mapping[str, Any], size: int | None, limit: int | None = None
) -> dict[str, Any]:
    """The fingerprint with a micro-batch size, at most `limit`, if it is known."""
    if size is None:
        return dict(fingerprint)
    machine = {**fingerprint.get("machine", {}), "micro_batch_size": min(size, limit or size)}
    return {**fingerprint, "machine": machine}
