"""What scores come to, in words: collapsed, level with always the same answer, no difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tunesmith.counts import counted_kind
from tunesmith.differences import Difference, mcnemar
from tunesmith.errors import Problem, Severity
from tunesmith.language import gettext as _
from tunesmith.language import mark, ngettext
from tunesmith.metrics import METRICS, Answers, Interval, Scores
from tunesmith.statistics import gives_one_answer, intervals

__all__ = ["COLLAPSED", "LEVEL", "Verdict", "changes_in_words", "difference_in_words", "judge"]

COLLAPSED, LEVEL = "M135", "M136"
_TITLES = {
    COLLAPSED: mark("collapsed"),
    LEVEL: mark("not shown to be better than always the same answer"),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a model is worth no more than always giving the same answer.

    Attributes:
        code: `COLLAPSED` if it does give the same answer to all rows, else `LEVEL`.
        rows: on how many rows that was found.
        score: the score it was found by; None if it collapsed.
        value: that score.
        low: the lower end of its interval.
        high: the upper end.
        constant: what always the same answer scores.
    """

    code: str
    rows: int
    score: str | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    constant: float | None = None

    @property
    def title(self) -> str:
        """Code and a few words."""
        return f"{self.code} {_(_TITLES[self.code])}"

    def problem(self, split: str) -> Problem:
        """The same as a warning with what to do."""
        return Problem(
            self.code,
            f"{split}: {self.in_words()}",
            fix=_(
                "Try a smaller learning rate or a longer warm-up, then another seed or more "
                "epochs; see whether labels and columns are the right ones."
            ),
            severity=Severity.WARNING,
        )

    def in_words(self) -> str:
        """One sentence, without the split."""
        if self.code == COLLAPSED:
            return ngettext(
                "collapsed: the model gives the same answer to all of {count} row",
                "collapsed: the model gives the same answer to all {count} rows",
                self.rows,
            ).format(count=self.rows)
        return _(
            "not shown to be better than always the same answer: {score} {value:.4f} (95%: "
            "{low:.4f} to {high:.4f}) on {rows} rows, and the same answer to all scores "
            "{constant:.4f}"
        ).format(
            score=self.score, value=self.value, low=self.low, high=self.high,
            rows=self.rows, constant=self.constant,
        )  # fmt: skip

    def as_json(self) -> dict[str, object]:
        """For `tunesmith.json` and `--json`."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Verdict:
        """What `as_json` gave."""
        return cls(**facts)


def judge(scores: Scores, *, by: str | None = None) -> Verdict | None:
    """Whether a model is worth no more than always giving the same answer.

    It is not if its interval reaches what the same answer scores. Scores like F1 give that answer
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
    if gives_one_answer(answers):
        return Verdict(COLLAPSED, len(answers))
    constant = scores.baselines.get("constant", {})
    judged = [name for name in scores.intervals if name in constant]
    if judged:
        name = by if by is not None and by in judged else judged[0]
        # what cannot be scored, such as the correlation of a constant, tells nothing: zero
        bar, interval = constant[name] or 0.0, scores.intervals[name]
        if _reaches(interval, bar, higher=scores.higher_is_better[name] is not False):
            return _level(answers, name, scores[name], interval, bar)
    if counted_kind(answers) == "classes":
        return _by_chance(answers)
    return None


def _by_chance(answers: Answers) -> Verdict | None:
    metric = METRICS["matthews_correlation"]
    asked = Answers((metric,), answers.predicted, answers.truth, answers.positive)
    interval = intervals(asked)[metric.name]
    if not _reaches(interval, 0.0, higher=True):
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
