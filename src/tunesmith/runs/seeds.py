"""The same recipe with several seeds: a folder for each, and how far their scores lie apart."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tunesmith.metrics.uncertainty import Spread, spread
from tunesmith.runs.folder import RUNS, RunFolder, run_name
from tunesmith.storage.disk import as_path

__all__ = ["folders_of_seeds", "spread_over"]


def folders_of_seeds(
    out: str | Path | None, *, named_after: str, first: int, count: int
) -> dict[int, Path]:
    """A folder for each seed from `first` on, such as NAME-seed-42 and NAME-seed-43."""
    base = as_path(out) if out else Path(RUNS) / run_name(named_after)
    if not base.name or base.name == "..":
        base = Path(os.path.realpath(base))
    return {
        seed: base.with_name(f"{base.name}-seed-{seed}") for seed in range(first, first + count)
    }


def spread_over(runs: Sequence[RunFolder]) -> dict[str, dict[str, Spread]]:
    """By split and score, for what all of these finished runs have a value of."""
    scores = [run.facts()["scores"] for run in runs]
    spreads: dict[str, dict[str, Spread]] = {}
    for split, names in scores[0].items():
        for name in names:
            values = [of_run.get(split, {}).get(name) for of_run in scores]
            if None not in values:
                spreads.setdefault(split, {})[name] = spread(values)
    return spreads
