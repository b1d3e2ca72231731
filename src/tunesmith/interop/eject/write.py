"""Write a run as a script or notebook, with the files that it reads."""

from __future__ import annotations

import filecmp
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

from tunesmith.errors import Place, Problem, RecipeError, Severity
from tunesmith.i18n import gettext as _
from tunesmith.interop.eject.cells import Script
from tunesmith.interop.eject.data_cells import RowsCell, rows_cell
from tunesmith.interop.eject.loop_cells import loop_cells
from tunesmith.interop.eject.setup_cells import (
    model_cell,
    scores_cell,
    seeds_cell,
    settings_cell,
    tokens_cell,
)
from tunesmith.interop.eject.source_run import STYLES, SourceRun, load_run
from tunesmith.interop.eject.trainer_cells import trainer_cells
from tunesmith.runs.folder import RunFolder
from tunesmith.storage import atomic
from tunesmith.storage.operating_system import rename
from tunesmith.text import did_you_mean

__all__ = ["Ejected", "eject", "left_out_problem"]

_LIBRARIES = {
    "trainer": "torch, transformers, accelerate, datasets, scikit-learn",
    "loop": "torch, transformers, datasets, scikit-learn",
    "accelerate": "torch, transformers, accelerate, datasets, scikit-learn",
}


_INSTALLED = ("site-packages", "dist-packages")
"""Names of the folders that hold installed packages."""


@dataclass(frozen=True, slots=True)
class Ejected:
    """What was written.

    Attributes:
        path: the script or notebook.
        files: files and folders that it reads.
        left_out: what it does not reproduce: the reason by the key of the recipe.
    """

    path: Path
    files: tuple[Path, ...]
    left_out: Mapping[str, str]


def eject(
    folder: RunFolder,
    path: Path,
    *,
    style: str = "trainer",
    strict: bool = False,
    force: bool = False,
) -> Ejected:
    """Write a run as a script that gives the numbers of the exact engine.

    Args:
        folder: of a run, started or finished.
        path: of the script; `.ipynb` gives a notebook.
        style: one of `STYLES`.
        strict: fail if any part of the run cannot be reproduced.
        force: replace existing files.

    Raises:
        RecipeError: a part cannot be reproduced (R121), a file exists (R122), unknown style
            (R123), a name that hides a module (R152), a task without script (R200).
        ResourceError: nothing to eject (C121, C123), or the disk is full.
        IntegrityError: the data changed since the run (C122).
    """
    _check_style(style)
    _check_module_name(path)
    run = load_run(folder, style=style)
    if strict and run.left_out:
        raise RecipeError([left_out_problem(*part) for part in run.left_out.items()])
    rows = rows_cell(run, path)
    start = path.with_name(f"{path.stem}-start") if _is_embedded(run) else None
    targets = [*map(path.with_name, rows.files), *([start] if start else ())]
    if path.exists():
        atomic.refuse_existing([path, *targets], force=force, code="R122")
    source = run.files.name if run.files.revision else run.files.folder
    script = _compose(run, rows, path, model=str(start or source))
    is_notebook = path.suffix == ".ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.scratch(path.parent, f"eject-{path.stem}") as made:
        for name, lines in rows.files.items():
            with (made / name).open("w", encoding="utf-8", newline="\n") as file:
                file.writelines(f"{line}\n" for line in lines)
        if start:
            _copy_model(run, made / start.name)
        text = script.as_notebook() if is_notebook else script.as_text()
        (made / path.name).write_text(text, encoding="utf-8", newline="\n")
        _move_out(made, [*targets, path], force=force)
    return Ejected(path, tuple(targets), run.left_out)


def left_out_problem(key: str, reason: str, *, severity: Severity = Severity.ERROR) -> Problem:
    """Return the problem (R121) about a part that a script does not reproduce."""
    message = _("the script cannot reproduce it: {reason}").format(reason=reason)
    fix = _("Leave it out of the recipe for a script that gives the same numbers.")
    return Problem("R121", message, Place(key), fix=fix, severity=severity)


def _check_style(style: str) -> None:
    if style not in STYLES:
        known = _("Styles: {names}.").format(names=", ".join(STYLES))
        message = _('there is no style "{style}"').format(style=style)
        fix = did_you_mean(style, STYLES, otherwise=known)
        raise RecipeError.of("R123", message, fix=fix)


def _compose(run: SourceRun, rows: RowsCell, path: Path, *, model: str) -> Script:
    output = str(path.with_name(f"{path.stem}-model"))
    cells = [
        settings_cell(run, rows, model=model, output=output),
        rows.cell,
        tokens_cell(run, rows),
        seeds_cell(run),
        model_cell(run),
        scores_cell(run) if run.scored else None,
        *(trainer_cells(run) if run.style == "trainer" else loop_cells(run)),
    ]
    notes = [
        _(
            "The run {run} as a script: the same rows in the same order, the same losses, the "
            "same scores. It needs {libraries}."
        ).format(run=run.name, libraries=_LIBRARIES[run.style])
    ]
    notes += [
        _("Not reproduced: {key}: {reason}.").format(key=key, reason=reason)
        for key, reason in run.left_out.items()
    ]
    title = _("Fine-tune {model}: {task}").format(
        model=Path(run.files.name.removeprefix("embedded:")).name, task=run.task.name
    )
    return Script(title, notes, [cell for cell in cells if cell is not None])


def _is_embedded(run: SourceRun) -> bool:
    return run.files.name.startswith("embedded:")


def _move_out(made: Path, targets: Sequence[Path], *, force: bool) -> None:
    """Move files and folders to their final names, the script last.

    Identical ones stay: they are left from an earlier command that was killed before the script.

    Raises:
        RecipeError: a different one exists (R122).
    """
    others = [path for path in targets if not _is_same(made / path.name, path)]
    atomic.refuse_existing(others, force=force, code="R122")
    for path in others:
        if (made / path.name).is_file():
            with atomic.replace_file(path) as unfinished:
                (made / path.name).rename(unfinished)
            continue
        if path.is_dir() and atomic.damage(path) is None:
            atomic.discard(path)
        elif os.path.lexists(path):
            atomic.set_aside(path)
        rename(made / path.name, path)


def _is_same(one: Path, other: Path) -> bool:
    """Whether both are files, or both undamaged folders, with the same bytes."""
    if one.is_file() and other.is_file():
        return filecmp.cmp(one, other, shallow=False)
    if not (one.is_dir() and other.is_dir()) or atomic.damage(other) is not None:
        return False
    return (one / atomic.MANIFEST).read_bytes() == (other / atomic.MANIFEST).read_bytes()


def _check_module_name(path: Path) -> None:
    """Check the script's name: Python imports from its folder first, also for the libraries.

    Raises:
        RecipeError: it is the name of a module (R152).
    """
    installed = [path for path in sys.path if Path(path).name in _INSTALLED]
    if path.suffix == ".py" and (
        path.stem in (*sys.stdlib_module_names, "tunesmith")
        or PathFinder.find_spec(path.stem, installed) is not None
    ):
        message = _("a script of this name would hide the module {name}").format(name=path.stem)
        other = path.with_name(f"train_{path.name}")
        fix = _("Choose another name, such as {name}.").format(name=other)
        raise RecipeError.of("R152", message, Place(str(path)), fix=fix)


def _copy_model(run: SourceRun, target: Path) -> None:
    """Copy the embedded model, whose name no other library knows."""
    with atomic.publish(target) as folder:
        for pattern in ("*.json", "*.safetensors"):
            for file in sorted(run.files.folder.glob(pattern)):
                if file.name != atomic.MANIFEST:
                    shutil.copyfile(file, folder / file.name)
