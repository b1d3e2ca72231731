"""The first steps of a cold process: what kernels for new shapes cost where runs are short.

    python benchmarks/first_steps.py --glue ../shared/glue

Rows are as long as those of RTE, made of sentences of MRPC: few words against a text of one to five
sentences. Each contender trains in a fresh process, and every step after the first is timed; a turn
is one such process of each. What a warm process needs is measured over `--warm` steps, after as
many untimed ones.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
from pathlib import Path
from typing import Any

from glue_quality import model_folder, rows
from machine import facts

from tunesmith.analysis.bench.contenders import CONTENDERS, Child, Turn
from tunesmith.training.device import has_fast_bf16

TARGET = Path(__file__).parent / "results" / "first_steps.json"
NAMES = ("trainer", "trainer-bf16", "fast", "fast-bf16")
SENTENCES = (1, 1, 1, 2, 2, 3, 5)
"""How many sentences a text has, each as likely."""


def write_rows(glue: Path, path: Path) -> None:
    chance = random.Random(0)
    pairs = rows(glue / "mrpc", "train")
    sentences = [str(pair["sentence1"]) for pair in pairs]
    lines = []
    for pair in pairs[:2000]:
        text = " ".join(chance.choices(sentences, k=chance.choice(SENTENCES)))
        claim = " ".join(str(pair["sentence2"]).split()[:10])
        lines.append(json.dumps({"text": text, "claim": claim, "label": str(pair["label"])}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def timed(name: str, settings: dict[str, Any], steps: int, warm: int) -> tuple[Turn, Turn]:
    """The first steps of a fresh process, and later ones."""
    child = Child(CONTENDERS[name], {**settings, "train.log_every": 1})
    try:
        if problem := child.ready():
            raise RuntimeError(f"{name}: {problem}")
        turns = child.turn(steps), child.turn(warm, untimed=warm)
    finally:
        child.stop()
    for turn in turns:
        if isinstance(turn, str):
            raise RuntimeError(f"{name}: {turn}")
    return turns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--glue", type=Path, default=Path("../shared/glue"))
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--warm", type=int, default=20)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--names", nargs="+", choices=NAMES, default=NAMES)
    options = parser.parse_args()
    names = [name for name in options.names if "bf16" not in name or has_fast_bf16()]
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rte_like.jsonl"
        write_rows(options.glue, path)
        settings: dict[str, Any] = {
            "data.train": str(path), "data.validation": None, "model": model_folder(),
            "train.batch_size": 8, "train.max_steps": options.steps + 2 * options.warm + 2,
            "train.select_by": None, "train.evaluate_every": None,
        }  # fmt: skip
        for _turn in range(options.turns):
            for name in names:
                first, later = timed(name, settings, options.steps, options.warm)
                seconds = first.seconds / first.steps, later.seconds / later.steps
                taken[name].append(seconds)
                print(name, *(f"{1000 * one:.1f}" for one in seconds), flush=True)
    result = json.loads(TARGET.read_text()) if TARGET.is_file() else {}
    trainer = [first for first, _later in taken.get("trainer", ())]
    result[f"{options.steps} steps"] = {
        "machine": facts(),
        "turns": options.turns,
        "results": {
            name: {
                "first_ms_per_step": round(1000 * statistics.median(f for f, _l in turns), 1),
                "later_ms_per_step": round(1000 * statistics.median(lat for _f, lat in turns), 1),
                "slower_at_first": round(statistics.median(f / lat for f, lat in turns), 2),
                "ratio": round(
                    statistics.median(
                        other / first for other, (first, _l) in zip(trainer, turns, strict=True)
                    ),
                    2,
                )
                if trainer
                else None,
            }
            for name, turns in taken.items()
        },
    }
    TARGET.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
