"""Which metrics a run computes, and which one chooses its best model."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.errors import Problem, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.inputs import ValidatedInputs
from tunesmith.metrics.scores import Metric, choose_metrics, parse_selection
from tunesmith.recipe import Layers
from tunesmith.text import did_you_mean
from tunesmith.training.early_stopping import ModelSelection

__all__ = ["choose_scores"]


def choose_scores(
    checked: ValidatedInputs, *, custom_metrics: bool
) -> tuple[tuple[Metric, ...], ModelSelection | None]:
    """Return the metrics to compute, and the one that chooses the best model; None for the last.

    Raises:
        RecipeError: a metric does not exist (R110), or evaluations are missing (R114).
    """
    recipe, task, layers = checked.recipe, checked.task, checked.layers
    try:
        metrics = choose_metrics(recipe.metrics or task.default_metrics, task.metrics, task.name)
    except RecipeError as error:
        raise RecipeError(
            [_at_key(problem, layers, "metrics") for problem in error.problems]
        ) from None
    if problem := _needs_evaluations(checked, metrics):
        raise RecipeError(problem)
    best = recipe.train.select_by
    if best is None or "validation" not in checked.splits:
        if recipe.train.early_stopping is not None:
            raise RecipeError(
                layers.problem(
                    "R114",
                    _("early stopping needs validation rows and a score that chooses"),
                    "train",
                    "early_stopping",
                    fix=_(
                        "Set data.validation and train.select_by, or remove train.early_stopping."
                    ),
                )
            )
        return metrics, None
    patience = recipe.train.early_stopping
    limit = int(patience.amount) if patience else None
    own, higher = parse_selection(best)
    if higher is not None:
        if own not in task.metrics and own != "loss" and not custom_metrics:
            scores = [*task.metrics, "loss"]
            known = _("Scores of {task}: {names}.").format(task=task.name, names=", ".join(scores))
            raise RecipeError(
                layers.problem(
                    "R110",
                    _('there is no score "{name}"').format(name=own),
                    "train",
                    "select_by",
                    fix=did_you_mean(own, scores, otherwise=known),
                )
            )
        return metrics, ModelSelection(own, higher, limit)
    if best == "loss":
        return metrics, ModelSelection("loss", higher=False, patience=limit)
    try:
        (metric,) = choose_metrics([best], task.metrics, task.name)
    except RecipeError as error:
        problem = error.problems[0]
        fix = problem.fix
        if custom_metrics:
            fix = _('For a score of your own write "highest {name}" or "lowest {name}".').format(
                name=best
            )
        raise RecipeError(
            layers.problem(problem.code, problem.message, "train", "select_by", fix=fix)
        ) from None
    return tuple(dict.fromkeys((*metrics, metric))), ModelSelection(
        metric.name, metric.higher_is_better, limit
    )


def _needs_evaluations(checked: ValidatedInputs, metrics: Sequence[Metric]) -> Problem | None:
    """Return the setting that needs evaluations where there are none.

    The first metric is accepted, since recipes of runs have it filled in.
    """
    settings = checked.recipe.train
    if settings.evaluate_every is not None:
        return None
    if settings.early_stopping is not None:
        key = "early_stopping"
    elif settings.select_by not in (None, metrics[0].name if metrics else "loss"):
        key = "select_by"
    else:
        return None
    return checked.layers.problem(
        "R114",
        _("{name} needs evaluations, and train.evaluate_every is never").format(
            name=f"train.{key}"
        ),
        "train",
        key,
        fix=_("Set train.evaluate_every, such as to 1 epoch, or remove {name}.").format(
            name=f"train.{key}"
        ),
    )


def _at_key(problem: Problem, layers: Layers, *path: str) -> Problem:
    return layers.problem(problem.code, problem.message, *path, fix=problem.fix)
