"""Training speed on a GPU: a BERT of base size, Trainer and ours in alternation.

    python benchmarks/gpu.py

Nothing is downloaded: weights are random, and texts are made of invented words, in number and
length as those of MRPC. About ten minutes. `--device cpu --layers 1 --turns 2 --steps 2` only shows
that the script runs; such a result is not kept.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from pathlib import Path
from typing import Any

import torch
from machine import facts

from tunesmith.analysis.bench.compare import compare, steps_taken
from tunesmith.analysis.bench.contenders import CONTENDERS, Contender

TARGET = Path(__file__).parent / "results" / "gpu.json"
BATCH_SIZES = (8, 32)
ROWS, MEAN, SPREAD, SHORTEST, LONGEST = 3668, 53.2, 13.0, 20, 103
"""Rows of MRPC, and tokens of a pair with its three marks."""

USED, WORDS = 11_563, 30_517
"""Words that occur, and words that the vocabulary has."""


def contenders() -> list[Contender]:
    whole = CONTENDERS["fast-bf16"]
    without = [
        Contender(f"without {part}", whole.kind, {**whole.arguments, "train.disable": [part]})
        for part in ("graphs", "varlen", "device_data")
    ]
    return [
        CONTENDERS["trainer"],
        CONTENDERS["trainer-bf16"],
        CONTENDERS["fast"],
        whole,
        *without,
    ]


def write_rows(path: Path) -> None:
    chance = random.Random(0)
    lines = []
    for row in range(ROWS):
        tokens = round(min(max(chance.gauss(MEAN, SPREAD), SHORTEST), LONGEST)) - 3
        words = [f"w{chance.randrange(USED)}" for _word in range(tokens)]
        half = tokens // 2
        pair = {"first": " ".join(words[:half]), "second": " ".join(words[half:])}
        lines.append(json.dumps({**pair, "label": ("no", "yes")[row % 2]}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_model(folder: Path, layers: int) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, BertTokenizerFast

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(WORDS))]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    inner = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    BertTokenizerFast(tokenizer_object=inner, model_max_length=512).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(vocabulary), num_hidden_layers=layers, pad_token_id=0)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no GPU here")
    result: dict[str, Any] = {"machine": facts(), "gpu": card(), "layers": options.layers}
    with tempfile.TemporaryDirectory() as home:
        rows, model = Path(home) / "rows.jsonl", Path(home) / "model"
        write_rows(rows)
        write_model(model, options.layers)
        for batch_size in BATCH_SIZES:
            shared = {
                "data.train": str(rows), "data.validation": None, "data.labels": ["no", "yes"],
                "model": str(model), "train.device": options.device, "train.batch_size": batch_size,
                "train.max_steps": steps_taken(options.turns, options.steps),
                "train.select_by": None, "train.evaluate_every": None,
            }  # fmt: skip
            results = compare(
                contenders(), shared, turns=options.turns, steps=options.steps,
                say=lambda line: print(line, flush=True),
            )  # fmt: skip
            result[f"batch {batch_size}"] = [one.as_json() for one in results]
            for one in results:
                print(batch_size, one.name, one.problem or one.ratio, flush=True)
            if options.device == "cuda":
                TARGET.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
