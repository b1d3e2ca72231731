"""The score table: each score with its interval, beside simple baselines, and what it comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tunesmith.api.display.terminal import Terminal
from tunesmith.errors import Problem
from tunesmith.i18n import gettext as _
from tunesmith.i18n import split_name
from tunesmith.metrics.headline import headline
from tunesmith.metrics.score_table import as_score, numeric_titles, score_rows
from tunesmith.metrics.shortfall import shortfalls_of

if TYPE_CHECKING:
    from tunesmith.metrics.uncertainty import Spread
    from tunesmith.runs.folder import RunFolder

__all__ = ["score_warnings", "scores_in_words", "show_scores", "show_spread"]


def show_scores(terminal: Terminal, facts: Mapping[str, Any]) -> None:
    """Print how good the model is in one sentence, then a table per split.

    Args:
        terminal: prints them.
        facts: what `headline` takes, and "words_counted_in", as `tunesmith.json` has them.
    """
    verdicts = shortfalls_of(facts)
    judged = headline(facts)
    if "scores" in facts:
        terminal.result(f"→ {judged.sentence}")
    for split, scores in facts.get("scores", {}).items():
        intervals = facts.get("intervals", {}).get(split, {})
        baselines = facts.get("baselines", {}).get(split, {})
        shown = score_rows(split, scores, intervals, baselines)
        if split in verdicts and split != judged.split:  # numbers look good by themselves
            verdict = verdicts[split]
            terminal.result(f"→ {verdict.code} {split_name(split)}: {verdict.sentence()}")
        terminal.table(shown, align_right=numeric_titles())
    learned, rows = facts.get("words_counted_in") or (0, 0)
    if learned < rows:
        terminal.say(
            _("the TF-IDF baseline learned from {learned} of {rows} training rows").format(
                learned=learned, rows=rows
            )
        )


def score_warnings(facts: Mapping[str, Any]) -> Iterable[Problem]:
    """Yield the warnings that go with the last message of a command."""
    for split, told in shortfalls_of(facts).items():
        yield told.problem(split)


def show_spread(
    terminal: Terminal, runs: Sequence[RunFolder], found: Mapping[str, Mapping[str, Spread]]
) -> None:
    """Mean, deviation and range over the seeds, a table per split."""
    titles = mean, deviation, lowest, highest = (
        _("mean"), _("deviation"), _("lowest"), _("highest"),
    )  # fmt: skip
    terminal.say(_("{count} seeds").format(count=len(runs)))
    for split, scores in found.items():
        rows = [
            {
                split_name(split): name,
                mean: as_score(told.mean),
                deviation: as_score(told.deviation),
                lowest: as_score(told.lowest),
                highest: as_score(told.highest),
            }
            for name, told in scores.items()
        ]
        terminal.table(rows, align_right=titles)
        told = (shortfalls_of(run.facts()).get(split) for run in runs)
        for name, count in Counter(one.title for one in told if one).items():
            terminal.result(
                _("→ {verdict}: {count} of {seeds} seeds").format(
                    verdict=name, count=count, seeds=len(runs)
                )
            )
    spreads = {
        split: {name: asdict(told) for name, told in scores.items()}
        for split, scores in found.items()
    }
    terminal.record({"event": "seeds", "runs": [str(run.path) for run in runs], "scores": spreads})


def scores_in_words(scores: Mapping[str, float | None]) -> str:
    """Scores on one line."""
    return "  ".join(f"{name} {as_score(value)}" for name, value in scores.items())
