"""Entities in texts, or a class for each word: names, dates, parts of speech.

Tags are stored as IOB2, which the pipeline of transformers reads. Each piece of a word is labeled
and serves; long texts are read in windows, so that none of their words is lost.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.batches import IGNORED, Batch, Examples
from tunesmith.data.columns import Roles
from tunesmith.data.encoded import Encoded
from tunesmith.data.findings import Finding
from tunesmith.data.profile import Profile
from tunesmith.data.rows import Column, Row
from tunesmith.metrics.entities import (
    ENTITY_METRICS,
    OUTSIDE,
    score_columns,
    type_of,
    word_tags,
)
from tunesmith.metrics.output_kinds import RowAnswers
from tunesmith.metrics.scores import Metric, Scores, compute
from tunesmith.recipe import DataSettings, Options, read_options
from tunesmith.tasks.default_methods import TaskDefaults
from tunesmith.tasks.labeled_text import UnknownLabels
from tunesmith.tasks.matching import Match
from tunesmith.tasks.outputs import Answered, Outputs, Predictions
from tunesmith.tasks.script_parts import ScriptParts
from tunesmith.tasks.token_classification.answers import conll_lines, mark_rows, with_texts
from tunesmith.tasks.token_classification.baselines import usual_tags
from tunesmith.tasks.token_classification.calibrator import EntityCalibrator
from tunesmith.tasks.token_classification.columns import are_iob2, labels_of_config, match_tokens
from tunesmith.tasks.token_classification.corrections import corrected_label, types_of_cell
from tunesmith.tasks.token_classification.entity_kind import (
    Entities,
    as_objects,
    entities_of_answer,
)
from tunesmith.tasks.token_classification.label_errors import judged
from tunesmith.tasks.token_classification.options import TokenOptions
from tunesmith.tasks.token_classification.pipeline import count_differences, usage_of
from tunesmith.tasks.token_classification.rows import (
    MarkedText,
    read_row,
    validate_tokens,
    with_tag_names,
)
from tunesmith.tasks.token_classification.scripts import token_parts
from tunesmith.tasks.token_classification.tag_counts import TagCounts, described, types_of_row
from tunesmith.tasks.token_classification.windows import encode_marked, join_windows

if TYPE_CHECKING:
    from torch import nn

__all__ = ["TokenClassification"]


@dataclass(frozen=True)
class TokenClassification(TaskDefaults):
    """Entities of a text, or a class for each of its words.

    Attributes:
        roles: which column holds tokens or text, and which tags or entities.
        labels: of the outputs of the model: O, then B- and I- of each type; or, if `are_plain`, the
            classes of words. Empty until fitted.
        are_plain: whether words have classes, such as parts of speech, that form no entities.
        pieces: which pieces of a word are labeled.
        overlaps: what becomes of entities that overlap.
        tag_names: the names behind tags that are numbers.
        has_tokens: whether rows have words with tags, not a text with entities.
        counts: entities of each type in the training source, or words of each class.
        notes: what was found out about the tags.
    """

    roles: Roles
    labels: tuple[str, ...] = ()
    are_plain: bool = False
    pieces: str = "all"
    overlaps: str = "refuse"
    tag_names: tuple[str, ...] = ()
    has_tokens: bool = field(default=True, compare=False)
    counts: Mapping[str, int] = field(default_factory=dict, compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)

    name: ClassVar[str] = "token-classification"
    model_class: ClassVar[str] = "AutoModelForTokenClassification"
    pipeline: ClassVar[str | None] = "token-classification"
    options_type: ClassVar[type[Options]] = TokenOptions
    metrics: ClassVar[Mapping[str, Metric]] = ENTITY_METRICS
    baseline_names: ClassVar[tuple[str, ...]] = ("frequent", "constant")
    cuts_long_texts: ClassVar[bool] = False
    formats: ClassVar[tuple[str, ...]] = ("conll",)

    @classmethod
    def make(
        cls,
        roles: Roles,
        settings: DataSettings,
        columns: Sequence[Column],
        options: Mapping[str, object],
    ) -> Self:
        """Take the options, and the names of tags that are numbers."""
        chosen = read_options(TokenOptions, options)
        names = next((c.class_names for c in columns if c.name == roles.label), None)
        return cls(
            roles,
            pieces=chosen.pieces,
            overlaps=chosen.overlaps,
            tag_names=tuple(settings.labels or names or ()),
        )

    @classmethod
    def matches(cls, profile: Profile, requested: DataSettings) -> Match | None:
        """Match columns of tokens and tags, or of a text and its entities."""
        return match_tokens(profile, requested)

    def validate_row(self, row: Row) -> Finding | None:
        """Return what is wrong with tokens or text, else with tags or entities."""
        row = self._named(row)
        longest = self.overlaps == "longest"
        names = len(self.tag_names)
        if finding := validate_tokens(row, self.roles, keeps_longest=longest, num_names=names):
            return finding
        if not self.labels or not self.is_labeled(row):
            return None
        known = set(self.types)
        for entity in self.read(row).entities:
            if entity.label not in known:
                return self._unknown_labels.finding(entity.label)
        return None

    def is_labeled(self, row: Row) -> bool:
        """Return whether the row has tags or entities; an empty list is a row without entities."""
        return self.roles.label is not None and row.values.get(str(self.roles.label)) is not None

    def stratum(self, row: Row) -> Hashable:
        """Return the types of a row."""
        return self.labels_of(row)

    def fit(self, rows: Iterable[Row]) -> Self:
        """Learn types and scheme from the tags; `DataError` if nothing is marked."""
        tags = TagCounts()
        for row in rows:
            label: Any = self._named(row).values.get(str(self.roles.label))
            if label is not None:
                tags.add(label)
        counts = tags.learned()
        order = [*dict.fromkeys(type_of(name) for name in self.tag_names), *sorted(counts)]
        types = [name for name in dict.fromkeys(order) if name in counts]
        both = [OUTSIDE, *(f"{mark}-{name}" for name in types for mark in "BI")]
        return replace(
            self,
            labels=tuple(types if tags.are_classes else both),
            are_plain=tags.are_classes,
            has_tokens=bool(tags.tokens),
            counts={name: counts[name] for name in types},
            notes=tuple(tags.notes()),
        )

    @cached_property
    def types(self) -> tuple[str, ...]:
        """The types of entities, or the classes of words."""
        if self.are_plain:
            return self.labels
        return tuple(name[2:] for name in self.labels if name.startswith("B-"))

    @property
    def label_counts(self) -> Mapping[str, int]:
        """Training entities per type, or words per class."""
        return self.counts

    def labels_of(self, row: Row) -> tuple[str, ...]:
        """Return the types of a row's entities, each once."""
        return types_of_row(self._named(row).values.get(str(self.roles.label)))

    def parse_label(self, text: str) -> tuple[str, ...]:
        """Return the types of the entities that a cell of a table of corrections names."""
        return types_of_cell(text)

    def corrected(self, row: Row, text: str) -> Mapping[str, object]:
        """Return the tags or entities that a cell of a table of corrections names."""
        label = str(self.roles.label)
        own: Any = self._named(row).values[label]
        bare = Row(row.index, {**row.values, label: None})
        return {label: corrected_label(bare, self.roles, own or (), text)}

    def texts_of(self, row: Row) -> tuple[str, ...]:
        """Return the text, or the tokens as one."""
        return (self.read(replace(row, values=_without(row, self.roles.label))).text,)

    def _named(self, row: Row) -> Row:
        """Return the row with the names of tags that are numbers."""
        return with_tag_names(row, self.roles, self.tag_names)

    def read(self, row: Row) -> MarkedText:
        """Return a valid row as a text with its words and entities."""
        return read_row(self._named(row), self.roles, are_plain=self.are_plain)

    @cached_property
    def _unknown_labels(self) -> UnknownLabels:
        return UnknownLabels(self.types)

    def encode(
        self, rows: Sequence[Row], tokenizer: Any, max_length: int, *, labeled: bool
    ) -> Encoded:
        """Tokenize texts in windows; of unlabeled rows every word is outside."""
        if not labeled:
            rows = [replace(row, values=_without(row, self.roles.label)) for row in rows]
        texts = [self.read(row) for row in rows]
        return encode_marked(
            texts,
            [row.index for row in rows],
            tokenizer,
            max_length,
            self._labels_of_units,
            by_words=self.pieces == "first",
        )

    def _labels_of_units(
        self, text: MarkedText, units: Sequence[tuple[int, int]]
    ) -> tuple[list[int], list[int]]:
        """Return the label of the first piece of each unit, and that of its others."""
        if self.are_plain:
            index = {entity[:2]: self._index_of[entity.label] for entity in text.entities}
            firsts = [index.get(unit, 0) for unit in units]
            rest = firsts
        else:
            tags = word_tags(units, text.entities)
            firsts = [self._index_of[tag] for tag in tags]
            rest = [self._index_of[tag.replace("B-", "I-", 1)] for tag in tags]
        return firsts, [IGNORED] * len(rest) if self.pieces == "first" else rest

    @cached_property
    def _index_of(self) -> Mapping[str, int]:
        return {name: i for i, name in enumerate(self.labels)}

    @property
    def head_settings(self) -> Mapping[str, object]:
        """The names of the outputs."""
        return {"id2label": dict(enumerate(self.labels)), "label2id": dict(self._index_of)}

    def forward(self, model: nn.Module, batch: Batch) -> Outputs:
        """Cross entropy summed over the pieces that count; zeros stand for unknown labels."""
        from torch.nn import functional

        assert batch.labels is not None  # noqa: S101 - `encode` always gives them
        where = batch.labels != IGNORED
        logits = model(**batch.inputs).logits[where].float()
        loss = functional.cross_entropy(logits, batch.labels[where], reduction="sum")
        return Outputs(loss, {}, {"logits": (batch.example_of_labels()[where], logits.detach())})

    def join(self, predictions: Predictions, examples: Examples) -> Predictions:
        """Return the logits of each word of each row, and where it is in the text."""
        inside = [
            i if self.are_plain or not name.startswith("B-") else self._index_of[f"I-{name[2:]}"]
            for i, name in enumerate(self.labels)
        ]
        logits, spans = join_windows(
            predictions["logits"], examples, inside_of=np.array(inside, dtype=np.int64)
        )
        return {"logits": logits, "spans": spans}

    @property
    def output(self) -> Entities:
        """Entities."""
        return Entities()

    def judge(self, rows: Sequence[Row], parts: Sequence[NDArray[Any]]) -> RowAnswers:
        """Answer by a linear tagger of words."""
        texts = list(self.targets(rows))
        return judged(texts, self.types, parts, are_plain=self.are_plain)

    @property
    def calibrator(self) -> EntityCalibrator:
        """Of words, and of entities by type."""
        return EntityCalibrator(
            self.output.name,
            self.labels,
            self.types,
            self.are_plain,
            lambda text, units: self._labels_of_units(text, units)[0],
        )

    @property
    def default_metrics(self) -> tuple[str, ...]:
        """F1 of entities, then precision, recall and accuracy; of classes accuracy and F1."""
        if self.are_plain:
            return ("accuracy", "f1_macro")
        return ("f1", "precision", "recall", "accuracy")

    def targets(self, rows: Sequence[Row]) -> NDArray[Any]:
        """Return the texts with their words and entities."""
        return as_objects(with_texts(self.read(row)) for row in rows)

    def score(
        self,
        metrics: Sequence[Metric],
        predictions: Predictions,
        truth: NDArray[Any],
        loss: float | None,
    ) -> Scores:
        """Score the marked entities of all rows together."""
        marked = mark_rows(predictions, self.labels, are_plain=self.are_plain)
        rows = [
            (text.words, text.entities, one.entities)
            for text, one in zip(truth, marked, strict=True)
        ]
        columns = score_columns(self.types, rows)
        return compute(metrics, columns, columns[:, -2], loss=loss)

    def decode(self, predictions: Predictions, rows: Sequence[Row]) -> list[dict[str, object]]:
        """Return the entities of each row; its score is the probability of its least sure word."""
        texts = [self.texts_of(row)[0] for row in rows]
        marked = mark_rows(predictions, self.labels, are_plain=self.are_plain)
        return [one.as_answer(text) for text, one in zip(texts, marked, strict=True)]

    def written(self, answered: Answered, written_as: str) -> Iterator[str]:
        """Yield a line for each word with its tag, in IOB2, and an empty one after each text."""
        for row, answer in answered:
            text = self.read(replace(row, values=_without(row, self.roles.label)))
            yield conll_lines(text, entities_of_answer(answer), are_plain=self.are_plain) + "\n"

    def encode_answers(self, answers: Sequence[Mapping[str, Any]]) -> Predictions:
        """Return the entities themselves."""
        return {"entities": as_objects(entities_of_answer(answer) for answer in answers)}

    def constant(self, rows: Sequence[Row]) -> Sequence[float] | None:
        """Return no value: no entity is marked; None for classes of words."""
        return None if self.are_plain else ()

    def repeat(self, constant: Sequence[float], count: int) -> Predictions:
        """Return rows without entities."""
        return {"entities": as_objects(() for _row in range(count))}

    def baselines(
        self, rows: Sequence[Row], *others: Sequence[Row]
    ) -> list[Mapping[str, Predictions]]:
        """Return for each word the tag that it has most often."""
        seen = [self.read(row) for row in rows]
        marked = (
            usual_tags(seen, [self.read(row) for row in part], are_plain=self.are_plain)
            for part in others
        )
        return [{"frequent": {"entities": each}} for each in marked]

    @property
    def usage(self) -> str:
        """Lines that call the pipeline: neighboring pieces as one entity, long texts in windows."""
        if self.pipeline is None:
            return super().usage
        return usage_of(self.pipeline, are_plain=self.are_plain, is_first=self.pieces == "first")

    def served_otherwise(self, model: nn.Module, tokenizer: Any, rows: Sequence[Row]) -> int:
        """Return for how many texts the pipeline marks other entities."""
        if self.are_plain or self.pieces == "first":
            return 0
        return count_differences(self, model, tokenizer, [self.texts_of(r)[0] for r in rows])

    @classmethod
    def from_config(cls, config: Mapping[str, Any], roles: Roles) -> Self | None:
        """Return the task of a plain model with a head for tokens."""
        labels = labels_of_config(config)
        return cls(roles, labels, are_plain=not are_iob2(labels)) if labels else None

    @property
    def script_parts(self) -> ScriptParts:
        """The task in plain code, with its windows and scores."""
        return token_parts(
            self,
            self.labels,
            self.read,
            are_plain=self.are_plain,
            has_tokens=self.has_tokens,
            is_first=self.pieces == "first",
        )

    def summary(self) -> list[str]:
        """Return types with their entities, what the tags are, and types with few entities."""
        return described(self.counts, self.notes, are_plain=self.are_plain)


def _without(row: Row, label: object) -> Mapping[str, object]:
    return {name: value for name, value in row.values.items() if name != label}
