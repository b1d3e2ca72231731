"""Whether the fast engine learns as well as the exact one, with dropout on.

    python benchmarks/engines.py mrpc sst2

The engines draw dropout from other streams, so single runs differ; what must agree are means over
seeds. `mrpc` is the default preset, five seeds a side; `sst2` a small piece of SST-2, ten seeds a
side. Welch's test says how often chance alone would set the means so far apart. All sides get the
fast engine's settings of the process, which change no result, to have the answer sooner.

Every finished seed is added to the result file, so a stopped run continues, and several with other
`--sides` may run at once.
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

from filelock import FileLock
from glue_quality import GLUE, model_folder, rows
from machine import facts
from scipy.stats import ttest_ind

import tunesmith as ts
from tunesmith.training.fast.process import tuned

RESULTS = Path(__file__).parent / "results" / "engines.json"
LOCK = FileLock(RESULTS.with_name(f"{RESULTS.name}.lock"))
"""Held while the file is read and while it is changed: others may be running."""

SIDES: dict[str, dict[str, object]] = {
    "exact": {"train.engine": "exact"},
    "fast": {"train.engine": "fast"},
    "fast-bf16": {"train.engine": "fast", "train.precision": "bf16"},
}
WORK: dict[str, tuple[int, Sequence[int], dict[str, object]]] = {
    "mrpc": (3668, range(42, 47), {"preset": "course"}),
    "sst2": (
        1000,
        range(1, 11),
        {"preset": "course", "train.batch_size": 16, "train.epochs": 2},
    ),
}
"""Training rows, seeds, settings."""


def trained(glue: Path, name: str, side: str, seed: int) -> dict[str, Any]:
    count, _seeds, settings = WORK[name]
    chosen = {split: rows(glue / name, split) for split in ("train", "validation")}
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for split, records in chosen.items():
            paths[split] = Path(folder) / f"{split}.jsonl"
            lines = (json.dumps(row) + "\n" for row in records[:count])
            paths[split].write_text("".join(lines), encoding="utf-8")
        started = time.perf_counter()
        fields = {
            "data.validation": str(paths["validation"]),
            "data.labels": GLUE[name]["labels"],
            "model": model_folder(),
            "metrics": ["accuracy", "f1"],
            "train.seed": seed,
            "train.evaluate_every": None,
            "train.save_every": None,
            **settings,
            **SIDES[side],
        }
        with tuned(True):
            run = ts.train(str(paths["train"]), out=Path(folder) / "run", settings=fields)
        seconds = round(time.perf_counter() - started, 1)
        return {"scores": dict(run.scores), "seconds": seconds, "steps": run.facts["steps"]}


def compared(runs: dict[str, dict[str, Any]], side: str) -> dict[str, Any]:
    """A side and the exact engine: means, deviations, standard error, Welch's test."""
    results = {}
    for score in ("accuracy", "f1", "loss"):
        exact, other = ([run["scores"][score] for run in runs[s].values()] for s in ("exact", side))
        spread = [statistics.variance(values) / len(values) for values in (exact, other)]
        results[score] = {
            "exact": [statistics.mean(exact), statistics.stdev(exact)],
            side: [statistics.mean(other), statistics.stdev(other)],
            "difference": statistics.mean(other) - statistics.mean(exact),
            "standard_error": sum(spread) ** 0.5,
            "welch_p": float(ttest_ind(exact, other, equal_var=False).pvalue),
        }
    return results


def added(name: str, side: str, seed: int, run: dict[str, Any]) -> None:
    """Add a run to what the file holds by now."""
    with LOCK:
        results = held()
        of_work = results.setdefault(name, {})
        runs = of_work.setdefault("runs", {})
        runs.setdefault(side, {})[str(seed)] = run
        several = [s for s in SIDES if len(runs.get(s, ())) > 1]
        if "exact" in several:
            of_work["compared"] = {s: compared(runs, s) for s in several if s != "exact"}
        results["machine"] = facts()
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def held() -> dict[str, Any]:
    with LOCK:
        return json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", nargs="+", choices=WORK)
    parser.add_argument("--glue", type=Path, default=Path("../shared/glue"))
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    options = parser.parse_args()
    for name in options.work:
        for seed in WORK[name][1]:
            for side in options.sides:
                if str(seed) in held().get(name, {}).get("runs", {}).get(side, {}):
                    continue
                run = trained(options.glue, name, side, seed)
                added(name, side, seed, run)
                print(name, side, seed, run, flush=True)
        print(json.dumps(held()[name].get("compared"), indent=1))


if __name__ == "__main__":
    main()
