"""The rows of a score table: each score with its interval and those of the baselines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tunesmith.i18n import gettext as _
from tunesmith.i18n import split_name
from tunesmith.metrics.baselines import BASELINES

__all__ = [
    "OF_NUMBERS",
    "as_interval",
    "as_score",
    "baseline_title",
    "numeric_titles",
    "score_rows",
    "score_tables",
]


OF_NUMBERS = frozenset({"pearson", "spearman", "mean_squared_error"})
"""The standard scores of numbers."""


def score_rows(
    title: str,
    scores: Mapping[str, float | None],
    intervals: Mapping[str, Sequence[float] | None],
    baselines: Mapping[str, Mapping[str, float | None]],
) -> list[dict[str, str]]:
    """A row per score.

    Args:
        title: heads the names of the scores, such as the name of the split.
        scores: by name.
        intervals: the two ends of the 95% interval of those that have one.
        baselines: by the names of `tunesmith.metrics.baselines`, what each scores.
    """
    title = split_name(title)
    return [
        {
            title: name,
            _("score"): as_score(value),
            "95%": as_interval(intervals.get(name)),
            **{
                baseline_title(baseline, scores): as_score(baselines[baseline].get(name))
                for baseline in BASELINES
                if baseline in baselines
            },
        }
        for name, value in scores.items()
    ]


def score_tables(metadata: Mapping[str, Any]) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Yield each scored split with its rows.

    Args:
        metadata: "scores", "intervals" and "baselines" by split, as `tunesmith.json` has them.
    """
    for split, scores in metadata.get("scores", {}).items():
        intervals = metadata.get("intervals", {}).get(split, {})
        yield (
            split,
            score_rows(split, scores, intervals, metadata.get("baselines", {}).get(split, {})),
        )


def baseline_title(baseline: str, scores: Iterable[str]) -> str:
    """Return the title of a baseline with these scores: of numbers the constant is the mean."""
    is_mean = baseline == "constant" and not OF_NUMBERS.isdisjoint(scores)
    return _("mean label") if is_mean else _(BASELINES[baseline])


def numeric_titles() -> list[str]:
    """The headings of numbers, which are aligned on the right."""
    return [_("score"), *map(_, BASELINES.values()), _("mean label")]


def as_score(value: float | None) -> str:
    """Four digits."""
    return "-" if value is None else f"{value:.4f}"


def as_interval(ends: Sequence[float] | None, *, sign: str = "") -> str:
    """Its two ends."""
    if ends is None:
        return "-"
    low, high = (f"{end:{sign}.4f}" for end in ends)
    return _("{low} to {high}").format(low=low, high=high)
