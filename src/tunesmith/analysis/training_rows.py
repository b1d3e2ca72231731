"""The rows that a run learned from, read again if they are unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.data.rows import Row
from tunesmith.errors import IntegrityError, TunesmithError
from tunesmith.i18n import gettext as _
from tunesmith.inputs import resolve_inputs, validate_inputs
from tunesmith.recipe import gather
from tunesmith.runs.baselines import drawn_rows
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.plan_file import learned_from

__all__ = ["KnownRows", "known_rows", "run_of_model"]


@dataclass(frozen=True, slots=True)
class KnownRows:
    """Training rows for the TF-IDF baseline.

    Attributes:
        rows: all of them, or a drawn part of many.
        total: all training rows.
        reason: why there are none; empty where there are some.
    """

    rows: Sequence[Row] = ()
    total: int = 0
    reason: str = ""


def run_of_model(name: str) -> RunFolder | None:
    """The run that a model belongs to: its folder, or the one around the model folder."""
    for path in (Path(name).expanduser(), Path(name).expanduser().parent):
        run = RunFolder(path)
        if run.exists and run.plan.is_file():
            return run
    return None


def known_rows(run: RunFolder) -> KnownRows:
    """Return the training rows of a run, the same ones that its own baselines learned from."""
    try:
        layers = gather(file=run.recipe, environment={})
        if layers.recipe().data.train == "python":
            return KnownRows(reason=_("they were held in Python"))
        learned = learned_from(run)
        checked = validate_inputs(resolve_inputs(layers))
    except TunesmithError as error:
        return KnownRows(reason=f"{error.problems[0].place}: {error.problems[0].message}")
    train = checked.splits["train"]
    if learned.get("train") != train.digest:
        return KnownRows(reason=_("they changed since"))
    try:
        return KnownRows(drawn_rows(train, checked.task.roles), train.num_rows)
    except IntegrityError:
        return KnownRows(reason=_("they changed since"))
