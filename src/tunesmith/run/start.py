"""Starting a run: the folder, its lock, and what was asked of it before. No torch yet."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith import commit
from tunesmith.data.rows import Rejected, Splits
from tunesmith.device import is_main_process
from tunesmith.disk import as_path
from tunesmith.errors import Place, Problem, RecipeError, ResourceError, Severity, inert
from tunesmith.inputs import Checked, check, look
from tunesmith.language import gettext as _
from tunesmith.lock import HOLDER, hold
from tunesmith.recipe import KeyPath, Layers, Recipe, as_written, flatten, gather, to_yaml
from tunesmith.run.folder import RUNS, RunFolder, refuse_other, run_name

__all__ = ["Started", "held", "inputs_of", "remarks", "run_folder", "start"]

_MAY_CHANGE = frozenset(
    {
        ("train", "save_every"),
        ("train", "keep_checkpoints"),
        ("train", "log_every"),
        ("train", "eval_batch_size"),
        ("data", "allow_leak"),
        ("train", "micro_batch_size"),
        ("train", "preflight"),
        ("track",),
    }
)
"""Keys that change nothing but what is kept and said, and how much goes through at once: another
value continues the same run."""


def run_folder(out: str | Path | None, *, asked_by: str) -> RunFolder:
    """The folder of a run: as named, else `runs/NAME` after the recipe or data.

    Raises:
        ResourceError: it holds something else (C111).
    """
    run = RunFolder(as_path(out) if out else Path(RUNS) / run_name(asked_by))
    refuse_other(run)
    return run


@contextmanager
def held(run: RunFolder, *, restart: bool = False) -> Iterator[None]:
    """Hold the folder for this process, the first of its job; the others rely on it.

    Args:
        run: the folder.
        restart: move what is there aside and begin anew.

    Raises:
        FolderInUseError: another process trains in it (C106).
        RecipeError: it cannot be moved while somebody works in it (C126).
        ResourceError: the disk does not let it be moved (C127) or locked (C107).
    """
    if not is_main_process():
        yield
        return
    if restart and run.exists:
        with hold(run.path):
            _move_aside(run)
    with hold(run.path):
        run.sweep()
        yield


def _move_aside(run: RunFolder) -> None:
    """Keep the old run under another name: nothing that took hours is deleted unasked.

    One rename of the whole folder, lock included: a kill leaves the old run or none.
    """
    folder = Path(os.path.realpath(run.path))
    if Path.cwd().is_relative_to(folder):
        raise RecipeError(
            Problem(
                "C126",
                _("--restart cannot move the folder that you work in"),
                Place(str(run.path)),
                fix=_("Call it from another folder, or choose another --out."),
            )
        )
    stamp = time.strftime("%Y%m%dT%H%M%S")
    try:
        kept = commit.move_aside(folder, f"{folder.name}-before-{stamp}")
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
        (kept / HOLDER).unlink()


def inputs_of(layers: Layers, run: RunFolder, data: Splits | None = None) -> Checked:
    """Look at the data, check it, and see that the folder's recipe is this one.

    Writes `recipe.yaml` if the run is new, and `rejected.jsonl` if rows are put in quarantine.

    Raises:
        PlainError: the recipe, the data, or another recipe in the folder (C108).
    """
    checked = check(look(layers, data), audited=not run.exists)
    odd = [problem for problem in checked.warnings if problem.severity is not Severity.NOTE]
    checked = replace(checked, warnings=odd)  # notes are for who asks: `tunesmith check`
    if run.exists:
        _refuse_other_recipe(run, checked.recipe)
    elif is_main_process():
        if checked.rejected:
            commit.write_file(run.rejected, "".join(map(_written, checked.rejected)))
        commit.write_file(run.recipe, to_yaml(checked.recipe, remarks=remarks(checked.layers)))
    return checked


def _written(rejected: tuple[str, Rejected]) -> str:
    split, row = rejected
    facts = {"split": split, "place": str(row.place), "code": row.code, "reason": row.reason}
    text = json.dumps({**facts, "values": row.values}, ensure_ascii=False, default=str)
    return inert(text) + "\n"


def remarks(layers: Layers) -> dict[KeyPath, str]:
    """Why each value that nobody set is what it is, for the recipe's comments."""
    paths = flatten(layers.recipe().model_dump(mode="json"))
    origins = {path: layers.origin(*path) for path in paths}
    return {path: str(origin) for path, origin in origins.items() if origin.kind == "automatic"}


def _refuse_other_recipe(run: RunFolder, recipe: Recipe) -> None:
    before = gather(file=run.recipe, environment={}).recipe().model_dump(mode="json")
    now = recipe.model_dump(mode="json")
    changes = [
        (path, _value(before, path), _value(now, path))
        for path in flatten(now)
        if path not in _MAY_CHANGE and _value(before, path) != _value(now, path)
    ]
    if changes:
        raise RecipeError(
            Problem(
                "C108",
                _("the folder holds a run of another recipe"),
                Place(str(run.path)),
                evidence=tuple(
                    f"{'.'.join(path)}: {as_written(was)} → {as_written(value)}"
                    for path, was, value in changes
                ),
                fix=_("Choose another --out, or --restart to begin anew (the old run is kept)."),
            )
        )


def _value(values: Any, path: KeyPath) -> Any:
    """The value of a recipe's key; None where an older recipe, or one of another task, lacks it."""
    for part in path:
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


@dataclass(frozen=True)
class Started:
    """A run that may be trained: its folder is held, its data is good.

    Attributes:
        run: the folder.
        checked: the rows and the whole recipe.
        is_finished: the model is there already; there is nothing to do.
    """

    run: RunFolder
    checked: Checked
    is_finished: bool


@contextmanager
def start(
    layers: Layers,
    *,
    out: str | Path | None = None,
    data: Splits | None = None,
    asked_by: str,
    restart: bool = False,
) -> Iterator[Started]:
    """Hold the run's folder while it is trained.

    Args:
        layers: what was asked.
        out: the folder; None for `runs/NAME`.
        data: splits given from Python.
        asked_by: the recipe or data it was started with, from which NAME is made.
        restart: keep what is there under another name and begin anew.

    Raises:
        PlainError: whatever is wrong with recipe, data or folder, before any model is loaded.
    """
    run = run_folder(out, asked_by=asked_by)
    with held(run, restart=restart):
        checked = inputs_of(layers, run, data)
        yield Started(run, checked, run.is_finished)
