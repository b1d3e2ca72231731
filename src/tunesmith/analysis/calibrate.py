"""Calibration of a finished run on its validation predictions, stored with the model."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from numpy.typing import NDArray

from tunesmith.data.rows import Row
from tunesmith.errors import Place, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.inference.decisions import calibrator_of
from tunesmith.inference.load import load
from tunesmith.metrics.calibration import CalibrationResult
from tunesmith.metrics.thresholds import Goal
from tunesmith.runs.folder import RunFolder, refuse_unfinished
from tunesmith.runs.model_folder import amend_facts, read_facts
from tunesmith.runs.predictions import read_predictions
from tunesmith.storage.lock import hold
from tunesmith.tasks import Predictions, Task, task_from_json
from tunesmith.tasks.calibrators import Calibrator

__all__ = ["calibrate_run", "fit_as_json"]


def calibrate_run(run: RunFolder, *, goal: Goal | None = None) -> CalibrationResult:
    """Fit a calibration and store it with the model and in its card, in place of an older one.

    Args:
        run: a finished one.
        goal: what thresholds are for; None for the temperature alone.

    Raises:
        RecipeError: the run is not finished (C114), its task gives no probabilities (R184), it has
            no validation predictions (R185), or the goal does not fit (R181) or cannot be reached
            (R182).
        FolderInUseError: another process holds the run (C106).
    """
    if not run.exists:  # or a folder would be made to hold it
        refuse_unfinished(run)
    with hold(run.path):
        run.sweep()
        refuse_unfinished(run)
        facts = read_facts(run.model) or {}
        task = task_from_json(facts["task"])
        calibrator = calibrator_of(task, str(run.path))
        fit = calibrator.fit(*_validation(run, task, calibrator), goal=goal)
        amend_facts(run.model, {"calibration": fit_as_json(fit)})
    return fit


def fit_as_json(fit: CalibrationResult) -> dict[str, object]:
    """Return what is stored of a fit: the calibration, and the numbers behind it."""
    return {
        **fit.calibration.as_json(),
        "split": "validation",
        "rows": fit.rows,
        "before": asdict(fit.before),
        "after": asdict(fit.after),
    }


def _validation(
    run: RunFolder, task: Task, calibrator: Calibrator
) -> tuple[Predictions, NDArray[Any]]:
    """Return predictions and labels of the validation rows.

    Where the stored answers do not say what they were made from, the model answers once more.
    """
    records = read_predictions(run, "validation", task.roles.columns)
    if not records:
        raise RecipeError.of(
            "R185",
            _("there are no validation predictions to calibrate on"),
            Place(str(run.predictions / "validation.parquet")),
            fix=_("Train with validation rows, such as --validation 10%."),
        )
    rows = [Row(record.row, record.values) for record in records]
    predictions = calibrator.recorded([record.answer for record in records])
    if predictions is None:
        model = load(run.model)
        predictions = model.predict([dict(record.values) for record in records]).predictions
    return predictions, task.targets(rows)
