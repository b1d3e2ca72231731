"""What pretraining is worth on the embedded data, and that TF-IDF does not solve it.

    python benchmarks/embedded.py --seeds 1 2 3

Trains `embedded:mini` and the same encoder without pretraining exactly as `tunesmith quickstart`
does, with several seeds, and scores both and the baselines on the test rows. The table of the
pairs is written into the model's card.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from machine import facts

import tunesmith as ts
from tunesmith.api.quickstart import LESSONS, MODEL, UNTRAINED, Compared, quickstart
from tunesmith.models.embedded import embedded_folder

MARK = "<!-- scores -->"


def trained(task: str, model: str, seed: int) -> dict[str, Any]:
    lesson = LESSONS[task]
    with tempfile.TemporaryDirectory() as folder:
        settings = {"model": model, **lesson.settings, "train.seed": seed}
        run = ts.train(lesson.data, out=Path(folder) / "run", settings=settings)
        return {"scores": run.test_scores, "train_seconds": run.facts["train_seconds"]}


def baselines(task: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        for stage in quickstart(task, Path(folder) / "runs", "en"):
            if isinstance(stage, Compared):
                return {name: dict(scores) for name, scores in stage.rows[:2]}
    raise AssertionError("the quickstart compares nothing")


def into_card(pairs: dict[str, Any]) -> None:
    """The means on embedded:pairs, behind the mark in the card."""
    simple, seeds = pairs["baselines"], len(pairs[MODEL]["runs"])
    lines = [
        "Fine-tuned on the 3,668 pairs of `embedded:pairs` as `tunesmith quickstart` does, on the "
        f"1,725 test pairs, mean of {seeds} seeds:",
        "",
        "| | accuracy | F1 |",
        "|---|---|---|",
    ]
    for name, scores in (
        ("this model", pairs[MODEL]["mean"]),
        ("the same encoder without pretraining, trained equally long", pairs[UNTRAINED]["mean"]),
        ("TF-IDF with logistic regression", simple["tfidf"]),
        ('always "equivalent"', simple["constant"]),
    ):
        lines.append(f"| {name} | {scores['accuracy']:.3f} | {scores['f1']:.3f} |")
    card = embedded_folder("mini") / "README.md"
    before, rest = card.read_text(encoding="utf-8").split(MARK)
    after = rest[rest.index("\nMade by ") :]
    card.write_text(before + MARK + "\n" + "\n".join(lines) + "\n" + after, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--tasks", nargs="+", default=list(LESSONS), choices=LESSONS)
    options = parser.parse_args()
    target = Path(__file__).parent / "results" / "embedded.json"
    result: dict[str, Any] = json.loads(target.read_text()) if target.is_file() else {}
    for task in options.tasks:
        by_model: dict[str, Any] = {"baselines": baselines(task)}
        for model in (MODEL, UNTRAINED):
            runs = {str(seed): trained(task, model, seed) for seed in options.seeds}
            names = next(iter(runs.values()))["scores"]
            by_model[model] = {
                "runs": runs,
                "mean": {
                    name: statistics.mean(run["scores"][name] for run in runs.values())
                    for name in names
                },
            }
            print(task, model, by_model[model]["mean"], flush=True)
        result[task] = by_model
    if "pairs" in options.tasks:
        into_card(result["pairs"])
    result["machine"] = facts()
    target.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
