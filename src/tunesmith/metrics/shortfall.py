"""Why a model is worth no more than a simple baseline: it collapsed, or does not beat it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

import numpy as np

from tunesmith.errors import Problem, Severity
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.i18n import ngettext, split_name
from tunesmith.metrics.counts import is_counted
from tunesmith.metrics.differences import difference
from tunesmith.metrics.score_table import baseline_title
from tunesmith.metrics.scores import METRICS, Answers, Interval, Scores
from tunesmith.metrics.uncertainty import intervals, is_constant

__all__ = [
    "BEATEN",
    "COLLAPSED",
    "LEVEL",
    "Shortfall",
    "TfidfComparison",
    "compare_with_tfidf",
    "find_shortfall",
    "shortfalls_of",
]

COLLAPSED, LEVEL, BEATEN = "M135", "M136", "M137"
_TITLES = {
    COLLAPSED: N_("collapsed"),
    LEVEL: N_("not shown to be better than the {baseline}"),
    BEATEN: N_("worse than the TF-IDF baseline"),
}
_CHECK_DATA = N_(
    "Check that the label and text columns are the right ones; `tunesmith runs explain` shows what "
    "the training curves say."
)
_FIXES = {
    COLLAPSED: _CHECK_DATA,
    LEVEL: _CHECK_DATA,
    BEATEN: N_(
        "The TF-IDF baseline may be good enough for these texts: the how-to page on scores has it "
        "as a few lines of scikit-learn. Otherwise try another pretrained model, or more labeled "
        "rows."
    ),
}


class _Stored:
    """A dataclass that is stored in `tunesmith.json`."""

    __slots__ = ()

    def as_json(self) -> dict[str, object]:
        """Return the fields that are not None."""
        values: dict[str, object] = asdict(self)  # type: ignore[call-overload]
        return {key: value for key, value in values.items() if value is not None}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return what `as_json` stored; fields of other versions are ignored."""
        names = {field.name for field in fields(cls)}  # type: ignore[arg-type]
        return cls(**{key: value for key, value in values.items() if key in names})


@dataclass(frozen=True, slots=True)
class TfidfComparison(_Stored):
    """A model and the TF-IDF baseline on the same rows.

    Attributes:
        score: the one compared.
        rows: how many.
        model: the model's score.
        tfidf: the baseline's.
        low: the lower end of the interval of model minus baseline.
        high: the upper end.
        is_sure: whether the difference is significant.
        is_better: whether the model's score is the better one.
    """

    score: str
    rows: int
    model: float
    tfidf: float
    low: float
    high: float
    is_sure: bool
    is_better: bool


@dataclass(frozen=True, slots=True)
class Shortfall(_Stored):
    """Why a model is worth no more than a baseline.

    Attributes:
        code: `COLLAPSED` if its predictions are constant, `BEATEN` if the TF-IDF baseline
            is better, else `LEVEL`: not shown to be better than the majority class or mean.
        rows: the number of rows.
        score: the score that shows it; None if the model collapsed.
        value: the model's.
        low: the lower end of its interval; of `BEATEN` of the difference to the baseline.
        high: the upper end.
        constant: the score of the majority class, or of the mean.
        tfidf: that of the TF-IDF baseline, where it is better.
        baseline: whose score `constant` is, where there is no majority class.
    """

    code: str
    rows: int
    score: str | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    constant: float | None = None
    tfidf: float | None = None
    baseline: str | None = None

    @property
    def title(self) -> str:
        """The code and a few words."""
        return f"{self.code} {_(_TITLES[self.code]).format(baseline=self._constant_title)}"

    @property
    def _constant_title(self) -> str:
        return baseline_title(self.baseline or "constant", [self.score or ""])

    def problem(self, split: str) -> Problem:
        """Return it as a warning."""
        return Problem(
            self.code,
            f"{split_name(split)}: {self.sentence()}",
            fix=_(_FIXES[self.code]),
            severity=Severity.WARNING,
        )

    def sentence(self) -> str:
        """Return it as one sentence, without the split."""
        if self.code == COLLAPSED:
            words = ngettext(
                "collapsed: the predictions for all of {count} row are the same",
                "collapsed: the predictions for all {count} rows are the same",
                self.rows,
            )
            if self.tfidf is not None:
                words += _("; the TF-IDF baseline scores {score} {tfidf:.4f}")
        elif self.code == BEATEN:
            words = _(
                "worse than the TF-IDF baseline: {score} {value:.4f}, the baseline {tfidf:.4f} on "
                "the same {count} rows (difference {change:+.4f}, 95%: {low:+.4f} to {high:+.4f})"
            )
        else:
            words = _(
                "not shown to be better than the {baseline}: {score} {value:.4f} (95%: "
                "{low:.4f} to {high:.4f}) on {count} rows, and the {baseline} scores {constant:.4f}"
            )
        change = (self.value or 0.0) - (self.tfidf or 0.0)
        title = self._constant_title
        return words.format(
            **{**asdict(self), "count": self.rows, "change": change, "baseline": title}
        )


def shortfalls_of(metadata: Mapping[str, Any]) -> dict[str, Shortfall]:
    """Return the shortfalls stored in `tunesmith.json`, by split."""
    stored = metadata.get("verdicts", {})
    return {split: Shortfall.from_json(values) for split, values in stored.items() if values}


def find_shortfall(scores: Scores, *, by: str | None = None) -> Shortfall | None:
    """Judge whether a model is worth no more than the majority class or mean, or than TF-IDF.

    It is worse than TF-IDF if the paired difference on the same rows is significant. It is no
    better than the majority class if its interval reaches the score of that. Scores like F1 give
    the majority class next to nothing, and guessing beats it, so classes are also judged by
    Matthews' coefficient, which is zero for both. Scores of one task are judged by the best of its
    baselines.

    Args:
        scores: with answers, intervals and baselines.
        by: the score that chooses the model; None for the first.
    """
    answers = scores.answers
    are_of_one_task = answers is not None and not any(one.kinds for one in answers.metrics)
    if answers is None or not (scores.intervals or are_of_one_task):
        return None
    if are_of_one_task:
        return _no_better_than_others(scores, answers, by)
    compared = compare_with_tfidf(scores, by=by)
    is_beaten = compared is not None and compared.is_sure and not compared.is_better
    if is_constant(answers):
        if compared is None or not is_beaten:
            return Shortfall(COLLAPSED, len(answers))
        return Shortfall(COLLAPSED, len(answers), compared.score, tfidf=compared.tfidf)
    if compared is not None and is_beaten:
        return Shortfall(
            BEATEN, compared.rows, compared.score, compared.model, compared.low, compared.high,
            tfidf=compared.tfidf,
        )  # fmt: skip
    return _no_better_than_constant(scores, answers, by)


def _no_better_than_constant(scores: Scores, answers: Answers, by: str | None) -> Shortfall | None:
    constant = scores.baselines.get("constant", {})
    judged = [name for name in scores.intervals if name in constant]
    if not judged and scores.baselines:
        return _no_better_than_others(scores, answers, by)
    if judged:
        name = by if by is not None and by in judged else judged[0]
        # what a constant cannot score, such as a correlation, counts as zero
        bar, interval = constant[name] or 0.0, scores.intervals[name]
        if _reaches(interval, bar, higher=scores.higher_is_better[name] is not False):
            return _level(answers, name, scores[name], interval, bar)
    if is_counted(answers) and np.ndim(answers.predicted) == 1:
        return _by_chance(answers)
    return None


def _no_better_than_others(scores: Scores, answers: Answers, by: str | None) -> Shortfall | None:
    """Judge by the best of the baselines, whatever they are."""
    bars = {
        name: {baseline: bar for baseline, each in scores.baselines.items()
               if (bar := each.get(name)) is not None}
        for name, value in scores.values.items() if value is not None
    }  # fmt: skip
    judged = [name for name, of_score in bars.items() if of_score]
    if not judged:
        return None
    name = by if by is not None and by in judged else judged[0]
    higher = scores.higher_is_better[name] is not False
    baseline, bar = (max if higher else min)(bars[name].items(), key=lambda one: one[1])
    value = scores[name] or 0.0
    # answers that are all right, or all wrong, have no interval
    interval = scores.intervals.get(name, Interval(value, value))
    if not _reaches(interval, bar, higher=higher):
        return None
    return replace(_level(answers, name, scores[name], interval, bar), baseline=baseline)


def compare_with_tfidf(scores: Scores, *, by: str | None = None) -> TfidfComparison | None:
    """Compare with the TF-IDF baseline row by row; None where there is none.

    Args:
        scores: with answers, and those of the baselines.
        by: the score to compare by, if the baseline has it; else the first one it has.
    """
    baseline = scores.baseline_answers.get("tfidf")
    if baseline is None or scores.answers is None:
        return None
    answers = scores.answers
    if baseline.places is not None:
        answers = answers.at(baseline.places)
    differences = {
        name: each
        for name, each in difference(baseline.answers, answers).items()
        if each.interval is not None and scores.higher_is_better.get(name) is not None
    }
    if not differences:
        return None
    name = by if by is not None and by in differences else next(iter(differences))
    chosen = differences[name]
    assert chosen.interval is not None  # noqa: S101 - those without are left out above
    change = chosen.change if scores.higher_is_better[name] else -chosen.change
    return TfidfComparison(
        name, answers.num_rows, chosen.second, chosen.first,
        chosen.interval.low, chosen.interval.high,
        is_sure=chosen.is_sure, is_better=change > 0,
    )  # fmt: skip


def _by_chance(answers: Answers) -> Shortfall | None:
    metric = METRICS["matthews_correlation"]
    interval = intervals(replace(answers, metrics=(metric,), losses=None)).get(metric.name)
    if interval is None or not _reaches(interval, 0.0, higher=True):
        return None
    value = metric.function(answers.predicted, answers.truth, answers.positive)
    return _level(answers, metric.name, value, interval, 0.0)


def _reaches(interval: Interval, bar: float, *, higher: bool) -> bool:
    return interval.low <= bar if higher else interval.high >= bar


def _level(
    answers: Answers, name: str, value: float | None, interval: Interval, bar: float
) -> Shortfall:
    return Shortfall(LEVEL, answers.num_rows, name, value, interval.low, interval.high, bar)
