"""`--fail-under METRIC=VALUE`: scores that are too bad make a command fail."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from tunesmith.errors import Place, Problem, ScoreError
from tunesmith.i18n import gettext as _
from tunesmith.metrics.score_table import as_score
from tunesmith.metrics.scores import Scores

__all__ = ["LeastScore", "fail_under_option", "require_scores"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class LeastScore:
    """A metric and the worst value that is accepted."""

    metric: str
    value: float


def _read(
    context: click.Context, parameter: click.Parameter, values: Sequence[str]
) -> tuple[LeastScore, ...]:
    """Read metrics with numbers."""
    return tuple(_read_one(value, context, parameter) for value in values)


def _read_one(value: str, context: click.Context, parameter: click.Parameter) -> LeastScore:
    metric, _equals, number = value.partition("=")
    with suppress(ValueError):
        if math.isfinite(least := float(number)):
            return LeastScore(metric.strip(), least)
    message = _('"{value}" is no metric with a number, such as accuracy=0.8')
    raise click.BadParameter(message.format(value=value), context, parameter)


def fail_under_option(function: F) -> F:
    """Add `--fail-under`."""
    return click.option(
        "--fail-under",
        metavar="METRIC=VALUE",
        multiple=True,
        callback=_read,
        help=_(
            "Exit with 1 if this metric is worse than the value, such as accuracy=0.8; repeatable."
        ),
    )(function)


def require_scores(least: Sequence[LeastScore], scores: Scores, data: str) -> None:
    """Raise unless scores of these data are good enough.

    A metric of which lower values are better, such as the loss, has a highest value.

    Raises:
        ScoreError: some are not (M154).
    """
    problems = []
    for each in least:
        score = scores[each.metric]
        is_higher_better = scores.higher_is_better.get(each.metric) is not False
        if score is not None and (score >= each.value if is_higher_better else score <= each.value):
            continue
        message = (
            _("{metric} is {score}, at least {value} is required")
            if is_higher_better
            else _("{metric} is {score}, at most {value} is required")
        )
        problems.append(
            Problem(
                "M154",
                message.format(metric=each.metric, score=as_score(score), value=f"{each.value:g}"),
                Place(data),
                fix=_("Improve the model, or change --fail-under."),
            )
        )
    if problems:
        raise ScoreError(problems)
