"""What scores come to: collapsed, worse than TF-IDF, not above the majority, good; as sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np

from tunesmith.errors import Problem, Severity
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.i18n import ngettext, split_name
from tunesmith.metrics.counts import is_counted
from tunesmith.metrics.differences import Difference, difference, mcnemar
from tunesmith.metrics.scores import METRICS, Answers, Interval, Scores
from tunesmith.metrics.uncertainty import gives_one_answer, intervals

__all__ = [
    "BEATEN",
    "COLLAPSED",
    "LEVEL",
    "AgainstTfidf",
    "Verdict",
    "against_tfidf",
    "changes_in_words",
    "difference_in_words",
    "judge",
    "verdicts_of",
]

COLLAPSED, LEVEL, BEATEN = "M135", "M136", "M137"
_TITLES = {
    COLLAPSED: N_("collapsed"),
    LEVEL: N_("not shown to be better than always the same answer"),
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
        "The TF-IDF baseline may be good enough for these texts: docs/how-to.md has it as a few "
        "lines of scikit-learn. Otherwise try another pretrained model, or more labeled rows."
    ),
}


class _Stored:
    """A dataclass that `tunesmith.json` keeps."""

    __slots__ = ()

    def as_json(self) -> dict[str, object]:
        """For `tunesmith.json` and `--json`."""
        told: dict[str, object] = asdict(self)  # type: ignore[call-overload]
        return {key: value for key, value in told.items() if value is not None}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        """What `as_json` gave; what another version added is left out."""
        names = {field.name for field in fields(cls)}  # type: ignore[arg-type]
        return cls(**{key: value for key, value in facts.items() if key in names})


@dataclass(frozen=True, slots=True)
class AgainstTfidf(_Stored):
    """A model beside the TF-IDF baseline on the same rows.

    Attributes:
        score: the one compared.
        rows: how many.
        model: the model's score.
        tfidf: the baseline's.
        low: the lower end of the interval of model minus baseline.
        high: the upper end.
        is_sure: whether chance in the rows hardly explains the difference.
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

    def in_words(self) -> str:
        """One sentence of a model that is worse."""
        return _(
            "worse than the TF-IDF baseline: {score} {model:.4f}, the baseline {tfidf:.4f} on the "
            "same {rows} rows (difference {change:+.4f}, 95%: {low:+.4f} to {high:+.4f})"
        ).format(
            score=self.score, model=self.model, tfidf=self.tfidf, rows=self.rows,
            change=self.model - self.tfidf, low=self.low, high=self.high,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict(_Stored):
    """Why a model is worth no more than something simple.

    Attributes:
        code: `COLLAPSED` if it gives the same answer to all rows, `BEATEN` if the TF-IDF baseline
            is better, else `LEVEL`.
        rows: on how many rows that was found.
        score: the score it was found by; None if it collapsed.
        value: that score.
        low: the lower end of its interval; of `BEATEN` of the difference to the baseline.
        high: the upper end.
        constant: what always the same answer scores.
        tfidf: what the TF-IDF baseline scores, where that is better.
    """

    code: str
    rows: int
    score: str | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    constant: float | None = None
    tfidf: float | None = None

    @property
    def title(self) -> str:
        """Code and a few words."""
        return f"{self.code} {_(_TITLES[self.code])}"

    def problem(self, split: str) -> Problem:
        """The same as a warning with what to do. What to change in the recipe say the curves."""
        return Problem(
            self.code,
            f"{split_name(split)}: {self.in_words()}",
            fix=_(_FIXES[self.code]),
            severity=Severity.WARNING,
        )

    def in_words(self) -> str:
        """One sentence, without the split."""
        if self.code == COLLAPSED:
            words = ngettext(
                "collapsed: the model gives the same answer to all of {count} row",
                "collapsed: the model gives the same answer to all {count} rows",
                self.rows,
            ).format(count=self.rows)
            if self.tfidf is not None:
                words += _("; the TF-IDF baseline scores {score} {tfidf:.4f}").format(
                    score=self.score, tfidf=self.tfidf
                )
            return words
        if self.code == BEATEN:
            assert self.score is not None and self.value is not None  # noqa: S101
            assert self.tfidf is not None and self.low is not None  # noqa: S101
            assert self.high is not None  # noqa: S101
            return AgainstTfidf(
                self.score, self.rows, self.value, self.tfidf, self.low, self.high,
                is_sure=True, is_better=False,
            ).in_words()  # fmt: skip
        return _(
            "not shown to be better than always the same answer: {score} {value:.4f} (95%: "
            "{low:.4f} to {high:.4f}) on {rows} rows, and the same answer to all scores "
            "{constant:.4f}"
        ).format(
            score=self.score, value=self.value, low=self.low, high=self.high,
            rows=self.rows, constant=self.constant,
        )  # fmt: skip


def verdicts_of(facts: Mapping[str, Any]) -> dict[str, Verdict]:
    """The verdicts that `tunesmith.json` keeps, by split."""
    return {
        split: Verdict.from_json(told) for split, told in facts.get("verdicts", {}).items() if told
    }


def judge(scores: Scores, *, by: str | None = None) -> Verdict | None:
    """Whether a model is worth no more than something simple: one answer for all, or TF-IDF.

    It is worse than TF-IDF if the paired difference on the same rows is sure. It is no better than
    one answer for all if its interval reaches what that scores. Scores like F1 give that answer
    next to nothing, and guessing beats it, so classes are judged by Matthews' coefficient as well,
    which is zero for guesses and for one answer alike.

    Args:
        scores: with answers, intervals and baselines.
        by: the score that chooses the model; None for the first.
    """
    answers = scores.answers
    if answers is None or not scores.intervals:
        return None
    if not any(metric.kinds for metric in answers.metrics):
        return None  # a task of its own, such as masked-lm, where nothing is always the same
    against = against_tfidf(scores, by=by)
    beaten = against if against is not None and against.is_sure and not against.is_better else None
    if gives_one_answer(answers):
        if beaten is None:
            return Verdict(COLLAPSED, len(answers))
        return Verdict(COLLAPSED, len(answers), beaten.score, tfidf=beaten.tfidf)
    if beaten is not None:
        return Verdict(
            BEATEN, beaten.rows, beaten.score, beaten.model, beaten.low, beaten.high,
            tfidf=beaten.tfidf,
        )  # fmt: skip
    return _no_better_than_constant(scores, answers, by)


def _no_better_than_constant(scores: Scores, answers: Answers, by: str | None) -> Verdict | None:
    constant = scores.baselines.get("constant", {})
    judged = [name for name in scores.intervals if name in constant]
    if judged:
        name = by if by is not None and by in judged else judged[0]
        # what cannot be scored, such as the correlation of a constant, tells nothing: zero
        bar, interval = constant[name] or 0.0, scores.intervals[name]
        if _reaches(interval, bar, higher=scores.higher_is_better[name] is not False):
            return _level(answers, name, scores[name], interval, bar)
    if is_counted(answers) and np.ndim(answers.predicted) == 1:
        return _by_chance(answers)
    return None


def against_tfidf(scores: Scores, *, by: str | None = None) -> AgainstTfidf | None:
    """The model beside the TF-IDF baseline, row by row; None where there is no such baseline.

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
    found = {
        name: told
        for name, told in difference(baseline.answers, answers).items()
        if told.interval is not None and scores.higher_is_better.get(name) is not None
    }
    if not found:
        return None
    name = by if by is not None and by in found else next(iter(found))
    told = found[name]
    assert told.interval is not None  # noqa: S101 - kept above
    change = told.change if scores.higher_is_better[name] else -told.change
    return AgainstTfidf(
        name, len(answers), told.second, told.first, told.interval.low, told.interval.high,
        is_sure=told.is_sure, is_better=change > 0,
    )  # fmt: skip


def _by_chance(answers: Answers) -> Verdict | None:
    metric = METRICS["matthews_correlation"]
    asked = Answers((metric,), answers.predicted, answers.truth, answers.positive)
    interval = intervals(asked).get(metric.name)
    if interval is None or not _reaches(interval, 0.0, higher=True):
        return None
    value = metric.function(answers.predicted, answers.truth, answers.positive)
    return _level(answers, metric.name, value, interval, 0.0)


def _reaches(interval: Interval, bar: float, *, higher: bool) -> bool:
    return interval.low <= bar if higher else interval.high >= bar


def _level(
    answers: Answers, name: str, value: float | None, interval: Interval, bar: float
) -> Verdict:
    return Verdict(LEVEL, len(answers), name, value, interval.low, interval.high, bar)


def difference_in_words(told: Difference) -> str:
    """Whether a difference of scores is one."""
    return _in_words(is_sure=told.is_sure, is_same=told.change == 0)


def changes_in_words(fixed: int, broken: int) -> str:
    """Whether rows that one model has right and the other wrong make a difference."""
    return _in_words(is_sure=mcnemar(fixed, broken) < 0.05, is_same=not fixed + broken)


def _in_words(*, is_sure: bool, is_same: bool) -> str:
    if is_sure:
        return _("a difference")
    return _("the same") if is_same else _("not distinguishable")
