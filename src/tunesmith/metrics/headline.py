"""One sentence that says how good a model is, and by which score: for CLI, report and card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.i18n import ngettext, split_name
from tunesmith.metrics.score_table import as_interval, as_score, baseline_title
from tunesmith.metrics.scores import METRICS
from tunesmith.metrics.shortfall import (
    BEATEN,
    COLLAPSED,
    LEVEL,
    Shortfall,
    TfidfComparison,
    shortfalls_of,
)

__all__ = ["Headline", "Outcome", "headline"]

_FEW_ROWS = 100
"""On fewer rows than these, even ten points of accuracy may be chance."""


class Outcome(Enum):
    """How good a model is."""

    GOOD = auto()
    LEVEL = auto()
    FEW_ROWS = auto()
    BEATEN = auto()
    COLLAPSED = auto()
    NO_BASELINE = auto()
    NOT_SCORED = auto()


_SENTENCES = {
    Outcome.GOOD: N_("Good: {result} on {where}; strongest baseline ({baseline}): {bar}."),
    Outcome.LEVEL: N_("Not shown to beat a baseline: {result} on {where}; {baseline}: {bar}."),
    Outcome.FEW_ROWS: N_("Too few rows to tell: {result} on {where}; {baseline}: {bar}."),
    Outcome.BEATEN: N_("Worse than a baseline (M137): {result} on {where}; {baseline}: {bar}."),
}
"""Of the outcomes that come from a comparison."""


@dataclass(frozen=True, slots=True)
class Headline:
    """The first sentence about a model.

    Attributes:
        outcome: how good it is.
        sentence: the outcome and the reason.
        split: the rows it was judged by; None if there are no scores.
    """

    outcome: Outcome
    sentence: str
    split: str | None


def headline(metadata: Mapping[str, Any]) -> Headline:
    """Judge a model by its test rows, or by its validation rows where none were tested.

    Args:
        metadata: what `tunesmith.json` holds. Used are "scores", "intervals", "baselines",
            "verdicts", "against_tfidf" and "rows" by split, and "best"; each may be missing.
    """
    scored = metadata.get("scores", {})
    split = next((name for name in ("test", "validation", *scored) if scored.get(name)), None)
    if split is None:
        sentence = _("Not scored: the run had no labeled validation or test rows.")
        return Headline(Outcome.NOT_SCORED, sentence, None)
    verdict = shortfalls_of(metadata).get(split)
    compared = metadata.get("against_tfidf", {}).get(split)
    against = TfidfComparison.from_json(compared) if compared else None
    count = metadata.get("rows", {}).get(split)
    for known in (verdict, against):
        count = count or (known and known.rows)
    where = _where(split, count, is_untested="test" not in metadata.get("rows", ("test",)))
    if verdict is not None and verdict.code == COLLAPSED:
        sentence = _("Collapsed (M135): all answers are the same on {where}.")
        if verdict.tfidf is not None:
            sentence = _(
                "Collapsed (M135): all answers are the same on {where}; TF-IDF: {score} {bar:.4f}."
            )
        sentence = sentence.format(where=where, score=verdict.score, bar=verdict.tfidf)
        return Headline(Outcome.COLLAPSED, sentence, split)
    score, bars = _bars(metadata, split, verdict, against)
    value = scored[split].get(score)
    interval = metadata.get("intervals", {}).get(split, {}).get(score)
    if verdict is not None and verdict.code == LEVEL:  # by a score that may not be in the table
        value, interval = verdict.value, (verdict.low, verdict.high)
    outcome = _outcome(verdict, against, count) if bars and value is not None else None
    words = {"result": _result(score, value, interval), "where": where}
    if outcome is None:
        sentence = _("No baseline to compare with: {result} on {where}.")
        return Headline(Outcome.NO_BASELINE, sentence.format(**words), split)
    metric = METRICS.get(score)
    pick = max if metric is None or metric.higher_is_better else min
    strongest = pick(bars, key=bars.__getitem__)
    words |= {"baseline": baseline_title(strongest, (score,)), "bar": as_score(bars[strongest])}
    return Headline(outcome, _(_SENTENCES[outcome]).format(**words), split)


def _outcome(
    verdict: Shortfall | None, against: TfidfComparison | None, count: int | None
) -> Outcome:
    if verdict is not None and verdict.code == BEATEN:
        return Outcome.BEATEN
    if verdict is None and (against is None or against.is_sure):
        return Outcome.GOOD
    return Outcome.FEW_ROWS if count is not None and count < _FEW_ROWS else Outcome.LEVEL


def _bars(
    metadata: Mapping[str, Any],
    split: str,
    verdict: Shortfall | None,
    against: TfidfComparison | None,
) -> tuple[str, dict[str, float]]:
    """The score that decides, and what each baseline that counts has of it."""
    if verdict is not None and verdict.score is not None:
        bar = {verdict.baseline or "constant": verdict.constant, "tfidf": verdict.tfidf}
        return verdict.score, {name: value for name, value in bar.items() if value is not None}
    if against is not None and not against.is_sure:
        return against.score, {"tfidf": against.tfidf}
    baselines = metadata.get("baselines", {}).get(split, {})
    scores = metadata["scores"][split]
    names = [name for name in (metadata.get("best"), *scores) if name in scores]
    known = [name for name in names if any(name in values for values in baselines.values())]
    score = (known or names)[0]
    # what a constant cannot score, such as a correlation, counts as zero
    return score, {key: one[score] or 0.0 for key, one in baselines.items() if score in one}


def _result(score: str, value: float | None, interval: Any) -> str:
    if interval is None:
        return f"{score} {as_score(value)}"
    return _("{score} {value} (95%: {interval})").format(
        score=score, value=as_score(value), interval=as_interval(interval)
    )


def _where(split: str, count: int | None, *, is_untested: bool) -> str:
    if count is None:
        return _("the rows of {split}").format(split=split_name(split))
    if split == "test":
        words = ngettext("{count} test row", "{count} test rows", count)
    elif split == "validation" and is_untested:
        words = ngettext(
            "{count} validation row (there are no test rows)",
            "{count} validation rows (there are no test rows)",
            count,
        )
    else:
        words = ngettext("{count} row of {split}", "{count} rows of {split}", count)
    return words.format(count=f"{count:,}", split=split_name(split))
