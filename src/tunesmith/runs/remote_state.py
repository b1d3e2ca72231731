"""What a state of a run is made of: which files of its folder are sent to a store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tunesmith.remote.snapshot import Snapshot
from tunesmith.remote.upload import LocalFile, State
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.plan_file import read_plan
from tunesmith.storage.manifest import recorded_hashes

__all__ = ["checkpoint_folder", "finished_state", "is_same", "state_at"]

_PARTS = ("recipe", "data", "tokenizer", "model")


def checkpoint_folder(run: RunFolder, step: int) -> Path:
    """Return the folder of a checkpoint."""
    return run.checkpoints / f"step-{step:08d}"


def is_same(known: Snapshot, state: State) -> bool:
    """Return whether the store has the same finished model already."""
    theirs = {name: file.sha256 for name, file in known.files.items() if name.startswith("model/")}
    ours = {file.name: file.sha256 for file in state.files if file.name.startswith("model/")}
    return known.is_finished and theirs == ours


def state_at(run: RunFolder, step: int, keep: int) -> State:
    """Return the state as of a whole checkpoint.

    Raises:
        OSError: it is not there.
        ValueError: it is not what it should be.
    """
    from tunesmith.training import checkpoint

    best = checkpoint.read(checkpoint_folder(run, step)).progress.best_step
    steps = {step, best} - {0}
    files = _loose(run)
    for one in sorted(steps):
        files += _folder(run, checkpoint_folder(run, one))
    return State(
        step, False, _fingerprint(run), tuple(files), run.log, _size(run.log), keep,
        frozenset(steps),
    )  # fmt: skip


def finished_state(run: RunFolder) -> State:
    """Return the state with model, predictions and report, without checkpoints."""
    files = [*_loose(run), *_folder(run, run.predictions), *_folder(run, run.model)]
    if run.report.is_file():
        files.append(LocalFile(run.report.name, run.report))
    steps = int(run.facts().get("steps", 0))
    return State(steps, True, _fingerprint(run), tuple(files), run.log, _size(run.log), 2)


def _loose(run: RunFolder) -> list[LocalFile]:
    paths = (run.recipe, run.plan, run.rejected)
    return [LocalFile(path.name, path) for path in paths if path.is_file()]


def _folder(run: RunFolder, folder: Path) -> list[LocalFile]:
    name = folder.relative_to(run.path).as_posix()
    return [
        LocalFile(f"{name}/{file}", folder / file, digest)
        for file, digest in recorded_hashes(folder).items()
    ]


def _fingerprint(run: RunFolder) -> dict[str, Any]:
    fingerprint = read_plan(run)[0].get("fingerprint", {})
    return {part: fingerprint[part] for part in _PARTS if part in fingerprint}


def _size(path: Path) -> int:
    return path.stat().st_size if os.path.lexists(path) else 0
