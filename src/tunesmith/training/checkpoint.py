"""Checkpoints: weights, optimizer state and a few numbers, each folder whole or absent.

    checkpoints/step-00000400/   model.safetensors  optimizer.safetensors  state.json  MANIFEST.json

Everything else a run needs is a function of the step. Safetensors and JSON only, no pickle.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NoReturn

from pydantic import TypeAdapter
from safetensors.torch import load, load_file, load_model, save_file, save_model
from torch import nn

from tunesmith.errors import IntegrityError, Place, Problem, ResourceError, Severity
from tunesmith.i18n import gettext as _
from tunesmith.storage import atomic
from tunesmith.training.engine import Engine
from tunesmith.training.memory import is_out_of_memory
from tunesmith.training.progress import Progress

__all__ = [
    "Checkpoint",
    "Fetch",
    "from_disk",
    "latest",
    "load_weights",
    "progress_from_json",
    "read",
    "restore",
    "retain",
    "save",
    "saved_steps",
    "write",
]

_NAME = re.compile(r"step-([0-9]{8}|[1-9][0-9]{8,15})")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A verified checkpoint.

    Attributes:
        folder: where it lies.
        progress: how far training was.
        facts: what else was noted when it was saved, such as time spent.
        fingerprint: of the run that saved it: recipe, data, model, tokenizer, versions, machine.
    """

    folder: Path
    progress: Progress
    facts: Mapping[str, Any]
    fingerprint: Mapping[str, Any] = field(default_factory=dict)


Fetch = Callable[[Path], bytes | None]
"""Gives the content of a file of a checkpoint, or None where it is to be read from the disk."""


def from_disk(_path: Path) -> None:
    """Have every file read from the disk."""


def save(
    home: Path,
    engine: Engine,
    progress: Progress,
    facts: Mapping[str, object],
    fingerprint: Mapping[str, object] | None = None,
) -> Path:
    """Commit a checkpoint of the step in `progress`; an existing one stays.

    Args:
        home: the folder of all checkpoints of the run.
        engine: holds weights and optimizer state.
        progress: how far training is.
        facts: what else is to be known at resumption.
        fingerprint: of the run, so that no other run takes the checkpoint for its own.

    Raises:
        ResourceError: the disk is full or cannot be written (C107); nothing partial is left.
    """
    target = home / f"step-{progress.step:08d}"
    if os.path.lexists(target):
        if atomic.damage(target) is None:
            return target
        atomic.set_aside(target)
    with atomic.publish(target) as folder:
        write(folder, engine, progress, facts, fingerprint)
    return target


def write(
    folder: Path,
    engine: Engine,
    progress: Progress,
    facts: Mapping[str, object],
    fingerprint: Mapping[str, object] | None = None,
) -> None:
    """Put all that a checkpoint holds into a folder that is about to be committed."""
    with engine.plain_model():
        # transformers reads weights only if the file says which library they are for
        save_model(engine.network, str(folder / "model.safetensors"), metadata={"format": "pt"})
        save_file(engine.state(), folder / "optimizer.safetensors")
    state = {
        "progress": asdict(progress),
        "facts": dict(facts),
        "fingerprint": dict(fingerprint or {}),
    }
    text = json.dumps(state, indent=1, allow_nan=False) + "\n"
    (folder / "state.json").write_text(text, encoding="utf-8", newline="\n")


def restore(checkpoint: Checkpoint, engine: Engine, fetch: Fetch = from_disk) -> None:
    """Put weights and optimizer state back, in place, to the bit.

    Args:
        checkpoint: what to restore.
        engine: of the same model.
        fetch: called with each of its files in turn.

    Raises:
        IntegrityError: the tensors are not those of this model (C109).
    """
    with engine.plain_model():
        load_weights(checkpoint.folder, engine.network, fetch)
        path = checkpoint.folder / "optimizer.safetensors"
        content = fetch(path)
        state = load_file(path) if content is None else load(content)
        try:
            unknown = engine.load_state(state)
        except (RuntimeError, KeyError, ValueError) as error:
            _refuse_foreign(checkpoint.folder, error)
    if unknown:
        raise IntegrityError(_foreign(checkpoint.folder, sorted(set(unknown))))


def load_weights(folder: Path, model: nn.Module, fetch: Fetch = from_disk) -> None:
    """Put the weights of a checkpoint or model folder into a model, in place.

    Raises:
        IntegrityError: a weight is missing, left over or of another shape (C109).
    """
    path = folder / "model.safetensors"
    content = fetch(path)
    try:
        if content is None:
            load_model(model, path, strict=True)
        else:
            _load_content(model, content)
    except RuntimeError as error:
        _refuse_foreign(folder, error)


def _load_content(model: nn.Module, content: bytes) -> None:
    """Do what `load_model` does with a file: of weights that share memory it holds one."""
    own = model.state_dict()
    tensors = load(content)
    loaded = {own[name].data_ptr() for name in tensors if name in own}
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    missing = [name for name in missing if own[name].data_ptr() not in loaded]
    if missing or unexpected:
        raise RuntimeError(", ".join([*missing, *unexpected]))


def _refuse_foreign(folder: Path, error: Exception) -> NoReturn:
    """Raise what an error while tensors were put back means.

    Raises:
        IntegrityError: the tensors are not those of this model (C109), unless memory was lacking.
    """
    if is_out_of_memory(error):
        raise error
    raise IntegrityError(_foreign(folder, [str(error).splitlines()[0]])) from error


def _foreign(folder: Path, names: list[str]) -> Problem:
    return Problem(
        "C109",
        _("the tensors are not those of this model: {names}").format(names=", ".join(names[:3])),
        Place(str(folder)),
        fix=_("The folder belongs to another run; choose another --out."),
    )


def saved_steps(home: Path) -> list[int]:
    """The steps of all checkpoints by their names, in rising order, verified or not."""
    if not home.is_dir():
        return []
    matches = (_NAME.fullmatch(path.name) for path in home.iterdir())
    return sorted(int(match[1]) for match in matches if match)


def latest(home: Path) -> tuple[Checkpoint | None, list[Problem]]:
    """Return the newest checkpoint that verifies; damaged newer ones are set aside, with a warning.

    Only for one who holds the lock on the run.

    Raises:
        IntegrityError: there are checkpoints and none verifies (C102).
    """
    warnings: list[Problem] = []
    for step in reversed(saved_steps(home)):
        folder = home / f"step-{step:08d}"
        damage = atomic.damage(folder)
        if damage is None:
            try:
                return read(folder), warnings
            except (OSError, ValueError) as error:
                damage = str(error)
        moved = atomic.set_aside(folder)
        warnings.append(
            Problem(
                "C101",
                _("damaged checkpoint set aside: {damage}").format(damage=damage),
                Place(str(folder)),
                evidence=(_("kept as {name}").format(name=moved.name),),
                fix=_("Nothing has to be done: the newest whole checkpoint is used."),
                severity=Severity.WARNING,
            )
        )
    if warnings or any(home.glob(".bad-step-*")):  # a rerun starts from scratch only with --restart
        raise IntegrityError(
            [
                *warnings,
                Problem(
                    "C102",
                    _("no checkpoint of this run is whole"),
                    Place(str(home)),
                    fix=_(
                        "Use --restart to start again; the old folder is kept under another name."
                    ),
                ),
            ]
        )
    return None, []


def read(folder: Path) -> Checkpoint:
    """A checkpoint whose folder is whole.

    Raises:
        OSError: `state.json` cannot be read.
        ValueError: it holds something else than the state of a run at the step of its name.
    """
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        progress = progress_from_json(state["progress"])
        facts, fingerprint = dict(state["facts"]), dict(state.get("fingerprint", {}))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = _("{file} cannot be read: {reason}")
        raise ValueError(reason.format(file="state.json", reason=error)) from error
    if (named := _NAME.fullmatch(folder.name)) and int(named[1]) != progress.step:
        raise ValueError(_("it holds step {step}").format(step=progress.step))
    return Checkpoint(folder, progress, facts, fingerprint)


_PROGRESS = TypeAdapter(Progress)


def progress_from_json(values: Mapping[str, Any]) -> Progress:
    """Progress as it was saved.

    Raises:
        ValueError: a value is unknown or of another type.
    """
    known = {one.name for one in fields(Progress)}
    if unknown := sorted(set(values) - known):
        raise ValueError(", ".join(unknown))
    return _PROGRESS.validate_json(json.dumps(values), strict=True)


def retain(home: Path, *, newest: int, best_step: int, also: Collection[int] = ()) -> None:
    """Delete all checkpoints but the newest ones and the best, once the newest verifies.

    What was the best for one of those that stay is kept, too: a run that goes back to it needs it.
    One that cannot be deleted stays: too many checkpoints are no reason to stop.

    Args:
        home: the folder of all checkpoints of the run.
        newest: how many of them stay.
        best_step: of the best so far.
        also: steps that stay as well, as long as something else needs them.
    """
    steps = saved_steps(home)
    if not steps or atomic.damage(home / f"step-{steps[-1]:08d}") is not None:
        return
    retained = {best_step, *steps[-newest:], *also}
    for step in steps[-newest:]:
        with suppress(OSError, ValueError):  # damaged: it will not be gone back to
            retained.add(read(home / f"step-{step:08d}").progress.best_step)
    for step in steps:
        if step not in retained:
            with suppress(ResourceError):
                atomic.discard(home / f"step-{step:08d}")
