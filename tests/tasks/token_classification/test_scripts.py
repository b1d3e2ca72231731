"""Token classification as a script: it encodes and scores as the task does, whatever the tokens.

`tests/interop/eject` runs whole scripts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from tokenizers import Tokenizer, models, processors
from torch.nn.functional import cross_entropy
from transformers import AutoTokenizer, DataCollatorForTokenClassification, PreTrainedTokenizerFast

from tests.conftest import make_tiny_bert
from tunesmith.data.batches import IGNORED, Examples
from tunesmith.data.columns import Roles
from tunesmith.data.encoded import Ragged, hold_in_memory
from tunesmith.data.rows import Row
from tunesmith.metrics.entities import ENTITY_METRICS
from tunesmith.tasks.script_parts import ScriptParts
from tunesmith.tasks.token_classification.task import TokenClassification

RANDOM = np.random.default_rng(3)
TOKENS = {"text": "tokens", "label": "tags"}
TEXTS = {"text": "text", "label": "entities"}
CHINESE = [list("小明在北京"), list("北京"), list("我在小明明")] * 4
ENGLISH = [f"Ann Lee flew to Paris {'very ' * (i % 5)}fast ." for i in range(9)]
MAX_LENGTH = 9


def tagged(words: list[str], *, plain: bool = False) -> dict[str, object]:
    types = RANDOM.choice(["N", "V"] if plain else ["O", "B-PER", "I-PER", "B-LOC"], len(words))
    return {"tokens": words, "tags": types.tolist()}


def marked(text: str) -> dict[str, object]:
    places = [(0, 7, "PER"), (16, 21, "LOC"), (22, 24, "PER")]  # the last one cuts a word
    chosen = [places[i] for i in np.flatnonzero(RANDOM.random(3) < 0.8)]
    entities = [{"start": start, "end": end, "label": label} for start, end, label in chosen]
    return {"text": text, "entities": entities}


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    pieces = ["<s>", "</s>", "<unk>", "<pad>", "小明", "北京", "在北", *"小明在北京我"]
    inner = Tokenizer(models.Unigram([(p, -1.0) for p in pieces], unk_id=2))
    inner.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    unigram = PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", unk_token="<unk>")
    bert = AutoTokenizer.from_pretrained(make_tiny_bert(tmp_path_factory.mktemp("scripts")))
    return {"unigram": unigram, "bert": bert}


def run_parts(parts: ScriptParts, rows: list[Row], tokenizer: Any) -> dict[str, Any]:
    assert parts.encode and parts.statistics and parts.record and parts.targets
    records = [{**parts.record(row), "label": parts.targets.label_of(row)} for row in rows]
    names: dict[str, Any] = {
        "np": np, "torch": torch, "cross_entropy": cross_entropy, "tokenizer": tokenizer,
        "DataCollatorForTokenClassification": DataCollatorForTokenClassification,
        "TEXT": "text", "LABEL": "label", "MAX_LENGTH": MAX_LENGTH,
        "raw": DatasetDict({"train": Dataset.from_list(records)}),
        **{name: value for name, value, _comment in parts.constants},
    }  # fmt: skip
    exec(parts.encode.code, names)
    exec(parts.statistics.code, names)
    scores = "".join(f"    {line}\n" for line in parts.scores.splitlines())
    ending = ", ".join(f'"{name}": {each}' for name, each in parts.metrics.items())
    exec(f"def compute_scores(values, name):\n{scores}    return {{{ending}}}", names)
    return names


@pytest.mark.parametrize(
    ("columns", "records", "tokenizer", "options"),
    [
        (TOKENS, [tagged(words) for words in CHINESE], "unigram", {}),
        (TOKENS, [tagged(words, plain=True) for words in CHINESE], "unigram", {}),
        (TOKENS, [tagged(text.split()) for text in ENGLISH], "bert", {}),
        (TOKENS, [tagged(["Ann", "", "Lee", "\u200b", "."]) for _text in ENGLISH], "bert", {}),
        (TOKENS, [tagged(text.split()) for text in ENGLISH], "bert", {"pieces": "first"}),
        (TEXTS, [marked(text) for text in ENGLISH], "bert", {}),
        (TEXTS, [marked(text) for text in ENGLISH], "bert", {"pieces": "first"}),
    ],
    ids=["shared", "classes", "tokens", "empty", "tokens first", "text", "text first"],
)
def test_the_script_encodes_and_scores_as_the_task(
    columns: dict[str, str],
    records: list[dict[str, object]],
    tokenizer: str,
    options: dict[str, Any],
    tokenizers: dict[str, Any],
) -> None:
    rows = [Row(i, record) for i, record in enumerate(records)]
    task = TokenClassification(Roles(columns["text"], None, columns["label"]), **options).fit(rows)
    encoded = task.encode(rows, tokenizers[tokenizer], MAX_LENGTH, labeled=True)
    names = run_parts(task.script_parts, rows, tokenizers[tokenizer])
    ours = {name: each.split() for name, each in encoded.ragged.items()}
    for name, values in ours.items():
        assert names["data"]["train"][name] == [each.tolist() for each in values], name
    labels = [torch.from_numpy(each.astype(np.int64)) for each in ours["labels"]]
    drawn = [torch.from_numpy(RANDOM.normal(size=(len(one), len(task.labels)))) for one in labels]
    logits = torch.nn.utils.rnn.pad_sequence(drawn, batch_first=True).float()
    padded = torch.nn.utils.rnn.pad_sequence(labels, batch_first=True, padding_value=IGNORED)
    scores = names["compute_scores"](names["statistics"](logits, padded).numpy(), "train")
    where = padded != IGNORED
    predictions = {"logits": Ragged(logits[where].numpy(), where.sum(1).numpy())}
    joined = task.join(predictions, Examples(hold_in_memory(encoded)))
    loss = cross_entropy(logits[where], padded[where]).item()
    expected = task.score(list(ENTITY_METRICS.values()), joined, task.targets(rows), loss).values
    assert scores.pop("loss") == pytest.approx(loss, rel=1e-6)
    assert scores == pytest.approx({name: expected[name] for name in scores}, abs=1e-12)
