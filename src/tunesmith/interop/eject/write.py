"""Writing a run as a plain script or notebook, with the files that it needs beside it."""

from __future__ import annotations

import filecmp
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

from tunesmith.errors import Place, Problem, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.interop.eject.cells import Script
from tunesmith.interop.eject.data_cells import Reading, read_plainly
from tunesmith.interop.eject.loop_cells import loop_cells
from tunesmith.interop.eject.masking_cells import masks_cell
from tunesmith.interop.eject.metric_cells import scores_cell
from tunesmith.interop.eject.run_facts import STYLES, Facts, LeftOut, facts_of
from tunesmith.interop.eject.setup_cells import model_cell, seeds_cell, settings_cell, tokens_cell
from tunesmith.interop.eject.trainer_cells import trainer_cells
from tunesmith.runs.folder import RunFolder
from tunesmith.storage import atomic
from tunesmith.text import nearest

__all__ = ["Ejected", "eject"]

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
        beside: files and folders that it reads.
        left_out: what of the run has no plain equal.
    """

    path: Path
    beside: tuple[Path, ...]
    left_out: tuple[LeftOut, ...]


def eject(
    run: RunFolder,
    path: Path,
    *,
    style: str = "trainer",
    strict: bool = False,
    force: bool = False,
) -> Ejected:
    """Write a run as a plain script that gives the numbers of the exact engine.

    Args:
        run: begun or finished.
        path: of the script; `.ipynb` gives a notebook.
        style: one of `STYLES`.
        strict: refuse a run of which something has no plain equal.
        force: replace what is there.

    Raises:
        RecipeError: strictness (R121), files that exist (R122), an unknown style (R123), a name
            that hides a module (R152).
        ResourceError: nothing to eject (C121, C123), or the disk is full.
        IntegrityError: the data changed since the run (C122).
    """
    _refuse_unknown(style)
    _refuse_module_name(path)
    facts = facts_of(run, style=style)
    left_out = tuple(facts.left_out)
    if strict:
        _refuse_left_out(left_out)
    reading = read_plainly(facts, path)
    start = path.with_name(f"{path.stem}-start") if _is_embedded(facts) else None
    beside = tuple(path.with_name(name) for name in reading.beside)
    written = (path, *beside, *((start,) if start else ()))
    if path.exists():
        atomic.refuse_existing(written, force=force, code="R122")
    script = _compose(facts, reading, path, model=str(start or _model_name(facts)))
    is_notebook = path.suffix == ".ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.scratch(path.parent, f"eject-{path.stem}") as made:
        for file, lines in zip(beside, reading.beside.values(), strict=True):
            _write_lines(made / file.name, lines)
        if start:
            _copy_model(facts, made / start.name)
        (made / path.name).write_text(
            script.as_notebook() if is_notebook else script.as_text(), encoding="utf-8"
        )
        _move_out(made, [*written[1:], path], force=force)
    return Ejected(path, written[1:], left_out)


def _refuse_unknown(style: str) -> None:
    if style not in STYLES:
        close = nearest(style, STYLES)
        raise RecipeError(
            Problem(
                "R123",
                _('there is no style "{style}"').format(style=style),
                fix=_('did you mean "{name}"?').format(name=close[0])
                if close
                else _("Styles: {names}.").format(names=", ".join(STYLES)),
            )
        )


def _refuse_left_out(left_out: Sequence[LeftOut]) -> None:
    if left_out:
        raise RecipeError(
            [
                Problem(
                    "R121",
                    _("no plain equal: {reason}").format(reason=found.reason),
                    Place(found.key),
                )
                for found in left_out
            ]
        )


def _compose(facts: Facts, reading: Reading, path: Path, *, model: str) -> Script:
    train = trainer_cells if facts.style == "trainer" else loop_cells
    cells = [
        settings_cell(
            facts, reading, model=model, output=str(path.with_name(f"{path.stem}-model"))
        ),
        reading.cell,
        tokens_cell(facts, reading),
        masks_cell(facts) if facts.hides_words else seeds_cell(facts),
        model_cell(facts),
        scores_cell(facts) if facts.scored else None,
        *train(facts),
    ]
    words = [
        _(
            "The run {run} as a plain script: the same rows in the same order, the same losses, "
            "the same scores. It needs {libraries}."
        ).format(run=facts.run, libraries=_LIBRARIES[facts.style])
    ]
    words += [
        _("Not as in the run: {key}: {reason}.").format(key=found.key, reason=found.reason)
        for found in facts.left_out
    ]
    title = _("Fine-tune {model}: {task}").format(
        model=Path(facts.files.name.removeprefix("embedded:")).name, task=facts.task.name
    )
    return Script(title, words, [cell for cell in cells if cell is not None])


def _is_embedded(facts: Facts) -> bool:
    return facts.files.name.startswith("embedded:")


def _model_name(facts: Facts) -> str:
    """What `from_pretrained` is given: a Hub name with its revision, or a folder."""
    return facts.files.name if facts.files.revision else str(facts.files.folder)


def _move_out(made: Path, targets: Sequence[Path], *, force: bool) -> None:
    """Give files and folders their real names, the script last; a kill leaves none of them half.

    What is there already with the very same content stays: an earlier command that was killed
    before it came to the script left it.

    Raises:
        RecipeError: something else is there (R122).
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
        (made / path.name).rename(path)


def _is_same(one: Path, other: Path) -> bool:
    """Whether both are files, or both are whole folders, with the same bytes."""
    if one.is_file() and other.is_file():
        return filecmp.cmp(one, other, shallow=False)
    if not (one.is_dir() and other.is_dir()) or atomic.damage(other) is not None:
        return False
    return (one / atomic.MANIFEST).read_bytes() == (other / atomic.MANIFEST).read_bytes()


def _refuse_module_name(path: Path) -> None:
    """Python looks for modules beside a script first: accelerate.py would import itself.

    Raises:
        RecipeError: the script is named like a module that it, or what it imports, needs (R152).
    """
    installed = [place for place in sys.path if Path(place).name in _INSTALLED]
    if path.suffix == ".py" and (
        path.stem in (*sys.stdlib_module_names, "tunesmith")
        or PathFinder.find_spec(path.stem, installed) is not None
    ):
        raise RecipeError(
            Problem(
                "R152",
                _("a script of this name would hide the module {name}").format(name=path.stem),
                Place(str(path)),
                fix=_("Name another, such as {name}.").format(
                    name=path.with_name(f"train_{path.name}")
                ),
            )
        )


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def _copy_model(facts: Facts, target: Path) -> None:
    """The embedded model as a plain folder, since no library but ours knows its name."""
    with atomic.publish(target) as folder:
        for pattern in ("*.json", "*.safetensors"):
            for file in sorted(facts.files.folder.glob(pattern)):
                if file.name != atomic.MANIFEST:
                    shutil.copyfile(file, folder / file.name)
