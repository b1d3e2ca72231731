"""Repeated texts: leaks between splits, duplicates within one, one text with two labels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.near_duplicates import NEAR, Groups, candidates, similarities
from tunesmith.data.open import is_published
from tunesmith.errors import Place, Problem, Severity
from tunesmith.i18n import gettext as _
from tunesmith.inputs.column_stats import SplitStats
from tunesmith.text import shortened

__all__ = ["LEAK_FRACTION", "across", "within"]

LEAK_FRACTION = 0.01
"""The fraction of the evaluated rows from which a leak stops training."""

_MOST_PAIRS = 50_000
"""Candidates that are compared; in data made from a template every row is one."""
_SHOWN, _MOST_LISTED = 3, 10_000

Indices = NDArray[np.int64]


def across(
    train: SplitStats, other: SplitStats, *, allow_leak: bool, group_column: str | None = None
) -> Iterator[Problem]:
    """Yield the problems of evaluated rows that are also in train, or nearly so.

    Args:
        train: the training rows.
        other: the evaluated rows.
        allow_leak: whether leaks are only warnings.
        group_column: the column of their groups.
    """
    twins, leaked = _shared(train.hashes, other.hashes)
    if len(leaked):
        pairs = np.stack([leaked, twins[leaked]], axis=1)
        yield _problem(
            "D401",
            _("{count} of {total} {split} rows ({fraction:.2%}) are also in train").format(
                count=len(leaked),
                total=len(other.rows),
                split=other.name,
                fraction=len(leaked) / len(other.rows),
            ),
            pairs,
            other,
            train,
            fix=_("Remove them on one side: they flatter the score. If it is meant: --allow-leak."),
            severity=Severity.ERROR
            if not allow_leak and _stops(leaked, train, other)
            else Severity.WARNING,
        )
    if train.groups is not None and other.groups is not None:
        relatives, related = _shared(train.groups, other.groups)
        fresh = np.setdiff1d(related, leaked, assume_unique=True)
        if len(fresh):
            yield _problem(
                "D412",
                _('{count} of {total} {split} rows have the "{column}" of rows of train').format(
                    count=len(fresh), total=len(other.rows), split=other.name, column=group_column
                ),
                np.stack([fresh, relatives[fresh]], axis=1),
                other,
                train,
                fix=_(
                    "Put all rows of one group into one split: the model knows part of the "
                    "answer. If it is meant: --allow-leak."
                ),
                severity=Severity.ERROR
                if not allow_leak and _stops(fresh, train, other)
                else Severity.WARNING,
            )
    if train.keys is not None and other.keys is not None:
        fresh = np.setdiff1d(np.arange(len(other.rows)), leaked, assume_unique=True)
        pairs = candidates(other.keys[fresh], train.keys)
        pairs[:, 0] = fresh[pairs[:, 0]]
        if len(near := _near(pairs, other, train)):
            yield _problem(
                "D402",
                _("{count} of {total} {split} rows are almost the same as rows of train").format(
                    count=len(near), total=len(other.rows), split=other.name
                ),
                near,
                other,
                train,
                fix=_("Look at them: what is nearly known is scored too well."),
                # random splits have no chosen rows, and equal texts are in one split
                severity=Severity.NOTE if other.stats is train.stats else Severity.WARNING,
            )


def _shared(train: Indices, other: Indices) -> tuple[Indices, Indices]:
    """Return for each of the other hashes where in train it is, if it is; and which are."""
    order = np.argsort(train, kind="stable")
    position = np.searchsorted(train[order], other)
    twins = order[np.minimum(position, len(order) - 1)]
    return twins, np.flatnonzero(train[twins] == other)


def _stops(leaked: Indices, train: SplitStats, other: SplitStats) -> bool:
    """Whether leaked rows stop training: many labeled ones, except between published splits."""
    published = [is_published(part.stats.source) for part in (train, other)]
    is_much = len(leaked) >= LEAK_FRACTION * len(other.rows)
    return is_much and other.is_labeled and not all(published)


def within(part: SplitStats) -> Iterator[Problem]:
    """Yield the problems of texts that are repeated in a source, nearly so, or have two labels."""
    groups = Groups.of(part.hashes)
    first, twins = groups.first, groups.by_row(groups.first)
    del groups
    repeated = np.flatnonzero(twins != np.arange(len(twins)))
    clashing = np.zeros(len(twins), dtype=bool)
    if part.classes is not None:
        clashing = part.classes != part.classes[twins]
    if clashing.any():
        pairs = np.stack([np.flatnonzero(clashing), twins[clashing]], axis=1)
        yield _problem(
            "D403",
            _("{count} of {total} rows have the text of an earlier row and another label").format(
                count=len(pairs), total=len(part.rows)
            ),
            pairs,
            part,
            part,
            fix=_("Decide which label is right, or remove the rows."),
            severity=Severity.WARNING,
        )
    same = repeated[~clashing[repeated]]
    if len(same):
        yield _problem(
            "D408",
            _("{count} of {total} rows repeat the text of an earlier row").format(
                count=len(same), total=len(part.rows)
            ),
            np.stack([same, twins[same]], axis=1),
            part,
            part,
            fix=_("Repeated rows count twice; remove them if that is not meant."),
            severity=Severity.NOTE,
        )
    if part.keys is not None:
        firsts = np.sort(first)
        pairs = firsts[candidates(part.keys[firsts])]
        if part.groups is not None:  # rows of one group are expected to be similar
            pairs = pairs[part.groups[pairs[:, 0]] != part.groups[pairs[:, 1]]]
        if len(near := _near(pairs, part, part)):
            yield _problem(
                "D409",
                _("{count} of {total} rows are almost the same as another row").format(
                    count=len(near), total=len(part.rows)
                ),
                near,
                part,
                part,
                fix=_("They teach little more than one of them would."),
                severity=Severity.NOTE,
            )


def _near(pairs: Indices, one: SplitStats, other: SplitStats) -> Indices:
    """Return the near pairs among candidates: for each row of the first part its nearest.

    Returns:
        Pairs of indices, shape (p, 2), rising in the first part.
    """
    pairs = pairs[one.hashes[pairs[:, 0]] != other.hashes[pairs[:, 1]]][:_MOST_PAIRS]
    rows = one.rows[pairs[:, 0]], other.rows[pairs[:, 1]]
    texts = one.stats.texts(rows[0].tolist())
    others = other.stats.texts(rows[1].tolist())
    alike = similarities(
        [texts[row] for row in rows[0].tolist()], [others[row] for row in rows[1].tolist()]
    )
    order = np.lexsort((-alike, pairs[:, 0]))
    nearest = pairs[order][alike[order] >= NEAR]
    return nearest[np.unique(nearest[:, 0], return_index=True)[1]]


def _problem(
    code: str,
    message: str,
    pairs: Indices,
    one: SplitStats,
    other: SplitStats,
    *,
    fix: str,
    severity: Severity,
) -> Problem:
    """Return a problem with the first pairs as evidence: place, place, text."""
    shown = pairs[:_SHOWN]
    rows, others = one.rows[shown[:, 0]].tolist(), other.rows[shown[:, 1]].tolist()
    places = one.stats.source.places(rows)
    other_places = other.stats.source.places(others)
    texts = one.stats.texts_as_written(rows)
    evidence = [
        _("{place} as {other}: {text}").format(
            place=_at(places, row, one),
            other=_at(other_places, twin, other),
            text=shortened(texts.get(row, ""), at_most=60),
        )
        for row, twin in zip(rows, others, strict=True)
    ]
    if len(pairs) > len(shown):
        evidence.append(_("and {count} more").format(count=len(pairs) - len(shown)))
    return Problem(
        code,
        message,
        _at(places, rows[0], one),
        evidence=tuple(evidence),
        fix=fix,
        severity=severity,
        count=len(pairs),
        row_numbers=tuple(one.rows[pairs[:_MOST_LISTED, 0]].tolist()),
    )


def _at(places: dict[int, Place], row: int, part: SplitStats) -> Place:
    return places.get(row, Place(part.stats.source.name, row=row))
