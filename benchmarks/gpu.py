"""What the fast engine computes on a GPU, and how fast: one script of at most nine minutes.

    python benchmarks/gpu.py

First it compares CUDA graphs and ragged attention with the exact engine: losses and gradients in
float32 and bfloat16, several buckets, accumulation, failing steps, dropout (`gpu_checks.py`). Then
it measures models of the sizes of MiniLM-L6 and BERT-base with batches of 8 and 32: Trainer with
its defaults and in bfloat16, and the fast engine with each part that is off until it is enabled, in
turns. Nothing is downloaded: weights are random, and texts are made of invented words, in number
and length as those of MRPC. Each result is written at once, so that what was measured is kept if
the script is stopped; what no longer fits into `--minutes` is left out and named.

`--device cpu --layers 1 --turns 2 --steps 2 --rows 200` only shows that the script runs; such a
result is not kept.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from gpu_checks import check
from machine import facts

from tunesmith.analysis.bench.compare import compare, ratio_of, steps_taken
from tunesmith.analysis.bench.contenders import CONTENDERS, Contender

TARGET = Path(__file__).parent / "results" / "gpu.json"
MODELS: dict[str, dict[str, int]] = {
    "minilm": {
        "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12,
        "intermediate_size": 1536,
    },
    "bert-base": {},
}  # fmt: skip
TABLES = (("minilm", 8), ("bert-base", 32), ("minilm", 32), ("bert-base", 8))
"""Models and batch sizes, the most telling first."""

MEAN, SPREAD, SHORTEST, LONGEST = 53.2, 13.0, 20, 103
"""Tokens of a pair of MRPC with its three marks."""

FEW = 100
"""Rows of the checks, of more lengths: 13 steps, the last of which is short, are an epoch."""

USED, WORDS = 11_563, 30_517
"""Words that occur, and words that the vocabulary has."""


def contenders() -> list[Contender]:
    """The defaults of both, and the fast engine with one more part each."""
    whole = CONTENDERS["fast-bf16"]
    with_parts = [
        Contender(f"with {part}", whole.kind, {**whole.arguments, "train.enable": [part]})
        for part in ("varlen", "graphs", "device_data")
    ]
    return [CONTENDERS["trainer"], CONTENDERS["trainer-bf16"], whole, *with_parts]


def write_rows(path: Path, rows: int, spread: float = SPREAD) -> None:
    chance = random.Random(0)
    lines = []
    for row in range(rows):
        tokens = round(min(max(chance.gauss(MEAN, spread), SHORTEST), LONGEST)) - 3
        words = [f"w{chance.randrange(USED)}" for _word in range(tokens)]
        half = tokens // 2
        pair = {"first": " ".join(words[:half]), "second": " ".join(words[half:])}
        lines.append(json.dumps({**pair, "label": ("no", "yes")[row % 2]}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_model(folder: Path, sizes: dict[str, int]) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, BertTokenizerFast

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(WORDS))]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    inner = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    BertTokenizerFast(tokenizer_object=inner, model_max_length=512).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(vocabulary), pad_token_id=0, **sizes)
    BertModel(config).save_pretrained(folder)


def card() -> dict[str, Any]:
    if not torch.cuda.is_available():
        return {}
    properties = torch.cuda.get_device_properties(0)
    return {
        "name": properties.name,
        "memory_gb": round(properties.total_memory / 1e9, 1),
        "capability": f"{properties.major}.{properties.minor}",
        "cuda": torch.version.cuda,
    }


class Results:
    """What is known so far, written whenever something is added, and the time that is left."""

    def __init__(self, target: Path | None, minutes: float, layers: int | None) -> None:
        self._target = target
        self._ends = time.monotonic() + 60 * minutes
        self.values: dict[str, Any] = {"machine": facts(), "gpu": card(), "layers": layers}

    @property
    def seconds_left(self) -> float:
        """Until nothing may run any more."""
        return self._ends - time.monotonic()

    def keep(self, kind: str, name: str, value: object) -> None:
        """Add a result, and write all of them."""
        self.values.setdefault(kind, {})[name] = value
        print(kind, name, json.dumps(value)[:300], flush=True)
        if self._target is not None:
            self._target.write_text(json.dumps(self.values, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rows", type=int, default=3668)
    parser.add_argument("--layers", type=int, help="of both models, in place of their own number")
    parser.add_argument("--minutes", type=float, default=9.0, help="begin nothing that ends later")
    parser.add_argument("--checks-only", action="store_true")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--out", type=Path, help="where to write, in place of results/gpu.json")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no GPU here")
    target = options.out or (TARGET if options.device == "cuda" else None)
    results = Results(target, options.minutes, options.layers)
    with tempfile.TemporaryDirectory() as home:
        rows = Path(home) / "rows.jsonl"
        write_rows(rows, options.rows)
        write_rows(Path(home) / "few.jsonl", FEW, spread=2 * SPREAD)
        for name, sizes in MODELS.items():
            fewer = {"num_hidden_layers": options.layers} if options.layers else {}
            write_model(Path(home) / name, {**sizes, **fewer})
        shared = {
            "data.train": str(rows), "data.validation": None, "data.labels": ["no", "yes"],
            "train.device": options.device, "train.select_by": None, "train.evaluate_every": None,
            "train.preflight": False,
        }  # fmt: skip
        own = {
            **shared, "data.train": str(Path(home) / "few.jsonl"),
            "model": str(Path(home) / "minilm"), "train.batch_size": 8,
        }  # fmt: skip
        started = time.monotonic()
        fine = check(own, 24, lambda name, value: results.keep("checks", name, value))
        results.keep("checks", "all", {"ok": fine, "seconds": round(time.monotonic() - started)})
        if not options.checks_only:
            measure(results, Path(home), shared, turns=options.turns, steps=options.steps)


def measure(
    results: Results, home: Path, shared: dict[str, object], *, turns: int, steps: int
) -> None:
    longest = 0.0
    for model, batch_size in TABLES:
        name = f"{model}, batch {batch_size}"
        if longest * 1.1 > results.seconds_left:
            results.keep("left out", name, f"{longest:.0f} s do not fit into what is left")
            continue
        started = time.monotonic()
        settings = {
            **shared, "model": str(home / model), "train.batch_size": batch_size,
            "train.max_steps": steps_taken(turns, steps),
        }  # fmt: skip
        measured = compare(
            contenders(), settings, turns=turns, steps=steps,
            say=lambda line: print(line, flush=True),
        )  # fmt: skip
        longest = max(longest, time.monotonic() - started)
        plain = next(one for one in measured if one.name == "fast-bf16")
        value = {
            "results": [one.as_json() for one in measured],
            "to fast-bf16": {one.name: ratio_of(one, plain) for one in measured},
            "seconds": round(time.monotonic() - started),
        }
        results.keep("speed", name, value)
        for one in measured:
            print(name, one.name, one.problem or f"{one.ratio} {one.fraction}", flush=True)


if __name__ == "__main__":
    main()
