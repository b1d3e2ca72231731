"""Flipped labels: what fraction of the rows that `tunesmith errors` suspects most are flipped ones.

    python benchmarks/label_noise.py --flips 0 1 2

3 % of the training rows get another label, by a seed; as many of the most suspect rows are looked
at, so chance finds 3 %. The rows are judged as `errors` judges training rows, and all of them are
ranked, also where `errors` warns that the answers are too weak to report rows.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from machine import facts

from tunesmith.analysis.label_errors.held_out import by_folds
from tunesmith.data.columns import Roles
from tunesmith.data.embedded.tickets import faults, make_tickets
from tunesmith.data.readers.memory import Memory
from tunesmith.inputs import Split
from tunesmith.metrics.confident_learning import suspect_classes
from tunesmith.recipe import DataSettings
from tunesmith.tasks import task_named
from tunesmith.tasks.labeled_text import LabeledTextTask

SHARE = 0.03
Records = list[dict[str, Any]]


def mrpc(glue: Path) -> tuple[Records, Roles]:
    lines = (glue / "mrpc" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines], Roles("sentence1", "sentence2", "label")


def tickets(_glue: Path) -> tuple[Records, Roles]:
    """With the labels that they should have: the set has planted faults of its own."""
    rows: Records = [dict(row) for row in make_tickets()["train"]]
    for fault in faults():
        if fault.kind == "wrong label":
            rows[fault.row]["label"] = fault.right_label
        elif fault.kind == "conflict" and fault.twin is not None:
            rows[fault.row]["label"] = rows[fault.twin]["label"]
    return rows, Roles("text", None, "label")


def flip(rows: Records, seed: int) -> set[int]:
    """Give a fraction of the rows another label, in place; return which."""
    chance = np.random.default_rng(seed)
    names = sorted({row["label"] for row in rows})
    chosen = chance.choice(len(rows), round(SHARE * len(rows)), replace=False).tolist()
    for i in chosen:
        others = [name for name in names if name != rows[i]["label"]]
        rows[i]["label"] = others[int(chance.integers(len(others)))]
    return set(chosen)


def found_of(rows: Records, roles: Roles, seed: int) -> Mapping[str, float]:
    wrong = flip(rows, seed)
    split = Split("train", Memory.of_records(rows, "rows"), "", None, len(rows))
    made = task_named("text-classification").make(
        roles, DataSettings(train="rows"), split.source.columns, {}
    )
    task = made.fit(row for chunk in split.source.chunks() for row in chunk)
    assert isinstance(task, LabeledTextTask)
    started = time.perf_counter()
    answered = by_folds(task, split)
    seconds = time.perf_counter() - started
    judged = suspect_classes(answered.outputs, answered.targets)
    first = np.argsort(judged.margin, kind="stable")[: len(wrong)].tolist()
    return {
        "rows": len(rows),
        "flipped": len(wrong),
        "precision": round(len(wrong & set(first)) / len(wrong), 4),
        "agree": round(float((answered.outputs.argmax(axis=1) == answered.targets).mean()), 4),
        "suspect": len(judged.order),
        "suspect_flipped": len(wrong & set(judged.order.tolist())),
        "seconds": round(seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, nargs="+", default=[0, 1, 2], help="seeds")
    parser.add_argument("--glue", type=Path, default=Path("../shared/glue"))
    arguments = parser.parse_args()
    results: dict[str, Any] = {"share": SHARE}
    for name, load in {"mrpc": mrpc, "tickets": tickets}.items():
        results[name] = {}
        for seed in arguments.flips:
            rows, roles = load(arguments.glue)
            results[name][str(seed)] = found_of(rows, roles, seed)
            print(name, seed, results[name][str(seed)], flush=True)
    target = Path(__file__).parent / "results" / "label_noise.json"
    target.write_text(json.dumps({**results, "machine": facts()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
