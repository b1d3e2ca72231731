"""What a check of a sample says about all rows, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.scan import Survey
from tunesmith.errors import Place, Problem, Severity
from tunesmith.i18n import gettext as _
from tunesmith.inputs.streaming import Streaming
from tunesmith.text import shortened

__all__ = ["estimated_counts", "sampling_note"]

_MOST_CLASSES = 10
_Z95 = 1.96


def sampling_note(streaming: Streaming, survey: Survey) -> Problem:
    """Return the note that a sample was checked: how many rows, of how many, by which seed.

    Args:
        streaming: how the rows are read.
        survey: of the sample.
    """
    evidence = [_("counts of other problems are those of the sample")]
    if estimates := list(_estimates(streaming, survey)):
        evidence.append(
            _("estimated training rows (95%): {estimates}").format(estimates=", ".join(estimates))
        )
    return Problem(
        "D222",
        _("{sampled} of {total} training rows were checked, chosen by data.seed {seed}").format(
            sampled=len(streaming.sample.numbers),
            total=streaming.num_rows,
            seed=streaming.held_out.seed,
        ),
        Place(streaming.source.name),
        evidence=tuple(evidence),
        fix=_("Training checks every row that it reads, and stops at one that it cannot use."),
        severity=Severity.NOTE,
    )


def _estimates(streaming: Streaming, survey: Survey) -> Iterator[str]:
    names = survey.stratum_names
    if survey.is_continuous or not names or not all(isinstance(name, str) for name in names):
        return
    good = np.delete(np.arange(survey.num_rows), sorted(survey.bad))
    shards = streaming.sample.numbers[good] // streaming.source.shard_rows
    counts, margins = estimated_counts(survey.strata, shards, streaming.num_rows)
    order = np.argsort(-counts, kind="stable")
    for number in order[:_MOST_CLASSES].tolist():
        name = shortened(str(names[number]))
        yield f"{name} {_rounded(counts[number])} ± {_rounded(margins[number])}"
    if len(order) > _MOST_CLASSES:
        yield "…"


def estimated_counts(
    classes: NDArray[np.integer[Any]], shards: NDArray[np.int64], num_rows: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how many of all rows each class has, and the half of the 95% interval.

    Rows of one shard resemble each other, so that the shards are what counts as drawn: the ratio
    estimator of a cluster sample.

    Args:
        classes: of each row of the sample, from 0, shape (n,).
        shards: that it is from, shape (n,).
        num_rows: of all data.
    """
    _numbers, cluster = np.unique(shards, return_inverse=True)
    count = int(cluster.max(initial=-1)) + 1
    table = np.zeros((count, int(classes.max(initial=0)) + 1))
    np.add.at(table, (cluster, classes), 1)
    sizes = table.sum(axis=1, keepdims=True)
    fractions = table.sum(axis=0) / max(1.0, float(sizes.sum()))
    spread = ((table - fractions * sizes) ** 2).sum(axis=0) / max(1, count - 1)
    error = np.sqrt(spread / max(1, count)) / max(1e-9, float(sizes.mean()))
    return fractions * num_rows, _Z95 * error * num_rows


def _rounded(value: float) -> str:
    """Return a number with three significant digits."""
    if value < 100:
        return f"{value:.0f}"
    digits = 10 ** max(0, math.floor(math.log10(value)) - 2)
    return f"{round(value / digits) * digits}"
