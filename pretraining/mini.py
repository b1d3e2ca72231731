"""Make `embedded:mini`: a small BERT, pretrained from nothing by this project's own masked-lm task.

    python pretraining/mini.py --out build/mini

One seed, two cores. The text is made by the grammar of the embedded data sets, as `embedded:corpus`
is, without any text of their validation and test rows. Some heads begin as what comparing needs
(`prepare_heads`). What is hidden changes in stages, each an ordinary run that goes on from the
model of the one before: numbers and ticks next to items of a list, ticks next to words and
sentences, one word about everything. A second run with the same versions on the same kind of
machine gives the same file; `--share` makes a quicker, worse one. Computed in bfloat16,
which needs a processor that has it.
"""

from __future__ import annotations

import argparse
import json
import math
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
from tunesmith.data.embedded.corpus import VERDICTS, make_corpus
from tunesmith.data.open import from_python
from tunesmith.models.train_tokenizer import Texts, train_tokenizer
from tunesmith.runs.fingerprint import versions

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
    "options.always_mask": list(VERDICTS),
    "train.seed": SEED,
    "train.dropout": 0.0,  # a small world is seen a few times only
    "train.batch_size": 64,
    "train.learning_rate": 8e-4,
    "train.warmup": "5%",
    "train.weight_decay": 0.01,
    "train.precision": "bf16",
    "train.evaluate_every": "300 steps",
    "train.save_every": "300 steps",
    "train.log_every": 100,
    "train.select_by": None,
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


STAGES = (
    Stage(  # what is next to the same word in the other text, then whether it is there at all
        400,
        {"items counted": 2, "items ticked": 3, "words ticked": 4, "one change answered": 1},
        {
            "train.learning_rate": 5e-4,
            "train.schedule": "constant",
            "options.mlm_probability": 0.03,
        },
    ),
    Stage(  # ticks next to words and sentences
        1000,
        {
            "words ticked": 4,
            "sentences ticked": 2,
            "answered": 2,
            "one change answered": 4,
            "mail": 0.5,
        },
        {"train.schedule": "constant", "options.mlm_probability": 0.05},
    ),
    Stage(  # one word about everything
        2600,
        {
            "words ticked": 1,
            "sentences ticked": 1,
            "answered": 1,
            "one change answered": 4,
            "one turn answered": 4,
            "mail": 0.3,
        },
        {"options.mlm_probability": 0.02},
    ),
)


def characters() -> str:
    """Every Chinese character of GB 2312, and the frequent ones of Big5."""
    pairs = [bytes((high, low)) for high in range(0xB0, 0xF8) for low in range(0xA1, 0xFF)]
    twins = {pair.decode("gb2312", errors="ignore") for pair in pairs}
    frequent = [bytes((high, low)) for high in range(0xA4, 0xC7) for low in range(0x40, 0xFF)]
    twins |= {pair.decode("big5", errors="ignore") for pair in frequent}
    return "".join(sorted(letter for letter in twins if "\u4e00" <= letter <= "\u9fff"))


def make_blank(folder: Path) -> None:
    """The tokenizer, and a model of random weights."""
    texts = Texts(from_python(make_corpus()["train"])["train"], ["text", "text_pair"])
    tokenizer = train_tokenizer(texts, vocab_size=12_000, alphabet=characters(), max_length=256)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(SEED)
    config = BertConfig(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, **SIZES)
    model = BertForMaskedLM(config)
    prepare_heads(model, tokenizer.mask_token_id)
    prepare_prior(model, tokenizer)
    model.save_pretrained(folder)
    weights = sum(parameter.numel() for parameter in model.parameters())
    print(f"{len(tokenizer)} pieces, {weights:,} weights")


def prepare_heads(model: BertForMaskedLM, mask: int) -> None:
    """Heads begin as what comparing needs, instead of finding it by chance in a thousand steps.

    In each layer one looks a word back and one a word on; one looks for the same word elsewhere,
    and two for a word with the same word before or behind it. Query and key of the latter are one
    projection, and all carry over what they see as it is, after Trockman and Kolter, "Mimetic
    initialization of self-attention layers" (arXiv 2305.09828). Places are sines, so that a step to
    the side is a rotation (arXiv 1706.03762), in dimensions of their own.
    """
    bert = model.bert
    width = SIZES["hidden_size"] // SIZES["num_attention_heads"]
    turns = math.pi * ((torch.arange(1, width // 2 + 1) * 0.618034) % 1.0)
    places = torch.arange(SIZES["max_position_embeddings"])[:, None] * turns
    with torch.no_grad():
        bert.embeddings.position_embeddings.weight.zero_()
        waves = torch.cat((places.cos(), places.sin()), dim=1)
        bert.embeddings.position_embeddings.weight[:, :width] = 0.06 * waves
        bert.embeddings.token_type_embeddings.weight.mul_(0.5)
        bert.embeddings.word_embeddings.weight[mask].zero_()  # so it takes on its neighbors'
        for layer in bert.encoder.layer:
            inner, value = layer.attention.self, layer.attention.self.value.weight
            value.zero_()
            torch.nn.init.orthogonal_(value[:-width, width:])
            value[-width:, :width] = torch.eye(width)
            layer.attention.output.dense.weight.copy_(value.T)
            query, key = (
                part.weight.view(-1, width, SIZES["hidden_size"])
                for part in (inner.query, inner.key)
            )
            seen = value.view_as(query)
            for head, of in ((0, 0), (1, 3), (2, 4)):
                query[head] = key[head] = 1.5 * seen[of]
            for head, turn in ((3, -turns), (4, turns)):
                cos, sin = turn.cos().diag(), turn.sin().diag()
                query[head, :, :width] = torch.cat(
                    (torch.cat((cos, -sin), dim=1), torch.cat((sin, cos), dim=1))
                )
                query[head, :, width:] = key[head, :, width:] = 0.0
                key[head, :, :width] = torch.eye(width)


def prepare_prior(model: BertForMaskedLM, tokenizer: Any) -> None:
    """The bias of the answers is how often each occurs, at first.

    Else the first hundred steps push all hidden tokens in one direction to learn just that, and the
    heads lose what they began with.
    """
    stage = STAGES[0]
    always = set(tokenizer.convert_tokens_to_ids(list(VERDICTS)))
    share = float(str(stage.settings["options.mlm_probability"]))
    counts = torch.full((len(tokenizer),), 0.01)
    for row in make_corpus({"train": 5000}, seed=SEED, kinds=stage.kinds)["train"]:
        texts = tokenizer(row["text"], row["text_pair"], add_special_tokens=False)
        for token in texts["input_ids"]:
            counts[token] += 1.0 if token in always else share
    with torch.no_grad():
        model.cls.predictions.bias.copy_((counts / counts.sum()).log())


def store_in_float16(folder: Path) -> None:
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
    store_in_float16(out)
    card = Path(__file__).with_name("card.md").read_text(encoding="utf-8")
    (out / "README.md").write_text(card.format(**facts), encoding="utf-8")


def pretrain(model: str, number: int, stage: Stage, out: Path, share: float) -> ts.Run:
    """Train one stage and print each evaluation."""
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
    options = parser.parse_args()
    started = time.monotonic()
    blank = options.work / "blank"
    if not blank.exists():
        make_blank(blank)
    model, steps = str(blank), 0
    for number, stage in enumerate(STAGES, start=1):
        print(f"stage {number}: {stage.steps} steps", flush=True)
        run = pretrain(model, number, stage, options.work / f"stage-{number}", options.share)
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
    publish(run, options.out, facts)
    size = (options.out / "model.safetensors").stat().st_size / 1e6
    print(f"{minutes:.1f} minutes, {size:.1f} MB: {options.out}")


if __name__ == "__main__":
    main()
