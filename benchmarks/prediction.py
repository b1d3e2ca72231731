"""Rows per second of predictions: `Trainer.predict` with its defaults, and ours, in alternation.

    python benchmarks/prediction.py --glue ../shared/glue --turns 3

Both hold the same fine-tuned shape (MiniLM-L6 with a head) and the same tokenized rows: the test
split of MRPC, and the validation split of SST-2 with 20,000 of its training rows.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from glue_quality import GLUE, model_folder, rows
from machine import facts

from tunesmith.analysis.bench.trainings import as_features
from tunesmith.inputs import resolve_inputs, validate_inputs
from tunesmith.recipe import gather
from tunesmith.runs.prepare import PreparedRun, prepare_run
from tunesmith.training.device import make_accelerator, resolve_precision
from tunesmith.training.fast.predictor import Predictor
from tunesmith.training.fast.process import tuned
from tunesmith.training.predict import predict

SETS = {"mrpc": (("test",), 0), "sst2": (("validation",), 20_000)}


def job_of(glue: Path, name: str, folder: Path) -> PreparedRun:
    splits, more = SETS[name]
    chosen = [row for split in splits for row in rows(glue / name, split)]
    chosen += rows(glue / name, "train")[:more]
    known = GLUE[name]["labels"]
    for row in chosen:
        if row["label"] in (-1, "-1", None):
            row["label"] = known[0]  # predicted all the same
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in chosen), encoding="utf-8")
    sets = [
        f"data.train={path}", f"data.validation={path}", f"model={model_folder()}",
        f"data.labels={json.dumps(known)}",
    ]  # fmt: skip
    return prepare_run(validate_inputs(resolve_inputs(gather(sets=sets, environment={}))))


def measure(job: PreparedRun, turns: int) -> dict[str, Any]:
    from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

    precision = resolve_precision("auto", "cpu")
    accelerator = make_accelerator(device="cpu", precision="fp32")
    examples = job.examples["validation"]
    network = job.task.build(job.files, seed=0, dropout=None).model
    features = [{k: v for k, v in f.items() if k != "row"} for f in as_features(examples)]
    times: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=network,
            args=TrainingArguments(folder, report_to="none", disable_tqdm=True, use_cpu=True),
            data_collator=DataCollatorWithPadding(tokenizer=job.tokenizer),
            processing_class=job.tokenizer,
        )
        for _turn in range(turns):
            started = time.perf_counter()
            theirs = trainer.predict(features).predictions
            between = time.perf_counter()
            predictor = Predictor(network, job.task, accelerator, precision)
            with tuned(True), predictor.patched(examples, job.padding) as forward:
                evaluation = predict(
                    forward, job.task, examples, job.padding, accelerator=accelerator
                )
                ours = evaluation.predictions["logits"]
            times.append((between - started, time.perf_counter() - between))
            print(times[-1], flush=True)
    ratios = sorted(peer / own for peer, own in times)
    return {
        "rows": len(examples),
        "tokens": int(examples.lengths.sum()),
        "precision": precision,
        "trainer_rows_per_second": round(
            len(examples) / statistics.median(peer for peer, _own in times), 1
        ),
        "tunesmith_rows_per_second": round(
            len(examples) / statistics.median(own for _peer, own in times), 1
        ),
        "ratio_median": round(statistics.median(ratios), 2),
        "ratio_range": [round(ratios[0], 2), round(ratios[-1], 2)],
        "largest_difference": float(np.abs(theirs - ours).max()),
        "turns": turns,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--glue", type=Path, default=Path("../shared/glue"))
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    arguments = parser.parse_args()
    target = Path(__file__).parent / "results" / "prediction.json"
    result = json.loads(target.read_text()) if target.is_file() else {}
    for name in arguments.sets:
        with tempfile.TemporaryDirectory() as folder:
            result[name] = measure(job_of(arguments.glue, name, Path(folder)), arguments.turns)
        print(name, result[name], flush=True)
        result["machine"] = facts()
        target.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
