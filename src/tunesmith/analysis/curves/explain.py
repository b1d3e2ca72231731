"""A run explained from its folder: what it logged, as curves, and what these say. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.analysis.curves import Answers, Curves, Reading, read, without_longer
from tunesmith.analysis.curves import Verdict as ReadingOf
from tunesmith.metrics.output_kinds import OutputKind
from tunesmith.metrics.scores import METRICS, parse_selection
from tunesmith.metrics.shortfall import shortfalls_of
from tunesmith.recipe import Recipe, gather
from tunesmith.runs.event_history import History
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.predictions import stored_name
from tunesmith.tasks import task_from_json

__all__ = ["curves_of", "explain"]


def explain(run: RunFolder, curves: Curves | None = None) -> tuple[Reading, ...]:
    """What the curves of a run say, the weightiest first; at least one reading.

    That the TF-IDF baseline is better comes before all of them; training longer is then no advice.

    Args:
        run: its folder.
        curves: from `curves_of`, if they were read already.

    Raises:
        PlainError: the recipe or the plan of the run cannot be read.
    """
    readings = read(curves or curves_of(run), _recipe(run).train)
    beaten = [
        f"{split}: {told.sentence()}"
        for split, told in shortfalls_of(run.facts()).items()
        if told.tfidf is not None
    ]
    if not beaten:
        return readings
    return (Reading(ReadingOf.BEATEN, None, "; ".join(beaten)), *without_longer(readings))


def curves_of(run: RunFolder, history: History | None = None) -> Curves:
    """What a run logged, as numbers over steps. Lines that are damaged are left out.

    Args:
        run: its folder.
        history: what it logged, if that was read already.

    Raises:
        PlainError: the recipe or the plan of the run cannot be read.
    """
    events = (history or run.history()).events
    recipe, facts = _recipe(run), run.plan_facts()
    plan = facts.get("plan", {})
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
        validation_rows=facts.get("data", {}).get("validation", {}).get("examples", 0),
        is_finished=any(event.get("event") == "finished" for event in events),
        answers=_answers(run, facts.get("task", {})),
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


def _answers(run: RunFolder, task: Mapping[str, Any]) -> Answers | None:
    """What the finished model answered on the validation rows, beside their labels."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = run.predictions / "validation.parquet"
    label = task.get("roles", {}).get("label")
    if not path.is_file() or not isinstance(label, str):
        return None
    try:
        with pq.ParquetFile(path) as file:  # read_table would load pandas
            table = file.read(columns=["predicted", "score", stored_name(label)]).to_pydict()
        predicted, numbers, truth = table["predicted"], table["score"], table[stored_name(label)]
    except (OSError, pa.ArrowException, KeyError):
        return None  # damaged, or of an older version: the curves speak all the same
    if not predicted or any(value is None for value in truth):
        return None
    output = task_from_json(task).output
    if output.column_type == "number":
        return _of_numbers(np.array(numbers, float), np.array(truth, float))
    return _of_classes([str(p) for p in predicted], [str(t) for t in truth], output)


def _of_numbers(answers: NDArray[np.float64], truth: NDArray[np.float64]) -> Answers | None:
    variance = float(truth.var())
    if not variance:
        return None
    squares = (truth - truth.mean()) ** 2
    return Answers(
        rows=len(truth),
        variety=float(answers.std()) / variance**0.5,
        answer=f"{answers.mean():.3g}",
        majority=None,
        guessing=variance,
        guessing_spread=float(squares.std()) / variance,
        untrained=float(np.mean(truth**2)),
    )


def _of_classes(answers: Sequence[str], truth: Sequence[str], output: OutputKind) -> Answers:
    _names, counts = np.unique(truth, return_counts=True)
    shares = counts / counts.sum()
    entropy = float(-(shares * np.log(shares)).sum())
    spread = float(np.sqrt((shares * (np.log(shares) + entropy) ** 2).sum()))
    return Answers(
        rows=len(truth),
        variety=len(set(answers)),
        answer=answers[0],
        majority=float(shares.max()),
        guessing=entropy if output.is_exclusive else None,
        guessing_spread=spread / entropy if entropy else 0.5,
        untrained=math.log(len(output.labels)) if output.is_exclusive else None,
    )
