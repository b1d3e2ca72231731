"""Toy tasks of shapes that the tasks of tunesmith do not have: they prove that the seam is wide.

A tag for each word, a choice among as many texts as a row has, long texts in windows that share one
answer, and text that a model fills in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy

from tests.runs import children
from tunesmith import tasks
from tunesmith.data.batches import IGNORED, Batch, Examples
from tunesmith.data.columns import Roles
from tunesmith.data.encoded import Encoded, Ragged
from tunesmith.data.rows import Row
from tunesmith.metrics.concrete_kinds import FreeText
from tunesmith.metrics.output_kinds import ColumnType, OutputKind
from tunesmith.metrics.scores import Metric, Scores, compute
from tunesmith.tasks import Match, Outputs, Predictions
from tunesmith.tasks.default_methods import TaskDefaults
from tunesmith.tasks.matching import Confidence
from tunesmith.tasks.text_classification import TextClassification

TOYS = {
    "toy-tags": f"{__name__}:Tags",
    "toy-choice": f"{__name__}:MultipleChoice",
    "toy-windows": f"{__name__}:Windows",
    "toy-text": f"{__name__}:Filled",
}


def train(*arguments: Any) -> None:
    """Train in a child, which has to know the toys."""
    tasks.TASKS.update(TOYS)
    children.train(*arguments)


def train_and_die_at(*arguments: Any) -> None:
    """Train in a child that dies at an operation on the disk."""
    tasks.TASKS.update(TOYS)
    children.train_and_die_at(*arguments)


def objects(values: Iterable[object]) -> NDArray[Any]:
    return np.fromiter(values, dtype=object)


def ragged(sequences: Sequence[Sequence[int]]) -> Ragged:
    lengths = np.array([len(each) for each in sequences], dtype=np.int64)
    return Ragged(np.array([i for each in sequences for i in each], dtype=np.int64), lengths)


def encoded(ids: Sequence[Sequence[int]], rows: Sequence[int], **columns: Any) -> Encoded:
    lengths = np.array([len(each) for each in ids], dtype=np.int64)
    fixed = {"labels": columns.pop("fixed")} if "fixed" in columns else {}
    full = columns.pop("full", lengths)
    parts, inputs = columns.pop("parts", None), {name: ragged(c) for name, c in columns.items()}
    return Encoded(
        {"input_ids": ragged(ids), **inputs}, fixed, np.array(rows, dtype=np.int64), full, parts
    )


def exactly(hits: NDArray[Any], _ones: NDArray[Any], _positive: int) -> float:
    return float(np.mean(hits))


@dataclass(frozen=True)
class Toy(TaskDefaults):
    """What the toys share."""

    roles: Roles
    name: ClassVar[str]
    output: ClassVar[OutputKind] = FreeText()
    metrics: ClassVar[Mapping[str, Metric]] = {
        "exact": Metric("exact", (), exactly, by_example=True)
    }
    default_metrics: ClassVar[tuple[str, ...]] = ("exact",)

    @classmethod
    def make(cls, roles: Roles, *_settings: Any) -> Self:
        return cls(roles)

    @classmethod
    def matches(cls, _profile: Any, requested: Any) -> Match | None:
        roles = Roles(requested.text or "text", requested.text_pair, requested.label)
        return Match(roles, "", Confidence.ON_REQUEST)

    def validate_row(self, row: Row) -> None:
        return None

    def is_labeled(self, row: Row) -> bool:
        return row.values.get(str(self.roles.label)) is not None

    def label(self, row: Row) -> Any:
        return row.values[str(self.roles.label)]

    def targets(self, rows: Sequence[Row]) -> NDArray[Any]:
        return objects(self.label(row) for row in rows)

    def score(
        self, metrics: Sequence[Metric], predictions: Predictions, truth: Any, loss: float | None
    ) -> Scores:
        hits = np.asarray(predictions["answer"] == truth, dtype=np.float64)
        return compute(metrics, hits, np.ones(len(truth)), loss=loss)

    def decode(self, predictions: Predictions, rows: Sequence[Row]) -> list[dict[str, object]]:
        return [{"label": each, "score": 1.0, "scores": {}} for each in predictions["answer"]]

    def encode_answers(self, answers: Sequence[Mapping[str, Any]]) -> Predictions:
        return {"answer": objects(answer["label"] for answer in answers)}


class TagList(OutputKind):
    """A list of tags."""

    name = "tags"
    column_type: ClassVar[ColumnType] = "list"

    def format(self, entry: Any) -> str:
        return " ".join(entry)


class Tags(Toy):
    """A tag for each word of a text: answers of different lengths."""

    name = "toy-tags"
    output = TagList()
    tags = ("O", "X", "Y")
    model_class = "AutoModelForTokenClassification"
    head_settings: ClassVar[Mapping[str, object]] = {"num_labels": 3}

    def encode(
        self, rows: Sequence[Row], tokenizer: Any, max_length: int, *, labeled: bool
    ) -> Encoded:
        ids, labels = [], []
        for row in rows:
            words = str(row.values[self.roles.text]).split()
            tags = [self.tags.index(tag) for tag in self.label(row)] if labeled else [0] * 99
            pieces = tokenizer(
                words, is_split_into_words=True, max_length=max_length, truncation=True
            )
            ids.append(pieces["input_ids"])
            firsts = [
                last != word is not None for last, word in pairwise([None, *pieces.word_ids()])
            ]
            each = iter(tags)
            labels.append([next(each) if is_first else IGNORED for is_first in firsts])
        return encoded(ids, [row.index for row in rows], labels=labels)

    def forward(self, model: nn.Module, batch: Batch) -> Outputs:
        assert batch.labels is not None  # zeros where nothing is known: they show the words
        where = batch.labels != IGNORED
        logits = model(**batch.inputs).logits[where].float()
        loss = cross_entropy(logits, batch.labels[where], reduction="sum")
        return Outputs(loss, {}, {"tags": (batch.example_of_labels()[where], logits.argmax(-1))})

    def join(self, predictions: Predictions, examples: Examples) -> Predictions:
        tags = predictions["tags"].split()
        return {"answer": objects([self.tags[tag] for tag in each.tolist()] for each in tags)}


class MultipleChoice(Toy):
    """One of the texts of a row, however many these are: several sequences for each example."""

    name = "toy-choice"
    model_class = "AutoModelForSequenceClassification"

    head_settings: ClassVar[Mapping[str, object]] = {"num_labels": 1}

    def encode(
        self, rows: Sequence[Row], tokenizer: Any, max_length: int, *, labeled: bool
    ) -> Encoded:
        choices = [list(row.values[str(self.roles.text_pair)]) for row in rows]
        pairs = [
            (str(row.values[self.roles.text]), text)
            for row, texts in zip(rows, choices, strict=True)
            for text in texts
        ]
        ids = tokenizer(pairs, max_length=max_length, truncation=True)["input_ids"] if pairs else []
        parts = np.array([len(texts) for texts in choices], dtype=np.int64)
        ends = np.cumsum([0, *map(len, ids)])[np.cumsum([0, *parts])]
        known = {"fixed": np.array([self.label(row) for row in rows], np.int64)} if labeled else {}
        return encoded(ids, [row.index for row in rows], parts=parts, full=np.diff(ends), **known)

    def forward(self, model: nn.Module, batch: Batch) -> Outputs:
        scores = model(**batch.inputs).logits[:, 0].float()
        assert batch.owner is not None
        loss, count = None, len(batch.examples)
        if batch.labels is not None:
            total = scores.new_zeros(count).index_add(0, batch.owner, scores.exp()).log()
            first = torch.searchsorted(batch.owner, torch.arange(count, device=scores.device))
            loss = (total - scores[first + batch.labels]).sum()
        return Outputs(loss, {}, {"scores": (batch.owner, scores)})

    def join(self, predictions: Predictions, examples: Examples) -> Predictions:
        return {"answer": objects(int(each.argmax()) for each in predictions["scores"].split())}


@dataclass(frozen=True)
class Windows(TextClassification):
    """Long texts in windows of four words, whose logits are averaged: several examples per row."""

    name = "toy-windows"

    def encode(
        self, rows: Sequence[Row], tokenizer: Any, max_length: int, *, labeled: bool
    ) -> Encoded:
        texts, owners = [], []
        for row in rows:
            words = str(row.values[self.roles.text]).split()
            texts += [" ".join(words[i : i + 4]) for i in range(0, len(words), 4)]
            owners += [row] * (len(texts) - len(owners))
        ids = tokenizer(texts, max_length=max_length, truncation=True)["input_ids"] if texts else []
        known = {"fixed": self.targets(owners)} if labeled else {}
        return encoded(ids, [row.index for row in owners], **known)

    def join(self, predictions: Predictions, examples: Examples) -> Predictions:
        starts = examples.row_starts
        counts = np.diff(starts, append=len(examples))
        return {"logits": np.add.reduceat(predictions["logits"], starts) / counts[:, None]}

    script_parts = None


@dataclass(frozen=True)
class Filled(Toy):
    """Text in answer to a text: a model for masks fills in three tokens."""

    tokenizer: Any = field(default=None, compare=False, repr=False)
    name = "toy-text"
    model_class = "AutoModelForMaskedLM"
    uses_full_vocabulary = True
    generates = True

    def with_tokenizer(self, tokenizer: Any) -> Self:
        return replace(self, tokenizer=tokenizer)

    def encode(
        self, rows: Sequence[Row], tokenizer: Any, max_length: int, *, labeled: bool
    ) -> Encoded:
        ids, labels = [], []
        for row in rows:
            text = str(row.values[self.roles.text])
            text = tokenizer.encode(text, max_length=max_length - 3, truncation=True)
            answer = tokenizer.encode(self.label(row) if labeled else "", add_special_tokens=False)
            ids.append([*text, *[tokenizer.mask_token_id] * 3])
            labels.append([*[IGNORED] * len(text), *[*answer, *[tokenizer.sep_token_id] * 3][:3]])
        known = {"labels": labels} if labeled else {}
        return encoded(ids, [row.index for row in rows], **known)

    def forward(self, model: nn.Module, batch: Batch) -> Outputs:
        if batch.labels is None:
            return Outputs(None, {})
        where = batch.labels != IGNORED
        logits = model(**batch.inputs).logits[where].float()
        return Outputs(cross_entropy(logits, batch.labels[where], reduction="sum"), {})

    def generate(self, model: nn.Module, batch: Batch) -> Outputs:
        ids = batch.inputs["input_ids"].clone()
        is_mask, rows = ids == self.tokenizer.mask_token_id, torch.arange(len(ids))
        first = is_mask.int().argmax(1)
        for place in (first, first + 1, first + 2):
            logits = model(**{**batch.inputs, "input_ids": ids}).logits
            ids[rows, place] = logits[rows, place].argmax(-1)
        return Outputs(None, {}, {"text": (rows.repeat_interleave(3), ids[is_mask])})

    def join(self, predictions: Predictions, examples: Examples) -> Predictions:
        texts = predictions["text"].split()
        return {"answer": objects(self.tokenizer.batch_decode(texts, skip_special_tokens=True))}
