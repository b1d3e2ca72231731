"""Score tables: each score with its interval next to simple baselines, below the headline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from tunesmith.api.display.terminal import Terminal
from tunesmith.errors import Problem
from tunesmith.i18n import gettext as _
from tunesmith.i18n import split_name
from tunesmith.metrics.headline import Outcome, headline
from tunesmith.metrics.score_table import as_score, numeric_titles, score_tables
from tunesmith.metrics.shortfall import shortfalls_of

if TYPE_CHECKING:
    from tunesmith.metrics.uncertainty import Spread
    from tunesmith.runs.folder import RunFolder

__all__ = ["format_scores", "score_warnings", "show_scores", "show_spread", "spread_rows"]

_STYLE_OF = {
    Outcome.GOOD: "good",
    Outcome.LEVEL: "weak",
    Outcome.FEW_ROWS: "weak",
    Outcome.BEATEN: "bad",
    Outcome.COLLAPSED: "bad",
}


def show_scores(terminal: Terminal, metadata: Mapping[str, Any]) -> None:
    """Print how good the model is in one sentence, then a table per split.

    Args:
        terminal: prints them.
        metadata: what `headline` takes, and "words_counted_in", as `tunesmith.json` has them.
    """
    shortfalls, judged = shortfalls_of(metadata), headline(metadata)
    if "scores" in metadata:
        terminal.result(f"→ {judged.sentence}", style=_STYLE_OF.get(judged.outcome, "strong"))
    for split, rows in score_tables(metadata):
        if split in shortfalls and split != judged.split:  # numbers alone look good
            shortfall = shortfalls[split]
            sentence = f"→ {shortfall.code} {split_name(split)}: {shortfall.sentence()}"
            terminal.result(sentence, style="bad")
        terminal.table(rows, align_right=numeric_titles())
    learned, total = metadata.get("words_counted_in") or (0, 0)
    if learned < total:
        terminal.say(
            _("the TF-IDF baseline learned from {learned} of {rows} training rows").format(
                learned=learned, rows=total
            )
        )


def score_warnings(metadata: Mapping[str, Any]) -> Iterable[Problem]:
    """Yield the warnings that go with the last message of a command, each fix once."""
    fixes = set[str | None]()
    for split, shortfall in shortfalls_of(metadata).items():
        problem = shortfall.problem(split)
        yield problem if problem.fix not in fixes else replace(problem, fix=None)
        fixes.add(problem.fix)


def show_spread(
    terminal: Terminal, runs: Sequence[RunFolder], spreads: Mapping[str, Mapping[str, Spread]]
) -> None:
    """Print mean, deviation and range over the seeds, a table per split."""
    terminal.say(_("{count} seeds").format(count=len(runs)))
    for split, scores in spreads.items():
        rows = spread_rows(split, scores)
        terminal.table(rows, align_right=list(rows[0])[1:])
        shortfalls = (shortfalls_of(run.facts()).get(split) for run in runs)
        for title, count in Counter(one.title for one in shortfalls if one).items():
            terminal.result(
                _("→ {verdict}: {count} of {seeds} seeds").format(
                    verdict=title, count=count, seeds=len(runs)
                )
            )
    as_json = {
        split: {name: asdict(spread) for name, spread in scores.items()}
        for split, scores in spreads.items()
    }
    terminal.record({"event": "seeds", "runs": [str(run.path) for run in runs], "scores": as_json})


def spread_rows(split: str, scores: Mapping[str, Spread]) -> list[dict[str, str]]:
    """Return a row for each score; all columns but the first are numbers."""
    return [
        {
            split_name(split): name,
            _("mean"): as_score(spread.mean),
            _("deviation"): as_score(spread.deviation),
            _("lowest"): as_score(spread.lowest),
            _("highest"): as_score(spread.highest),
        }
        for name, spread in scores.items()
    ]


def format_scores(scores: Mapping[str, float | None]) -> str:
    """Return scores on one line."""
    return "  ".join(f"{name} {as_score(value)}" for name, value in scores.items())
