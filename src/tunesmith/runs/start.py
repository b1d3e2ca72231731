"""Starting a run: the folder, its lock, and its earlier recipe. No torch yet."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith.data.open import looks_like_a_file
from tunesmith.data.rows import Rejected, Splits
from tunesmith.errors import Place, Problem, RecipeError, ResourceError, Severity
from tunesmith.i18n import gettext as _
from tunesmith.inputs import ValidatedInputs, resolve_inputs, validate_inputs
from tunesmith.metrics.scores import Scores
from tunesmith.models import locate
from tunesmith.recipe import KeyPath, Layers, Recipe, as_written, flatten, gather, to_yaml
from tunesmith.remote.location import Location
from tunesmith.runs.event_log import EventLog
from tunesmith.runs.fingerprint import MAY_CHANGE
from tunesmith.runs.folder import RUNS, RunFolder, refuse_other, run_name
from tunesmith.runs.plan_file import has_begun, learned_from, read_plan
from tunesmith.runs.remote_folder import RemoteFolder, mirrored, refuse_restart
from tunesmith.storage import atomic, hub
from tunesmith.storage.disk import as_path
from tunesmith.storage.lock import HOLDER, hold, hold_to_move
from tunesmith.storage.operating_system import is_inside
from tunesmith.text import escape_controls
from tunesmith.training.device import is_main_process
from tunesmith.training.events import Finished
from tunesmith.training.peers import current, joined

__all__ = [
    "OpenRun",
    "held",
    "inputs_of",
    "look_up_model",
    "remarks",
    "run_folder",
    "start",
    "write_inputs",
]


def run_folder(out: str | Path | None, *, named_after: str) -> RunFolder:
    """The folder of a run: as named, else `runs/NAME` after the recipe or data.

    Raises:
        ResourceError: it holds something else (C111).
    """
    run = RunFolder(as_path(out) if out else Path(RUNS) / run_name(named_after))
    if is_main_process():  # no other one looks into its own folder, or writes there
        refuse_other(run)
    return run


@contextmanager
def held(run: RunFolder, *, restart: bool = False, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the folder for this process, the first of its job; the others rely on it.

    Args:
        run: the folder.
        restart: move what is there aside and start from scratch.
        wait_seconds: how long another process may take to leave it.

    Raises:
        FolderInUseError: another process trains in it (C106).
        RecipeError: it cannot be moved while it is in use (C126).
        ResourceError: the disk does not let it be moved (C127) or locked (C107).
    """
    if not is_main_process():
        yield
        return
    if restart and run.exists and has_begun(run):
        with hold_to_move(run.path):
            _move_aside(run)
    with hold(run.path, wait_seconds=wait_seconds):
        run.sweep()
        yield


def _move_aside(run: RunFolder) -> None:
    """Keep the old run under another name: nothing that took hours is deleted unasked.

    One rename of the whole folder, lock included: a kill leaves the old run or none.
    """
    folder = Path(os.path.realpath(run.path))
    if is_inside(Path.cwd(), folder):
        raise RecipeError.of(
            "C126",
            _("--restart cannot move the folder that you work in"),
            Place(str(run.path)),
            fix=_("Call it from another folder, or choose another --out."),
        )
    stamp = time.strftime("%Y%m%dT%H%M%S")
    try:
        moved = atomic.move_aside(folder, f"{folder.name}-before-{stamp}")
    except ResourceError as error:
        (problem,) = error.problems
        message = _("--restart cannot move the old run aside: {reason}")
        raise ResourceError(
            replace(
                problem,
                code="C127",
                message=message.format(reason=problem.message),
                fix=_("Nothing was changed. Choose another folder with --out."),
            )
        ) from error
    with suppress(OSError):
        (moved / HOLDER).unlink()


def inputs_of(layers: Layers, run: RunFolder, data: Splits | None = None) -> ValidatedInputs:
    """Look at model and data, check them, and see that the folder's recipe is this one.

    The rows are audited as a whole (leaks, duplicates, classes) unless the plan of a run that has
    begun holds what was found. A run without a step is no run yet: any recipe may replace it.

    Raises:
        TunesmithError: the recipe, the model, the data, or another recipe in the folder (C108).
    """
    look_up_model(layers)

    def state(_ranks: object) -> tuple[bool, bool]:
        is_begun = run.exists and has_begun(run)
        return is_begun, is_begun and bool(read_plan(run)[0])

    is_begun, is_known = current().decide("begun", None, state)
    checked = validate_inputs(resolve_inputs(layers, data), audited=not is_known)
    odd = [problem for problem in checked.warnings if problem.severity is not Severity.NOTE]
    checked = replace(checked, warnings=odd)  # notes are for who asks: `tunesmith check`
    if is_begun and is_main_process():
        _refuse_other_recipe(run, checked.recipe)
    return checked


def look_up_model(layers: Layers) -> None:
    """Check that the requested model exists, before minutes are spent on the data.

    Raises:
        ModelError: there is no such model (M107), or it has no safetensors (M101).
        ResourceError: the Hub is out of reach.
    """
    recipe = layers.recipe()
    name, revision = recipe.model, recipe.revision
    if name is None:
        return
    is_local = name.startswith("embedded:") or looks_like_a_file(name) or Path(name).is_dir()
    if is_local or (
        hub.cached_folder(name, revision=revision) is None
        and hub.resolve_commit(name, kind="model", revision=revision) is None
    ):
        locate(name, revision=revision)


def write_inputs(
    run: RunFolder, recipe: Recipe, layers: Layers, rejected: Sequence[tuple[str, Rejected]]
) -> None:
    """Write `recipe.yaml`, and `rejected.jsonl` if rows are put in quarantine.

    Raises:
        ResourceError: the disk is full or cannot be written (C107).
    """
    atomic.write_file(run.recipe, to_yaml(recipe, remarks=remarks(layers)))
    if rejected:
        atomic.write_file(run.rejected, "".join(map(_written, rejected)))


def _written(rejected: tuple[str, Rejected]) -> str:
    split, row = rejected
    facts = {"split": split, "place": str(row.place), "code": row.code, "reason": row.reason}
    text = json.dumps({**facts, "values": row.values}, ensure_ascii=False, default=str)
    return escape_controls(text) + "\n"


def remarks(layers: Layers) -> dict[KeyPath, str]:
    """Return why each value chosen from the data is what it is, and what options mean.

    For the recipe's comments: options depend on the task, so the recipe has no description of them.
    """
    paths = flatten(layers.recipe().model_dump(mode="json"))
    origins = {path: layers.origin(*path) for path in paths}
    return {
        path: origin.detail if path[0] == "options" else str(origin)
        for path, origin in origins.items()
        if origin.kind == "automatic"
    }


def _refuse_other_recipe(run: RunFolder, recipe: Recipe) -> None:
    before = gather(file=run.recipe, environment={}).recipe().model_dump(mode="json")
    now = recipe.model_dump(mode="json")
    changes = [
        (path, _value(before, path), _value(now, path))
        for path in flatten(now)
        if path not in MAY_CHANGE and _value(before, path) != _value(now, path)
    ]
    if changes:
        raise RecipeError.of(
            "C108",
            _("the folder holds a run of another recipe"),
            Place(str(run.path)),
            evidence=tuple(
                f"{'.'.join(path)}: {as_written(was)} → {as_written(value)}"
                for path, was, value in changes
            ),
            fix=_("Choose another --out, or --restart to start again (the old run is kept)."),
        )


def _value(values: Any, path: KeyPath) -> Any:
    """The value of a recipe's key; None where an older recipe, or one of another task, lacks it."""
    for part in path:
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


@dataclass(frozen=True)
class OpenRun:
    """A run that may be trained: its folder is held, its data is good.

    Attributes:
        run: the folder.
        checked: the rows and the whole recipe.
        is_finished: the model is there already; there is nothing to do.
        notes: what is to be known of a finished run, such as that its data changed since.
        revision: the commit of the Hub model that the run began with; None for a new run, and for
            models that are not from the Hub.
        remote: the copy in a store; None for none, and in all processes but the first.
    """

    run: RunFolder
    checked: ValidatedInputs
    is_finished: bool
    notes: Sequence[Problem] = ()
    revision: str | None = None
    remote: RemoteFolder | None = None


@contextmanager
def start(
    layers: Layers,
    *,
    out: str | Path | None = None,
    data: Splits | None = None,
    named_after: str,
    restart: bool = False,
    wait_seconds: float = 0.0,
    remote: str | Location | None = None,
) -> Iterator[OpenRun]:
    """Hold the run's folder while it is trained.

    Args:
        layers: the requested settings.
        out: the folder; None for `runs/NAME`.
        data: splits given from Python.
        named_after: the recipe or data it was started with, from which NAME is made.
        restart: keep what is there under another name and start from scratch.
        wait_seconds: how long another process in the folder may take to end.
        remote: address of a copy of the folder, which is brought here first, and kept up to date.

    Raises:
        TunesmithError: whatever is wrong with recipe, data or folder, before any model is loaded.
    """
    with joined() as peers:
        run = run_folder(out, named_after=named_after)
        location = Location.read(remote) if isinstance(remote, str) else remote
        copied = location if is_main_process() else None
        if copied is not None and restart:
            refuse_restart(copied)
        with (
            held(run, restart=restart, wait_seconds=wait_seconds),
            mirrored(run, copied) as remote_folder,
        ):
            checked = inputs_of(layers, run, data)

            def state(_ranks: object) -> tuple[bool, str | None]:
                return run.is_finished, _model_revision(run)

            is_finished, revision = peers.decide("finished", None, state)
            if is_finished and is_main_process():
                _complete_log(run)
            notes = _changes(run, checked) if is_finished and is_main_process() else ()
            yield OpenRun(run, checked, is_finished, notes, revision, remote_folder)


def _model_revision(run: RunFolder) -> str | None:
    """The commit of the model that a run has begun with: a branch of the Hub may have moved."""
    plan = read_plan(run)[0] if has_begun(run) else {}
    revision = plan.get("model", {}).get("revision")
    return revision if isinstance(revision, str) else None


def _changes(run: RunFolder, checked: ValidatedInputs) -> list[Problem]:
    """A note where a finished run learned from other rows than those of the moment."""
    known = learned_from(run)
    changed = [name for name, split in checked.splits.items() if known.get(name) != split.digest]
    if not known or not changed:
        return []
    return [
        Problem(
            "C104",
            _("the data changed since the run was trained: {splits}").format(
                splits=", ".join(changed)
            ),
            Place(str(run.path)),
            fix=_("Model and scores are those of the old rows. Train on the new ones with --out."),
            severity=Severity.NOTE,
        )
    ]


def _complete_log(run: RunFolder) -> None:
    """Write the last event of a finished run that was killed after its model was committed."""
    if any(event.get("event") == "finished" for event in run.events()):
        return
    facts = run.facts()
    scores = {split: Scores(values, {}) for split, values in facts["scores"].items()}
    log = EventLog(run.log, 1, {})
    log.take(
        Finished(
            facts["steps"],
            facts["reason"],
            facts["best_step"],
            scores.get("validation"),
            scores.get("test"),
            facts["train_seconds"],
            facts["samples_per_second"],
        ),
        epoch=0.0,
        is_last=True,
    )
    log.close()
