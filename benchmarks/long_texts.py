"""What reading long texts whole is worth, on `embedded:long`, where a late sentence decides.

    python benchmarks/long_texts.py --ways head head_tail windows --seeds 1 2

Trains `embedded:mini` with each way to read long texts, scores the test rows, long and short ones
apart, and compares each way with `head` on the same rows.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from machine import facts

import tunesmith as ts
from tunesmith.data.rows import Row
from tunesmith.inputs.length_checks import reader_of
from tunesmith.metrics.differences import difference
from tunesmith.metrics.scores import METRICS, Answers
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.predictions import Record, read_predictions
from tunesmith.tasks import task_from_json

SETTINGS: Mapping[str, object] = {
    "data.validation": "validation", "data.test": "test", "preset": None, "train.epochs": 4,
    "train.batch_size": 16, "train.learning_rate": 1e-3, "train.warmup": "10%",
    "train.precision": "fp32", "train.save_every": None, "train.select_by": None,
    "train.evaluate_every": None,
}  # fmt: skip


def trained(way: str, model: str, seed: int, folder: Path) -> RunFolder:
    settings = {**SETTINGS, "model": model, "train.seed": seed, "options.long": way}
    return RunFolder(ts.train("embedded:long", out=folder, settings=settings).folder)


def answers(run: RunFolder, records: Sequence[Record]) -> Answers:
    task = task_from_json(run.facts()["task"])
    truth = task.targets([Row(record.row, record.values) for record in records])
    predictions = task.encode_answers([record.answer for record in records])
    assert predictions is not None
    scored = task.score((METRICS["accuracy"],), predictions, truth, None).answers
    assert scored is not None
    return scored


def parts(run: RunFolder, limit: int) -> dict[str, Sequence[Record]]:
    """The test rows, and those that are longer than the model reads, or not."""
    records = read_predictions(run, "test", ("text", "label", "language"))
    reader = reader_of("embedded:mini", None)
    assert reader is not None
    lengths = [len(reader.backend.encode(str(one.values["text"])).ids) for one in records]
    is_long = np.array(lengths) > limit
    return {
        "all": records,
        "long": [one for one, long in zip(records, is_long, strict=True) if long],
        "short": [one for one, long in zip(records, is_long, strict=True) if not long],
    }


def compared(runs: Mapping[str, RunFolder], limit: int) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for way, run in runs.items():
        result[way] = {
            "test": run.facts()["scores"]["test"],
            "intervals": run.facts()["intervals"]["test"],
        }
        for part, records in parts(run, limit).items():
            others = parts(runs["head"], limit)[part]
            one = difference(answers(runs["head"], others), answers(run, records))["accuracy"]
            result[way][part] = {
                "rows": len(records),
                "accuracy": one.second,
                "more_than_head": one.change,
                "interval": None if one.interval is None else asdict(one.interval),
                "is_sure": one.is_sure,
            }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ways", nargs="+", default=["head", "tail", "head_tail", "windows"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--models", nargs="+", default=["embedded:mini"])
    parser.add_argument("--limit", type=int, default=256)
    options = parser.parse_args()
    target = Path(__file__).parent / "results" / "long_texts.json"
    result: dict[str, Any] = json.loads(target.read_text()) if target.is_file() else {"runs": {}}
    result |= {"settings": {**SETTINGS}, "limit": options.limit}
    with tempfile.TemporaryDirectory() as folder:
        for model in options.models:
            for seed in options.seeds:
                name = f"{model.rpartition(':')[2]}-{seed}"
                runs = {
                    way: trained(way, model, seed, Path(folder) / f"{name}-{way}")
                    for way in dict.fromkeys(["head", *options.ways])
                }
                result["runs"][name] = compared(runs, options.limit)
                print(name, json.dumps(result["runs"][name]), flush=True)
                result["machine"] = facts()
                target.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
