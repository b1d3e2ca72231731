"""Checkpoints of a Trainer: `checkpoint-N` under its output folder, whole or absent.

    checkpoint-500/   config.json  model.safetensors  tokenizer files      as from_pretrained reads
                      optimizer.safetensors  state.json  trainer_state.json  MANIFEST.json

Weights, optimizer state and numbers are what `tunesmith.checkpoint` writes and puts back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, TrainerState

from tunesmith import checkpoint, commit
from tunesmith.checkpoint import Checkpoint
from tunesmith.engine import Engine
from tunesmith.errors import IntegrityError, Place, Problem
from tunesmith.language import gettext as _
from tunesmith.loop import Progress

__all__ = ["best_of", "find", "keep", "keep_best", "save"]

_NAME = re.compile(r"checkpoint-(\d+)")
_STATE = "trainer_state.json"


def save(
    output: Path,
    engine: Engine,
    progress: Progress,
    *,
    facts: Mapping[str, object],
    state: TrainerState,
    processing_class: Any,
) -> Path:
    """Commit a checkpoint; one of the same step, from an earlier training, is replaced.

    Raises:
        ResourceError: the disk is full or cannot be written (C107).
    """
    target = output / f"checkpoint-{progress.step}"
    if target.exists():
        commit.discard(target)
    with commit.publish(target) as folder:
        checkpoint.write(folder, engine, progress, facts)
        _save_beside(folder, engine.network, processing_class)
        state.save_to_json(str(folder / _STATE))
    return target


def _save_beside(folder: Path, model: Any, processing_class: Any) -> None:
    """What a model folder holds besides weights: its config, and the tokenizer."""
    if isinstance(model, PreTrainedModel):
        model.config.save_pretrained(folder)
    if processing_class is not None:
        processing_class.save_pretrained(folder)


def find(output: Path, asked: str | bool) -> tuple[Checkpoint, TrainerState]:
    """The checkpoint to go on from, verified.

    Args:
        output: where checkpoints are.
        asked: True for the newest whole one, or a folder.

    Raises:
        IntegrityError: there is none, or it is damaged or written by something else (M130).
    """
    if isinstance(asked, bool):
        folders = [folder for _step, folder in _all(output)]
        whole = [folder for folder in reversed(folders) if commit.damage(folder) is None]
        if not whole:
            raise IntegrityError(_none_whole(output, folders))
        folder = whole[0]
    else:
        folder = Path(asked)
        if damage := commit.damage(folder):
            raise IntegrityError(_unusable(folder, damage))
    try:
        state = TrainerState.load_from_json(str(folder / _STATE))
        return checkpoint.read(folder), state
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(_unusable(folder, str(error))) from error


def best_of(step: int | None, homes: Iterable[Path]) -> str | None:
    """The checkpoint of the best step in the first folder that has it; None if none has."""
    folders = (home / f"checkpoint-{step}" for home in homes)
    return next((str(folder) for folder in folders if step and folder.is_dir()), None)


def keep(newest: Path, *, limit: int | None, best: str | None) -> None:
    """Delete the oldest checkpoints beside the newest until `limit` are left; the best stays, too.

    The oldest by time: those of an earlier training in this folder may have higher numbers.
    """
    if limit is None or limit <= 0:
        return
    found = [(folder.stat().st_mtime_ns, step, folder) for step, folder in _all(newest.parent)]
    protected = {Path(name).resolve() for name in (newest, best) if name is not None}
    others = [folder for *_age, folder in sorted(found) if folder.resolve() not in protected]
    for folder in others[: max(0, len(found) - max(limit, len(found) - len(others)))]:
        commit.discard(folder)


def keep_best(output: Path, best: Path) -> None:
    """Delete every checkpoint but the best, which may lie where an earlier training left it."""
    for _step, folder in _all(output):
        if folder.resolve() != best.resolve():
            commit.discard(folder)


def _all(output: Path) -> list[tuple[int, Path]]:
    """Steps and folders in rising order, verified or not."""
    if not output.is_dir():
        return []
    matches = ((_NAME.fullmatch(path.name), path) for path in output.iterdir())
    return sorted((int(match[1]), path) for match, path in matches if match)


def _none_whole(output: Path, folders: list[Path]) -> Problem:
    return Problem(
        "M130",
        _("there is no whole checkpoint to resume from"),
        Place(str(output)),
        evidence=tuple(f"{folder.name}: {commit.damage(folder)}" for folder in folders),
        fix=_("Call train() without resume_from_checkpoint to begin anew."),
    )


def _unusable(folder: Path, damage: str) -> Problem:
    return Problem(
        "M130",
        _("the checkpoint cannot be resumed from: {damage}").format(damage=damage),
        Place(str(folder)),
        fix=_("Only checkpoints that this Trainer wrote hold what an exact resumption needs."),
    )
