"""Training speed on real sets, contenders in alternation.

    python benchmarks/speed.py --glue ../shared/glue

Each line of work is `tunesmith bench` on one set and batch size with MiniLM-L6; contenders that
compute in bfloat16 take part where the processor does so natively. `--ablate` measures the fast
engine without each of its parts instead. Sets named `embedded:` come with the package; their
results are in speed_tasks.json. Choices are rows of four, as many as transformers' collator takes:

    python benchmarks/speed.py --work "entities, batch 32" "choices, batch 32" "questions, batch 32"
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from glue_quality import GLUE, model_folder, rows
from machine import facts

import tunesmith as ts
from tunesmith.analysis.bench.compare import compare, steps_taken
from tunesmith.analysis.bench.contenders import CONTENDERS, ablations
from tunesmith.training.device import has_fast_bf16

RESULTS = Path(__file__).parent / "results"
WORK = {
    "MRPC, batch 8": ("mrpc", 8, 16),
    "MRPC, batch 32": ("mrpc", 32, 6),
    "STS-B, batch 32": ("stsb", 32, 8),
    "SST-2, batch 32": ("sst2", 32, 10),
    "entities, batch 32": ("embedded:entities", 32, 6),
    "choices, batch 32": ("embedded:choices", 32, 1),
    "questions, batch 32": ("embedded:questions", 32, 2),
}
"""Set, rows per step, steps per turn."""

_FOUR = range(4)
"""Choices of a row."""

FULL = ("trainer", "trainer-process", "trainer-by-length", "exact", "fast")
HALF = ("trainer-bf16", "trainer-bf16-process", "fast-bf16")


def settings(glue: Path, name: str, batch_size: int, steps: int, folder: Path) -> dict[str, Any]:
    chosen = _embedded(name) if ":" in name else rows(glue / name, "train")[:8000]
    path = folder / f"{name.rpartition(':')[2]}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in chosen), encoding="utf-8")
    results: dict[str, Any] = {
        "data.train": str(path),
        "data.validation": None,
        "model": model_folder(),
        "train.batch_size": batch_size,
        "train.max_steps": steps,
        "train.select_by": None,
        "train.evaluate_every": None,
    }
    if name in GLUE and GLUE[name]["labels"]:
        results["data.labels"] = GLUE[name]["labels"]
    return results


def _embedded(name: str) -> list[dict[str, Any]]:
    source = ts.load_data(name)["train"]
    every = [dict(row.values) for chunk in source.chunks() for row in chunk]
    return [row for row in every if len(row.get("choices", _FOUR)) == len(_FOUR)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--glue", type=Path, default=Path("../shared/glue"))
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--work", nargs="+", default=list(WORK), choices=WORK)
    parser.add_argument("--contenders", nargs="+", choices=(*FULL, *HALF))
    parser.add_argument("--ablate", action="store_true")
    options = parser.parse_args()
    names = options.contenders or FULL + (HALF if has_fast_bf16() else ())
    contenders = [CONTENDERS[name] for name in names]
    if options.ablate:
        contenders = ablations("fast-bf16" if has_fast_bf16() else "fast")
    for work in options.work:
        name, batch_size, steps = WORK[work]
        file = "speed_tasks" if ":" in name else "speed"
        target = RESULTS / f"{'ablation' if options.ablate else file}.json"
        result = json.loads(target.read_text()) if target.is_file() else {}
        count = steps_taken(options.turns, steps)
        with tempfile.TemporaryDirectory() as folder:
            shared = settings(options.glue, name, batch_size, count, Path(folder))
            results = compare(contenders, shared, turns=options.turns, steps=steps, say=print)
        result[work] = {
            "turns": options.turns,
            "steps_per_turn": steps,
            "machine": facts(),
            "results": [one.as_json() for one in results],
        }
        for one in results:
            print(work, one.name, one.problem or f"{one.ratio} {one.fraction}", flush=True)
        target.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
