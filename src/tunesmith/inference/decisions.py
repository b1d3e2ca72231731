"""Answers and scores of a calibrated model, or with a threshold of the user's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from tunesmith.data.rows import Row
from tunesmith.errors import ModelError, Place, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.metrics.calibration import Calibration
from tunesmith.metrics.scores import Metric, Scores
from tunesmith.tasks import Predictions, Task
from tunesmith.tasks.calibrators import Calibrator, of_rows

__all__ = ["calibrator_of", "choose_calibration", "decided_answers", "decided_scores"]


def choose_calibration(
    task: Task,
    facts: Mapping[str, Any],
    *,
    calibrated: bool,
    threshold: float | None,
    name: str,
) -> Calibration | None:
    """Return how to decide; None for the model's plain answers.

    Args:
        task: of the model.
        facts: what its `tunesmith.json` holds.
        calibrated: whether to follow the saved calibration.
        threshold: the least probability of an answer, instead of the saved thresholds.
        name: of the model, for messages.

    Raises:
        ModelError: the model is not calibrated (M152).
        RecipeError: the threshold is no probability (R187), or the task gives none (R184).
    """
    calibration = None
    if calibrated:
        saved = facts.get("calibration")
        if saved is None:
            raise ModelError.of(
                "M152",
                _("the model is not calibrated"),
                Place(name),
                fix=_("`tunesmith calibrate RUN` does it."),
            )
        calibration = Calibration.from_json(saved)
    if threshold is None:
        return calibration
    if not 0 <= threshold <= 1:
        raise RecipeError.of(
            "R187",
            _("a threshold is a probability from 0 to 1, not {value:g}").format(value=threshold),
            fix=_("Pass a number from 0 to 1."),
        )
    return calibrator_of(task, name).with_threshold(calibration, threshold)


def calibrator_of(task: Task, name: str) -> Calibrator:
    """Return how the answers of a task are calibrated, if it has probabilities.

    Raises:
        RecipeError: it has none (R184); its place is `name`.
    """
    if (calibrator := task.calibrator) is not None:
        return calibrator
    raise RecipeError.of(
        "R184",
        _("{task} gives no probabilities of classes or labels").format(task=task.name),
        Place(name),
        fix=_("Leave out calibration and threshold for this model."),
    )


def decided_answers(
    task: Task, calibration: Calibration, predictions: Predictions, rows: Sequence[Row]
) -> list[dict[str, object]]:
    """Return the task's answers with calibrated probabilities; abstentions have the label None."""
    calibrator = calibrator_of(task, task.name)
    decision, answered = calibrator.decide(calibration, predictions)
    answers = task.decode(calibrator.scaled(calibration, predictions), rows)
    decided = task.decode(decision, rows)
    for answer, other, is_answered in zip(answers, decided, answered.tolist(), strict=True):
        answer["label"] = label = other["label"] if is_answered else None
        scores = answer["scores"]
        if isinstance(label, str) and isinstance(scores, dict) and label in scores:
            answer["score"] = scores[label]  # with thresholds it need not be the highest
    return answers


def decided_scores(
    task: Task,
    calibration: Calibration,
    metrics: Sequence[Metric],
    predictions: Predictions,
    truth: NDArray[Any],
) -> Scores:
    """Return the scores of the answered rows; loss and calibration error are of all rows.

    Where rows may stay unanswered, "coverage" says how many are not.
    """
    calibrator = calibrator_of(task, task.name)
    decision, answered = calibrator.decide(calibration, predictions)
    measured = calibrator.measure(calibration, predictions, truth)
    values: dict[str, float | None] = {metric.name: None for metric in metrics}
    if answered.any():
        scores = task.score(metrics, of_rows(decision, answered), truth[answered], None)
        values |= scores.values
    directions: dict[str, bool | None] = {m.name: m.higher_is_better for m in metrics}
    values |= {"loss": measured.loss, "ece": measured.ece}
    directions |= {"loss": False, "ece": False}
    if calibration.rule == "unsure":
        values["coverage"], directions["coverage"] = measured.coverage, True
    return Scores(values, directions)
