"""Whether the fast engine learns as well as the exact one, with dropout on.

    python benchmarks/engines.py mrpc sst2

The engines draw dropout from other streams, so single runs differ; what must agree are means over
seeds. `mrpc` is the default preset, five seeds a side; `sst2` a small piece of SST-2, twelve seeds
a side. Welch's test says how often chance alone would set the means so far apart.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glue_quality import GLUE, model_folder, rows
from machine import facts
from scipy.stats import ttest_ind

import tunesmith as ts

RESULTS = Path(__file__).parent / "results" / "engines.json"
ENGINES = ("exact", "fast")
WORK: dict[str, tuple[int, Sequence[int], dict[str, object]]] = {
    "mrpc": (3668, range(42, 47), {"preset": "course"}),
    "sst2": (
        1000,
        range(1, 13),
        {"preset": "course", "train.batch_size": 16, "train.epochs": 2},
    ),
}
"""Training rows, seeds, settings."""


def trained(glue: Path, name: str, engine: str, seed: int) -> dict[str, Any]:
    count, _seeds, settings = WORK[name]
    chosen = {split: rows(glue / name, split) for split in ("train", "validation")}
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for split, found in chosen.items():
            paths[split] = Path(folder) / f"{split}.jsonl"
            lines = (json.dumps(row) + "\n" for row in found[:count])
            paths[split].write_text("".join(lines), encoding="utf-8")
        started = time.perf_counter()
        run = ts.train(
            str(paths["train"]),
            out=Path(folder) / "run",
            settings={
                "data.validation": str(paths["validation"]),
                "data.labels": GLUE[name]["labels"],
                "model": model_folder(),
                "metrics": ["accuracy", "f1"],
                "train.engine": engine,
                "train.seed": seed,
                "train.evaluate_every": None,
                "train.save_every": None,
                **settings,
            },
        )
        seconds = round(time.perf_counter() - started, 1)
        return {"scores": dict(run.scores), "seconds": seconds, "steps": run.facts["steps"]}


def compared(sides: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Means, deviations, standard error of the difference, and Welch's test of each score."""
    found = {}
    for score in ("accuracy", "f1", "loss"):
        exact, fast = ([run["scores"][score] for run in sides[e].values()] for e in ENGINES)
        if min(len(exact), len(fast)) < 2:
            continue
        spread = [statistics.variance(values) / len(values) for values in (exact, fast)]
        found[score] = {
            "exact": [statistics.mean(exact), statistics.stdev(exact)],
            "fast": [statistics.mean(fast), statistics.stdev(fast)],
            "difference": statistics.mean(fast) - statistics.mean(exact),
            "standard_error": sum(spread) ** 0.5,
            "welch_p": float(ttest_ind(exact, fast, equal_var=False).pvalue),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", nargs="+", choices=WORK)
    parser.add_argument("--glue", type=Path, default=Path("../shared/glue"))
    given = parser.parse_args()
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for name in given.work:
        sides = found.setdefault(name, {engine: {} for engine in ENGINES})
        for seed in WORK[name][1]:
            for engine in ENGINES:
                if str(seed) in sides[engine]:
                    continue
                sides[engine][str(seed)] = trained(given.glue, name, engine, seed)
                print(name, engine, seed, sides[engine][str(seed)], flush=True)
                sides["compared"] = compared(sides)
                found["machine"] = facts()
                RESULTS.write_text(json.dumps(found, indent=1) + "\n")
        print(json.dumps(sides["compared"], indent=1))


if __name__ == "__main__":
    main()
