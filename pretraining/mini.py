"""Make `embedded:mini`: a small BERT, pretrained from nothing by this project's own masked-lm task.

    python pretraining/mini.py --out build/mini

One seed, two cores. The text is made by the grammar of the embedded data sets, as `embedded:corpus`
is, without any text of their validation and test rows. What is hidden changes in four stages, each
an ordinary run that goes on from the model of the one before: words of texts that repeat one
another, ticks beside items of a list, ticks beside words and sentences, one word about everything.
Without the first rungs the last is never learned. A second run with the same versions on the same
kind of machine gives the same file; `--share` makes a quicker, worse one.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForMaskedLM

import tunesmith as ts
from tunesmith.data.embedded.corpus import KINDS, VERDICTS, make_corpus
from tunesmith.data.sources import from_python
from tunesmith.run.fingerprint import versions
from tunesmith.tokenizer import Texts, train_tokenizer

SEED = 20_260_102
SIZES = {
    "hidden_size": 192,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "intermediate_size": 768,
    "max_position_embeddings": 256,
}
SETTINGS: dict[str, object] = {
    "task": "masked-lm",
    "data.text": "text",
    "data.text_pair": "text_pair",
    "data.validation": "validation",
    "options.always": list(VERDICTS),
    "train.seed": SEED,
    "train.dropout": 0.0,  # a small world is seen a few times only
    "train.batch_size": 64,
    "train.warmup": "5%",
    "train.weight_decay": 0.01,
    "train.precision": "fp32",
    "train.evaluate_every": "500 steps",
    "train.save_every": "500 steps",
    "train.log_every": 100,
    "train.best": None,
}


@dataclass(frozen=True)
class Stage:
    """One run.

    Attributes:
        steps: of 64 rows.
        kinds: how often each kind of row comes.
        settings: of this stage alone.
    """

    steps: int
    kinds: Mapping[str, float]
    settings: Mapping[str, object]


def kinds(answered: float, items: float, words: float, sentences: float) -> Mapping[str, float]:
    values = (answered, items, words, sentences, 0.5)
    return dict(zip(KINDS, values, strict=True))


STAGES = (
    Stage(
        3000,
        kinds(4, 0, 4, 2),
        {
            "train.learning_rate": 1.5e-3,
            "train.schedule": "constant",
            "options.mask_share": 0.25,
            "options.always": [],
        },
    ),
    Stage(
        1200,
        kinds(2, 6, 3, 1),
        {
            "train.learning_rate": 8e-4,
            "train.schedule": "constant",
            "options.mask_share": 0.15,
        },
    ),
    Stage(
        1200,
        kinds(3, 2, 4, 4),
        {
            "train.learning_rate": 8e-4,
            "train.schedule": "constant",
            "options.mask_share": 0.1,
        },
    ),
    Stage(
        4000,
        kinds(8, 1, 1.5, 1.5),
        {"train.learning_rate": 8e-4, "options.mask_share": 0.05},
    ),
)


def characters() -> str:
    """Every Chinese character of GB 2312, and the frequent ones of Big5."""
    pairs = [bytes((high, low)) for high in range(0xB0, 0xF8) for low in range(0xA1, 0xFF)]
    found = {pair.decode("gb2312", errors="ignore") for pair in pairs}
    frequent = [bytes((high, low)) for high in range(0xA4, 0xC7) for low in range(0x40, 0xFF)]
    found |= {pair.decode("big5", errors="ignore") for pair in frequent}
    return "".join(sorted(letter for letter in found if "\u4e00" <= letter <= "\u9fff"))


def make_blank(folder: Path) -> None:
    """The tokenizer, and a model of random weights."""
    texts = Texts(from_python(make_corpus()["train"])["train"], ["text", "text_pair"])
    tokenizer = train_tokenizer(texts, vocab_size=12_000, alphabet=characters(), max_length=256)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(SEED)
    config = BertConfig(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, **SIZES)
    model = BertForMaskedLM(config)
    model.save_pretrained(folder)
    weights = sum(parameter.numel() for parameter in model.parameters())
    print(f"{len(tokenizer)} pieces, {weights:,} weights")


def halve(folder: Path) -> None:
    """Weights in float16 on disk: half the bytes; `config.json` has them computed in float32."""
    path = folder / "model.safetensors"
    weights = {name: tensor.half() for name, tensor in load_file(path).items()}
    save_file(weights, path, metadata={"format": "pt"})
    path.chmod(0o644)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["dtype"] = "float32"
    text = json.dumps(config, indent=2, sort_keys=True)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")


def publish(run: ts.Run, out: Path, facts: dict[str, Any]) -> None:
    """The files of a plain model, with a card that says what it is."""
    out.mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(run.model / name, out / name)
    halve(out)
    card = Path(__file__).with_name("card.md").read_text(encoding="utf-8")
    (out / "README.md").write_text(card.format(**facts), encoding="utf-8")


def pretrain(model: str, number: int, stage: Stage, out: Path, share: float) -> ts.Run:
    """One stage; tells of each evaluation."""
    steps = max(1, round(stage.steps * share))
    sizes = {"train": min(64 * steps, 100_000), "validation": 500}
    stream = ts.start(
        make_corpus(sizes, seed=SEED + number, kinds=stage.kinds),
        out=out,
        settings={**SETTINGS, "model": model, "train.max_steps": steps, **stage.settings},
    )
    while True:
        try:
            event = next(stream)
        except StopIteration as end:
            finished: ts.Run = end.value
            return finished
        if isinstance(event, ts.Evaluated):
            scores = "  ".join(f"{name} {value:.4f}" for name, value in event.scores.values.items())
            print(f"step {event.step}  {scores}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--share", type=float, default=1.0, help="of the steps of each stage")
    parser.add_argument("--work", type=Path, default=Path("build/pretraining"))
    given = parser.parse_args()
    started = time.monotonic()
    blank = given.work / "blank"
    if not blank.exists():
        make_blank(blank)
    model, steps = str(blank), 0
    for number, stage in enumerate(STAGES, start=1):
        print(f"stage {number}: {stage.steps} steps", flush=True)
        run = pretrain(model, number, stage, given.work / f"stage-{number}", given.share)
        model, steps = str(run.model), steps + int(run.facts["steps"])
        print(f"{time.monotonic() - started:.0f} s", flush=True)
    minutes = (time.monotonic() - started) / 60
    facts: dict[str, Any] = {
        "steps": steps,
        "perplexity": f"{run.scores['perplexity']:.2f}",
        "accuracy": f"{run.scores['token_accuracy']:.2f}",
        "seed": SEED,
        "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
    }
    publish(run, given.out, facts)
    size = (given.out / "model.safetensors").stat().st_size / 1e6
    print(f"{minutes:.1f} minutes, {size:.1f} MB: {given.out}")


if __name__ == "__main__":
    main()
