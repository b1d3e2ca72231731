"""Question answering as code: it encodes and scores as the task does, and answers as `predict`.

`tests/interop/eject` runs whole scripts.
"""

from __future__ import annotations

import collections
import math
import re
import string
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from torch.nn.functional import cross_entropy
from transformers import AutoTokenizer, DataCollatorWithPadding

from tests.conftest import make_tiny_bert
from tests.tasks.question_answering.asked import ROLES, asked_rows
from tunesmith.data.batches import Batch, Examples, Padding, make_batch
from tunesmith.data.encoded import Ragged, hold_in_memory
from tunesmith.data.rows import Row
from tunesmith.tasks.question_answering.task import QuestionAnswering
from tunesmith.tasks.script_parts import ScriptParts

CHINESE = [
    {
        "question": "谁来了？",
        "context": "小明昨天在北京。" * (1 + i),
        "answers": [] if i == 2 else [{"text": "小明", "answer_start": 0}],
    }
    for i in range(5)
]
LENGTH = 32


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bert(tmp_path_factory.mktemp("scripts") / "bert", layers=1)


def run_parts(parts: ScriptParts, rows: list[Row], folder: Path) -> dict[str, Any]:
    """The names of the parts of a script for these rows."""
    assert parts.encode and parts.statistics and parts.record and parts.targets
    records = [{**parts.record(row), "label": parts.targets.label_of(row)} for row in rows]
    names: dict[str, Any] = {
        "collections": collections, "math": math, "re": re, "string": string,
        "unicodedata": unicodedata, "np": np, "torch": torch, "cross_entropy": cross_entropy,
        "tokenizer": AutoTokenizer.from_pretrained(folder),
        "DataCollatorWithPadding": DataCollatorWithPadding,
        "TEXT": "text", "TEXT_PAIR": "text_pair", "LABEL": "label", "MAX_LENGTH": LENGTH,
        "raw": DatasetDict(dict.fromkeys(("train", "validation"), Dataset.from_list(records))),
        **{name: value for name, value, _comment in parts.constants},
    }  # fmt: skip
    exec(parts.encode.code, names)
    exec(parts.statistics.code, names)
    scores = "".join(f"    {line}\n" for line in parts.scores.splitlines())
    ending = ", ".join(f'"{name}": {each}' for name, each in parts.metrics.items())
    exec(f"def compute_scores(values, name):\n{scores}    return {{{ending}}}", names)
    return names


class Fixed:
    """A model that gives the same logits whatever it reads."""

    def __init__(self, logits: torch.Tensor) -> None:
        self.start_logits, self.end_logits = logits

    def __call__(self, **_inputs: torch.Tensor) -> Fixed:
        return self


def predicted(task: QuestionAnswering, model: Any, batch: Batch, examples: Examples) -> Any:
    outputs = task.forward(model, batch)
    retained: dict[str, Any] = {name: one.numpy() for name, one in outputs.per_example.items()}
    for name, (of, values) in outputs.ragged.items():
        lengths = np.bincount(of.numpy(), minlength=len(examples))
        retained[name] = Ragged(values.numpy(), lengths)
    return task.join(retained, examples), float(outputs.loss_sum or 0) / max(1, batch.num_targets)


@pytest.mark.parametrize(
    ("records", "options"),
    [
        (asked_rows(24), {"stride": 6, "n_best": 5}),
        (asked_rows(24), {"stride": 99, "n_best": 64, "threshold": -1.0}),
        ([row for row in asked_rows(16) if row["answers"]], {"stride": 6, "max_answer_length": 3}),
        (CHINESE, {"stride": 6}),
    ],
    ids=["chosen threshold", "given threshold", "always answered", "chinese"],
)
def test_the_script_encodes_and_scores_as_the_task(
    records: list[dict[str, Any]], options: dict[str, Any], bert: Path
) -> None:
    rows = [Row(i, record) for i, record in enumerate(records)]
    task = QuestionAnswering(ROLES, **options).fit(rows)
    tokenizer: Any = AutoTokenizer.from_pretrained(bert)
    encoded = task.encode(rows, tokenizer, LENGTH, labeled=True)
    names = run_parts(task.script_parts, rows, bert)
    theirs = names["data"]["train"]
    ids = [one.tolist() for one in encoded.ragged["input_ids"].split()]
    assert theirs["input_ids"] == ids
    assert theirs["labels"] == encoded.fixed["labels"].tolist()
    examples = Examples(hold_in_memory(encoded))
    batch = make_batch(examples, np.arange(len(examples)), Padding.of(tokenizer))
    draw = torch.Generator().manual_seed(4)
    logits = torch.randn(2, *batch.inputs["input_ids"].shape, generator=draw)
    logits = logits.masked_fill(batch.inputs["attention_mask"] == 0, -1e9)
    joined, loss = predicted(task, Fixed(logits), batch, examples)
    statistics = names["statistics"](logits.permute(1, 2, 0), batch.labels).numpy()
    if task.script_parts.before_final:
        exec(task.script_parts.before_final, names)
        task = task.settled(joined, task.targets(rows))
        assert task.threshold is not None
    scores = names["compute_scores"](statistics, "validation")
    metrics = [task.metrics[name] for name in scores if name != "loss"]
    expected = task.score(metrics, joined, task.targets(rows), loss).values
    assert scores == pytest.approx(dict(expected), rel=1e-5)
    assert set(scores) >= {*task.default_metrics, "loss"}


@pytest.mark.parametrize("threshold", [-99.0, 99.0, None])
def test_the_lines_of_the_card_answer_the_same(
    threshold: float | None, bert: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tunesmith.models import locate

    task = QuestionAnswering(
        ROLES, has_unanswerable=threshold is not None, threshold=threshold, stride=16, n_best=64
    )
    tokenizer: Any = AutoTokenizer.from_pretrained(bert, model_max_length=48)
    model: Any = task.build(locate(str(bert)), seed=1, dropout=0.0).model
    torch.nn.init.normal_(model.qa_outputs.weight, generator=torch.Generator().manual_seed(2))
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path)
    row = Row(0, {"question": "what is new?", "context": "the printer, is broken again! " * 20})
    encoded = task.encode([row], tokenizer, 48, labeled=False)
    examples = Examples(hold_in_memory(encoded))
    batch = make_batch(examples, np.arange(len(examples)), Padding.of(tokenizer))
    with torch.no_grad():
        joined, _loss = predicted(task, model.eval(), batch, examples)
    (answer,) = task.decode(joined, [row])
    code = task.usage.replace("path/to/this/folder", str(tmp_path))
    code = code.replace('"…", "…"', f"{row.values['question']!r}, {row.values['context']!r}")
    exec(code, {})
    printed = eval(capsys.readouterr().out)
    assert printed["answer"] == answer["label"]
    assert (answer["label"] == "") == (threshold == -99.0)
