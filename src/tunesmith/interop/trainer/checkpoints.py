"""Checkpoints of a Trainer: `checkpoint-N` under its output folder, whole or absent.

    checkpoint-500/   config.json  model.safetensors  tokenizer files      as from_pretrained reads
                      adapter_config.json  adapter_model.safetensors       of a model with adapters
                      optimizer.safetensors  state.json  random.safetensors
                      trainer_state.json  training_args.json  MANIFEST.json

Safetensors and JSON only, no pickle. transformers' Trainer goes on from one with its weights and
state, and begins optimizer, schedule and random numbers again; ours does not read optimizers of
transformers' checkpoints, which are pickles.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from transformers import TrainerState

from tunesmith.errors import IntegrityError, Place, Problem
from tunesmith.i18n import gettext as _
from tunesmith.interop.trainer.callbacks import note_states
from tunesmith.storage import atomic

__all__ = [
    "Keeper",
    "UnusableError",
    "best_of",
    "keep",
    "keep_best",
    "newest_whole",
    "save",
    "unusable",
    "verify",
]

_NAME = re.compile(r"checkpoint-(\d+)")
_STATE = "trainer_state.json"


class UnusableError(IntegrityError, ValueError):
    """No checkpoint, or one that cannot be resumed from: a ValueError too."""


class Keeper(Protocol):
    """A Trainer as far as its checkpoints go."""

    args: Any
    state: TrainerState
    control: Any
    callback_handler: Any
    accelerator: Any


def save(keeper: Keeper, output: Path, write: Callable[[Path], None]) -> None:
    """Commit a checkpoint of this step by the first process, while the others wait.

    One of the same step, from an earlier training, is replaced.

    Args:
        keeper: the Trainer.
        output: where checkpoints are.
        write: puts model and progress into a folder.

    Raises:
        ResourceError: the disk is full or cannot be written (C107).
    """
    state = keeper.state
    target = output / f"checkpoint-{state.global_step}"
    if state.best_global_step == state.global_step:
        state.best_model_checkpoint = str(target)
    elif best := best_of(state.best_global_step, [output]):
        state.best_model_checkpoint = best
    note_states([*keeper.callback_handler.callbacks, keeper.control], state)
    if keeper.accelerator.is_main_process:
        if target.exists():
            atomic.discard(target)
        with atomic.publish(target) as folder:
            write(folder)
            state.save_to_json(str(folder / _STATE))
        keep(target, limit=keeper.args.save_total_limit, best=state.best_model_checkpoint)
    keeper.accelerator.wait_for_everyone()


def newest_whole(output: Path) -> Path:
    """The newest checkpoint that is as it was written.

    Raises:
        UnusableError: there is none (M130).
    """
    folders = [folder for _step, folder in _all(output)]
    whole = next((f for f in reversed(folders) if atomic.damage(f) is None), None)
    if whole is None:
        raise UnusableError(_none_whole(output, folders))
    return whole


def verify(folder: Path) -> TrainerState:
    """The state of a Trainer in a checkpoint, once every byte of that is found as it was written.

    Raises:
        UnusableError: it is damaged or was written by something else (M130).
    """
    if damage := atomic.damage(folder):
        raise unusable(folder, damage)
    try:
        return TrainerState.load_from_json(str(folder / _STATE))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unusable(folder, str(error)) from error


def best_of(step: int | None, homes: Iterable[Path]) -> str | None:
    """The checkpoint of the best step in the first folder that has it; None if none has."""
    folders = (home / f"checkpoint-{step}" for home in homes)
    return next((str(folder) for folder in folders if step and folder.is_dir()), None)


def keep(newest: Path, *, limit: int | None, best: str | None) -> None:
    """Delete the oldest checkpoints until `limit` are left; the newest and the best stay.

    The oldest by time: those of an earlier training in this folder may have higher numbers.
    """
    if limit is None or limit <= 0:
        return
    saved = [(folder.stat().st_mtime_ns, step, folder) for step, folder in _all(newest.parent)]
    protected = {Path(name).resolve() for name in (newest, best) if name is not None}
    others = [folder for *_age, folder in sorted(saved) if folder.resolve() not in protected]
    for folder in others[: max(0, len(saved) - max(limit, len(saved) - len(others)))]:
        atomic.discard(folder)


def keep_best(output: Path, best: Path) -> None:
    """Delete every checkpoint but the best, which may be where an earlier training left it."""
    for _step, folder in _all(output):
        if folder.resolve() != best.resolve():
            atomic.discard(folder)


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
        evidence=tuple(f"{folder.name}: {atomic.damage(folder)}" for folder in folders),
        fix=_("Call train() without resume_from_checkpoint to start from scratch."),
    )


def unusable(folder: Path, damage: str) -> UnusableError:
    """That a checkpoint cannot be resumed from (M130)."""
    return UnusableError.of(
        "M130",
        _("the checkpoint cannot be resumed from: {damage}").format(damage=damage),
        Place(str(folder)),
        fix=_("Only checkpoints that this Trainer wrote hold what an exact resumption needs."),
    )
