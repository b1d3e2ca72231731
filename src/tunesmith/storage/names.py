"""The run or model that a name means, for every command and for Python.

A folder that is a run or a model wins; then the run of this name under `runs/`; then, for models,
the embedded ones; the Hub comes last, so the name of a run never reaches it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from tunesmith.errors import ModelError, Place, Problem, RecipeError, TunesmithError
from tunesmith.i18n import gettext as _
from tunesmith.storage.disk import as_path
from tunesmith.text import nearest, quoted

__all__ = ["RUNS", "locate_run", "model_source", "run_names", "with_near_names"]

RUNS = "runs"
"""The folder that holds the runs, unless another is named."""

E = TypeVar("E", bound=TunesmithError)


def locate_run(name: str | Path, root: str | Path = RUNS) -> Path:
    """Return the folder of a run.

    Args:
        name: its path, the path of its model folder, or its name under `root`.
        root: the folder that holds the runs.

    Raises:
        RecipeError: there is none (C113).
    """
    path = _expanded(name)
    candidates = [path, as_path(root) / name]
    if path.name == "model" and _is_file(path / "config.json"):
        candidates.append(path.parent)
    for candidate in candidates:
        if _is_run(candidate):
            return candidate
    known = run_names(root)
    close = nearest(path.name, known)
    raise RecipeError.of(
        "C113",
        _("there is no such run"),
        Place(str(name)),
        fix=_('did you mean "{name}"?').format(name=close[0])
        if close
        else _("Runs in {root}: {names}.").format(root=root, names=quoted(known))
        if known
        else _("no runs in {root}").format(root=root),
    )


def model_source(name: str | Path, root: str | Path = RUNS) -> str:
    """Return what to load for the name of a model: a folder, `embedded:NAME`, or a Hub name.

    Args:
        name: the path of a run or model folder, the name of a run under `root`, `embedded:NAME`,
            or a Hub name.
        root: the folder that holds the runs.

    Raises:
        RecipeError: it is a run without a finished model (C114).
        ModelError: the word before the colon is not `embedded` (M107).
    """
    path, under_root = _expanded(name), as_path(root) / name
    candidates = [path, under_root]
    if _is_file(path / "config.json"):
        return str(path)
    for candidate in candidates:
        if _is_run(candidate) and _is_file(candidate / "model" / "config.json"):
            return str(candidate)
    for candidate in candidates:
        if _is_run(candidate):
            raise RecipeError(_unfinished(candidate))
    _refuse_unknown_prefix(str(name))
    return str(name)


def run_names(root: str | Path = RUNS) -> list[str]:
    """Return the sorted names of the runs in a folder; none if it cannot be read."""
    try:
        return sorted(path.name for path in as_path(root).iterdir() if _is_run(path))
    except OSError:
        return []


def with_near_names(error: E, name: str, embedded: Iterable[str], root: str | Path = RUNS) -> E:
    """Return the error with the run or embedded model that was probably meant.

    Args:
        error: of the Hub.
        name: the requested one.
        embedded: the names of the embedded models, without their prefix.
        root: the folder that holds the runs.
    """
    spelled = {run: run for run in run_names(root)}
    spelled |= {short: f"embedded:{short}" for short in embedded}
    close = nearest(name, spelled)
    if not close:
        return error
    remark = _('did you mean "{name}"?').format(name=spelled[close[0]])
    problems = [
        replace(problem, fix=f"{remark}\n{problem.fix}" if problem.fix else remark)
        for problem in error.problems
    ]
    return type(error)(problems)


def _unfinished(run: Path) -> Problem:
    return Problem(
        "C114",
        _("the run is not finished"),
        Place(str(run)),
        fix=_("Run the same train command again to finish it."),
    )


def _refuse_unknown_prefix(name: str) -> None:
    """Refuse `embeded:mini`: neither a Hub name nor, usually, a path has a colon."""
    prefix = re.match(r"([A-Za-z]{2,}):(?![/\\])(.*)", name, re.DOTALL)
    if prefix and prefix[1] != "embedded" and nearest(prefix[1], ["embedded"]):
        raise ModelError.of(
            "M107",
            _("there is no such embedded model"),
            Place(name),
            fix=_('Did you mean "{name}"?').format(name=f"embedded:{prefix[2]}"),
        )


def _is_run(path: Path) -> bool:
    return _is_file(path / "recipe.yaml")


# The functions of os.path never raise; those of Path do, for names that are too long, folders that
# may not be read, and unknown home folders.


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113


def _expanded(name: str | Path) -> Path:
    return Path(os.path.expanduser(name))  # noqa: PTH111
