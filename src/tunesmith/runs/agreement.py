"""What the processes of a job agree on before the first step: inputs, and where to resume.

Only process 0 reads and writes the run folder. The others take checkpoints from their own disk if
it holds the same to the byte, as in a shared folder, and otherwise from process 0, into memory.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tunesmith.errors import IntegrityError, Place
from tunesmith.i18n import gettext as _
from tunesmith.runs.fingerprint import disagreements
from tunesmith.runs.prepare import PreparedRun
from tunesmith.storage import atomic
from tunesmith.training import checkpoint
from tunesmith.training.peers import current

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["agree_on_checkpoint", "agree_on_inputs", "fetch_from_main"]

_PIECE = 1 << 24
"""Bytes that are exchanged at once."""
_PATHS = ("model", "data.train", "data.validation", "data.test")
"""Settings that may name a file, which each process may have elsewhere: its content is compared."""


def agree_on_inputs(job: PreparedRun, *, device: str, precision: str) -> None:
    """See that every process has the same recipe, data, model and versions.

    Raises:
        IntegrityError: they differ (C140).
        PeerError: another process failed (C141).
    """
    peers = current()
    if peers.size == 1:
        return
    facts = {
        **job.fingerprint,
        "recipe": {k: v for k, v in job.fingerprint["recipe"].items() if not _names_a_file(k, v)},
        "model": {k: v for k, v in job.fingerprint["model"].items() if k != "name"},
        "machine": {
            "processes": peers.size,
            "device": device,
            "precision": precision,
            "micro_batch_size": job.plan.micro_batch_size,
        },
    }
    peers.decide("inputs", json.loads(json.dumps(facts, default=str)), _refuse_different)


def _names_a_file(key: str, value: object) -> bool:
    return key in _PATHS and not (isinstance(value, str) and value.endswith("%"))


def _refuse_different(facts: Sequence[Mapping[str, Any]]) -> None:
    lines = [
        _("process {rank}: {difference}").format(rank=rank, difference=line)
        for rank, theirs in enumerate(facts)
        for line in disagreements(facts[0], theirs)
    ]
    if lines:
        raise IntegrityError.of(
            "C140",
            _("the processes of the job do not train the same"),
            evidence=tuple(lines[:12]),
            fix=_("Give every process the recipe, data, model and versions of process 0."),
        )


def agree_on_checkpoint(
    home: Path, topic: str, choose: Callable[[], checkpoint.Checkpoint | None]
) -> tuple[checkpoint.Checkpoint, Mapping[str, Any]] | None:
    """The checkpoint that process 0 chooses, on every process, and its manifest.

    Args:
        home: the folder of checkpoints of this process; that of process 0 counts.
        topic: what it is for.
        choose: called by process 0; an error it raises is raised by every process.
    """

    def choice(_ranks: object) -> dict[str, Any] | None:
        chosen = choose()
        if chosen is None:
            return None
        return {
            "name": chosen.folder.name,
            "progress": asdict(chosen.progress),
            "facts": dict(chosen.facts),
            "fingerprint": dict(chosen.fingerprint),
            "manifest": (chosen.folder / atomic.MANIFEST).read_text(encoding="utf-8"),
        }

    chosen = current().decide(topic, None, choice)
    if chosen is None:
        return None
    progress = checkpoint.progress_from_json(chosen["progress"])
    folder = home / chosen["name"]
    same = checkpoint.Checkpoint(folder, progress, chosen["facts"], chosen["fingerprint"])
    return same, {"text": chosen["manifest"], **json.loads(chosen["manifest"])}


def fetch_from_main(
    folder: Path, manifest: Mapping[str, Any], accelerator: Accelerator
) -> checkpoint.Fetch:
    """How this process gets the files of a checkpoint that process 0 has; every process calls it.

    Returns:
        a function that every process has to call with the same files in the same order.
    """
    peers = current()
    if peers.size == 1:
        return checkpoint.from_disk
    has_it = peers.rank == 0 or _is_same(folder, manifest["text"])
    if peers.decide("has", has_it, all):
        return checkpoint.from_disk

    def fetch(path: Path) -> bytes | None:
        entry = manifest["files"][path.name]
        content = _broadcast(None if peers.rank else path, int(entry["bytes"]), accelerator)
        if has_it:
            return None
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise IntegrityError.of(
                "C102",
                _("what process 0 sent is not what its manifest says"),
                Place(str(path)),
                fix=_("Run the same command again."),
            )
        return content

    return fetch


def _is_same(folder: Path, manifest: str) -> bool:
    """Whether a checkpoint of this disk is that of process 0, and whole."""
    try:
        text = (folder / atomic.MANIFEST).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    return text == manifest and atomic.damage(folder) is None


def _broadcast(path: Path | None, size: int, accelerator: Accelerator) -> bytes:
    """The content of a file of process 0, in pieces; of that process nothing, which has it."""
    from torch.distributed import broadcast

    content = bytearray()
    file = path.open("rb") if path is not None else None
    try:
        for start in range(0, size, _PIECE):
            length = min(_PIECE, size - start)
            piece = torch.zeros(length, dtype=torch.uint8)
            if file is not None:
                part = file.read(length)
                piece[: len(part)] = torch.frombuffer(bytearray(part), dtype=torch.uint8)
            piece = piece.to(accelerator.device)
            broadcast(piece, src=0)
            if file is None:
                content += piece.cpu().numpy().tobytes()
    finally:
        if file is not None:
            file.close()
    return bytes(content)
