"""A run explained from its folder: what it logged, as curves, and what they show. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.analysis.curves.diagnosis import Assessment, Diagnosis, without_longer_training
from tunesmith.analysis.curves.outcomes import assess
from tunesmith.analysis.curves.series import Curves, PredictionStats
from tunesmith.data.rows import Row
from tunesmith.errors import IntegrityError
from tunesmith.metrics.output_kinds import OutputKind, RowAnswers
from tunesmith.metrics.scores import METRICS, parse_selection
from tunesmith.metrics.shortfall import shortfalls_of
from tunesmith.recipe import Recipe, gather
from tunesmith.runs.event_history import History
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.predictions import read_predictions
from tunesmith.tasks import task_from_json

__all__ = ["curves_of", "explain"]


def explain(run: RunFolder, curves: Curves | None = None) -> tuple[Assessment, ...]:
    """Return what the curves of a run show, at least one assessment, the most important first.

    That the TF-IDF baseline is better comes before all others; to train longer is then no advice.

    Args:
        run: its folder.
        curves: from `curves_of`, if they were read already.

    Raises:
        TunesmithError: the recipe or the plan of the run cannot be read.
    """
    assessments = assess(curves or curves_of(run), _recipe(run).train)
    beaten = [
        f"{split}: {shortfall.sentence()}"
        for split, shortfall in shortfalls_of(run.facts()).items()
        if shortfall.tfidf is not None
    ]
    if not beaten:
        return assessments
    first = Assessment(Diagnosis.BEATEN, None, "; ".join(beaten))
    return (first, *without_longer_training(assessments))


def curves_of(run: RunFolder, history: History | None = None) -> Curves:
    """Return what a run logged, as numbers over steps; damaged lines are left out.

    Args:
        run: its folder.
        history: what it logged, if that was read already.

    Raises:
        TunesmithError: the recipe or the plan of the run cannot be read.
    """
    events = (history or run.history()).events
    recipe, plan_metadata = _recipe(run), run.plan_facts()
    plan = plan_metadata.get("plan", {})
    lines = _having(events, "step", "loss", "grad_norm", "learning_rate")
    chosen, higher = _choice(recipe)
    evaluated = [
        {"step": event.get("step"), **event.get("scores", {})}
        for event in events
        if event.get("event") == "evaluated"
    ]
    evaluated = [event for event in evaluated if _are_numbers(event, ("step", "loss"))]
    return Curves(
        steps=_column(lines, "step").astype(np.int64),
        losses=_column(lines, "loss"),
        grad_norms=_column(lines, "grad_norm"),
        learning_rates=_column(lines, "learning_rate"),
        evaluated=_column(evaluated, "step").astype(np.int64),
        validation=_column(evaluated, "loss"),
        scores=_column(evaluated, chosen or ""),
        score=chosen,
        higher=higher,
        skipped=tuple(event["step"] for event in events if event.get("code") == "M116"),
        batch_size=plan.get("batch_size", recipe.train.batch_size),
        steps_per_epoch=plan.get("steps_per_epoch", 1),
        total_steps=plan.get("total_steps", 0),
        validation_rows=plan_metadata.get("data", {}).get("validation", {}).get("examples", 0),
        is_finished=any(event.get("event") == "finished" for event in events),
        predictions=_prediction_stats(run, plan_metadata.get("task", {})),
    )


def _recipe(run: RunFolder) -> Recipe:
    return gather(file=run.recipe, environment={}).recipe()


def _choice(recipe: Recipe) -> tuple[str | None, bool]:
    """The score that chooses the model and whether higher is better, as `train.select_by` says."""
    if recipe.train.select_by is None:
        return None, False
    name, higher = parse_selection(recipe.train.select_by)
    if higher is None:
        higher = name in METRICS and METRICS[name].higher_is_better
    return name, higher


def _having(events: Iterable[Mapping[str, Any]], kind: str, *names: str) -> list[Mapping[str, Any]]:
    return [e for e in events if e.get("event") == kind and _are_numbers(e, ("step", *names))]


def _are_numbers(event: Mapping[str, Any], names: Iterable[str]) -> bool:
    return all(isinstance(event.get(name), int | float) for name in names)


def _column(events: Sequence[Mapping[str, Any]], name: str) -> NDArray[np.float64]:
    values = [event.get(name) for event in events]
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _prediction_stats(run: RunFolder, task_json: Mapping[str, Any]) -> PredictionStats | None:
    """Return what the finished model predicts for the validation rows, if they have labels."""
    if not task_json:
        return None
    task = task_from_json(task_json)
    try:
        records = read_predictions(run, "validation", task.roles.columns)
    except IntegrityError:
        return None  # the curves are assessed all the same
    rows = [Row(record.row, record.values) for record in records]
    if not rows or not all(map(task.is_labeled, rows)):
        return None
    answers = [record.answer for record in records]
    try:
        targets = task.targets(rows)
    except KeyError:  # a label that the plan does not know, which is damaged then
        return None
    return _stats(task.output, task.output.recorded(answers, targets))


def _stats(kind: OutputKind, answers: RowAnswers) -> PredictionStats | None:
    truth, predicted = answers.truth, answers.predicted
    if kind.column_type == "number":
        predicted = predicted.astype(np.float64)
        if not truth.var():
            return None
        variety, majority = float(predicted.std() / truth.std()), None
        example = f"{predicted.mean():.3g}"
    else:
        counts = Counter(map(kind.format, truth))
        majority = counts.most_common(1)[0][1] / len(truth)
        names = [kind.format(entry) for entry in predicted]
        variety, example = len(set(names)), names[0]
    stats = PredictionStats(len(truth), variety, example, majority)
    raw = kind.raw_kind
    if raw is None:
        return stats
    constant = np.tile(raw.constant(truth), (len(truth), 1))
    losses = raw.losses(constant, truth)
    guessing = float(losses.mean())
    return replace(
        stats,
        guessing=guessing,
        guessing_spread=float(losses.std()) / guessing if guessing else 0.5,
        untrained=float(raw.losses(np.zeros_like(constant), truth).mean()),
    )
