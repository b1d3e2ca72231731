"""The score table: each score with its interval, beside simple baselines, and what it comes to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tunesmith.cli.terminal import Terminal
from tunesmith.errors import Problem
from tunesmith.language import gettext as _
from tunesmith.language import mark
from tunesmith.verdict import Verdict

__all__ = ["as_interval", "as_score", "scores_in_words", "show_scores", "verdicts"]

_BASELINES = {"tfidf": mark("counting words"), "constant": mark("always the same")}


def show_scores(terminal: Terminal, facts: Mapping[str, Any]) -> None:
    """A table per split.

    Args:
        terminal: where to.
        facts: "scores", "intervals", "baselines", "verdicts" and "words_counted_in" as
            `tunesmith.json` has them; all but the first may be missing.
    """
    for split, scores in facts.get("scores", {}).items():
        intervals = facts.get("intervals", {}).get(split, {})
        baselines = facts.get("baselines", {}).get(split, {})
        shown = [
            {
                split: name,
                _("score"): as_score(value),
                "95%": as_interval(intervals.get(name)),
                **{
                    _(title): as_score(baselines[baseline].get(name))
                    for baseline, title in _BASELINES.items()
                    if baseline in baselines
                },
            }
            for name, value in scores.items()
        ]
        titles = [_("score"), *map(_, _BASELINES.values())]
        terminal.table(shown, align_right=titles)
        if verdict := facts.get("verdicts", {}).get(split):
            terminal.result(f"→ {verdict['code']} {Verdict.from_json(verdict).name}")
    learned, rows = facts.get("words_counted_in") or (0, 0)
    if learned < rows:
        terminal.say(
            _("words were counted in {learned} of {rows} training rows").format(
                learned=learned, rows=rows
            )
        )


def verdicts(facts: Mapping[str, Any]) -> Iterable[Problem]:
    """The warnings that go with the last message of a command."""
    for split, told in facts.get("verdicts", {}).items():
        yield Verdict.from_json(told).problem(split)


def scores_in_words(scores: Mapping[str, float | None]) -> str:
    """Scores on one line."""
    return "  ".join(f"{name} {as_score(value)}" for name, value in scores.items())


def as_score(value: float | None) -> str:
    """Four digits."""
    return "-" if value is None else f"{value:.4f}"


def as_interval(ends: Sequence[float] | None, *, sign: str = "") -> str:
    """Its two ends."""
    if ends is None:
        return "-"
    low, high = (f"{end:{sign}.4f}" for end in ends)
    return _("{low} to {high}").format(low=low, high=high)
