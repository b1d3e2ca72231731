"""What the tasks on whole texts share: reading text columns, encoding texts or pairs, the head."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.columns import Roles
from tunesmith.data.encoded import Encoded
from tunesmith.data.findings import Finding
from tunesmith.data.labels import label_key, spelled
from tunesmith.data.rows import Row
from tunesmith.i18n import gettext as _
from tunesmith.metrics.baselines import simple_answers
from tunesmith.metrics.output_kinds import LabelKind, RawKind
from tunesmith.metrics.scores import Metric, Scores, compute
from tunesmith.tasks.default_methods import TaskDefaults
from tunesmith.tasks.long_texts.advice import advice
from tunesmith.tasks.long_texts.encode import encode_long_texts
from tunesmith.tasks.long_texts.options import HEAD, LongTexts
from tunesmith.tasks.long_texts.pooling import pool
from tunesmith.tasks.long_texts.usage import usage_of_long_texts
from tunesmith.tasks.outputs import Predictions
from tunesmith.tasks.tokenize_texts import validate_texts
from tunesmith.text import nearest, quoted

if TYPE_CHECKING:
    import torch
    from torch import nn

    from tunesmith.data.batches import Batch, Examples

__all__ = [
    "LabeledTextTask",
    "UnknownLabels",
    "has_sequence_head",
    "names_of_outputs",
]

_MOST_NAMES = 1_000_000
_MOST_SUGGESTIONS = 50
"""For so many unknown labels the nearest known one is looked up; more have a cause in common."""


class UnknownLabels:
    """Findings about labels that no training row has, with the labels that are probably meant."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._known = quoted(labels)
        self._keys = {label_key(label) for label in labels}
        self._findings: dict[str, Finding] = {}

    def finding(self, name: str) -> Finding:
        """Return the finding about a row with this label."""
        if name in self._findings:
            return self._findings[name]
        fix = _("Known classes: {names}.").format(names=self._known)
        if label_key(name) in self._keys:
            fix = _("Use --normalize-labels, or correct it.") + "\n" + fix
        elif len(self._findings) < _MOST_SUGGESTIONS and (close := nearest(name, self._labels)):
            fix = _('did you mean "{name}"?').format(name=close[0]) + "\n" + fix
        message = _('the label "{label}" is not in train').format(label=spelled(name))
        finding = Finding("D206", message, fix)
        if len(self._findings) < _MOST_SUGGESTIONS:
            self._findings[name] = finding
        return finding


def has_sequence_head(config: Mapping[str, Any]) -> bool:
    """Return whether a plain model was saved with a head for whole texts."""
    names = config.get("architectures")
    return isinstance(names, list) and any("SequenceClassification" in str(name) for name in names)


def names_of_outputs(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a plain model with a head for whole texts calls its outputs, in order."""
    names = config.get("id2label")
    if names is None and has_sequence_head(config):
        # a file leaves out what its class has anyway: two names
        count = config.get("num_labels", 2)
        is_count = isinstance(count, int) and 0 < count <= _MOST_NAMES
        names = {i: f"LABEL_{i}" for i in range(count)} if is_count else {}
    if not isinstance(names, dict) or not all(str(key).isdecimal() for key in names):
        return ()
    return tuple(str(names[key]) for key in sorted(names, key=int))


@dataclass(frozen=True)
class LabeledTextTask(TaskDefaults):
    """A task that reads a whole text, or a pair encoded jointly, and gives logits for it.

    Attributes:
        roles: which column is what.
        long: what becomes of texts longer than the model reads, see `LongTexts`.
        max_windows: most windows of a text.
        pooling: how the logits of windows become those of their text.
    """

    roles: Roles
    long: str = field(default=HEAD.long, kw_only=True)
    max_windows: int = field(default=HEAD.max_windows, kw_only=True)
    pooling: str = field(default=HEAD.pooling, kw_only=True)
    name: ClassVar[str]
    one_example_per_row: ClassVar[bool] = True
    model_class: ClassVar[str] = "AutoModelForSequenceClassification"
    pipeline: ClassVar[str | None] = "text-classification"
    pipeline_options: ClassVar[str] = ", top_k=None"
    problem_type: ClassVar[str]
    baseline_names: ClassVar[tuple[str, ...]] = ("tfidf", "constant")

    @property
    def output(self) -> RawKind:
        """What an answer is."""
        raise NotImplementedError

    def validate_row(self, row: Row) -> Finding | None:
        """Return what is wrong with the texts, else with the label."""
        return validate_texts(row, self.roles) or self._validate_label(row)

    def is_labeled(self, row: Row) -> bool:
        """Return whether the row has a label."""
        return bool(self.roles.label_columns) and self._target(row) is not None

    def encode(
        self, rows: Sequence[Row], tokenizer: Any, max_length: int, *, labeled: bool
    ) -> Encoded:
        """Tokenize the texts, and number the labels if the source has them."""
        texts = encode_long_texts(rows, self.roles, tokenizer, max_length, self.long_texts)
        indices = np.fromiter((row.index for row in rows), np.int64, len(rows))
        fixed = {"labels": _as_stored(self.targets(rows))} if labeled else {}
        return Encoded(texts.ragged, fixed, indices, texts.full_lengths, texts.parts)

    @property
    def long_texts(self) -> LongTexts:
        """What becomes of texts longer than the model reads."""
        return LongTexts(self.long, self.max_windows, self.pooling)

    @property
    def cuts_long_texts(self) -> bool:
        """Whether a text of more tokens than the model takes loses some."""
        return not self.long_texts.in_windows

    def advise_on_cuts(self, times_windows: float) -> str | None:
        """Return the options for long texts, and what they cost."""
        return advice(self.long_texts, times_windows)

    @property
    def usage(self) -> str:
        """Lines that call the pipeline, or the model on what it reads of a long text."""
        has_pair = self.roles.text_pair is not None
        own = usage_of_long_texts(self.problem_type, self.long_texts, has_pair=has_pair)
        return own or super().usage

    @property
    def head_settings(self) -> Mapping[str, object]:
        """The names of the outputs, and the kind of loss that transformers takes by itself."""
        names = self.output.names
        return {
            "id2label": dict(enumerate(names)),
            "label2id": {name: i for i, name in enumerate(names)},
            "problem_type": self.problem_type,
        }

    def encode_answers(self, answers: Sequence[Mapping[str, Any]]) -> Predictions:
        """Return the logits of the probabilities, or the numbers."""
        return {"logits": self.output.raw_values(answers)}

    def constant(self, rows: Sequence[Row]) -> Sequence[float]:
        """Return how frequent each class or label is, as logits, or the mean."""
        return [float(value) for value in self.output.constant(self.targets(rows))]

    def repeat(self, constant: Sequence[float], count: int) -> Predictions:
        """Return the same logits for each row."""
        return {"logits": np.tile(np.asarray(constant, dtype=np.float32), (count, 1))}

    def baselines(
        self, rows: Sequence[Row], *others: Sequence[Row]
    ) -> list[Mapping[str, Predictions]]:
        """Return a TF-IDF baseline, which learns once for all others."""
        texts = [self.texts_of(row) for row in rows]
        requested = [self.texts_of(row) for part in others for row in part]
        answers = simple_answers(self.output, texts, self.targets(rows), requested)
        logits = np.split(answers["tfidf"], np.cumsum([len(part) for part in others])[:-1])
        return [{"tfidf": {"logits": part}} for part in logits]

    def labels_of(self, row: Row) -> tuple[str, ...]:
        """Return the classes or labels of a row; nothing where it is a number."""
        target = self._target(row)
        if isinstance(target, tuple):
            return target
        return (target,) if isinstance(target, str) else ()

    @property
    def has_named_labels(self) -> bool:
        """Whether labels are names in the rows, neither numbers nor names of columns."""
        return isinstance(self.output, LabelKind) and isinstance(self.roles.label, str)

    def _logits(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """The logits of each text of a batch, those of its windows pooled."""
        logits: torch.Tensor = model(**batch.inputs).logits.float()
        if batch.owner is None:
            return logits
        return pool(logits, batch.owner, len(batch.examples), self.pooling)

    def truth(self, examples: Examples, rows: Iterable[Row]) -> NDArray[Any]:
        """Return the labels as they were encoded, of each row once."""
        return self.output.as_truth(examples.labels[examples.row_starts])

    def score(
        self,
        metrics: Sequence[Metric],
        predictions: Predictions,
        truth: NDArray[Any],
        loss: float | None,
    ) -> Scores:
        """Compare the answers without thresholds with the labels."""
        kind, raw = self.output, predictions["logits"]
        return compute(
            metrics, kind.decide(raw), truth,
            positive=kind.positive, loss=loss, losses=kind.losses(raw, truth),
        )  # fmt: skip

    def decode(self, predictions: Predictions, rows: Sequence[Row]) -> list[dict[str, object]]:
        """Return the answers without thresholds, and probabilities or the number."""
        return self.output.decode(predictions["logits"])

    @cached_property
    def _unknown_labels(self) -> UnknownLabels:
        return UnknownLabels(self.output.labels)

    @cached_property
    def _index_of(self) -> Mapping[str, int]:
        """The number of each class or label."""
        return {name: index for index, name in enumerate(self.output.labels)}

    def _validate_label(self, row: Row) -> Finding | None:
        raise NotImplementedError

    def _target(self, row: Row) -> object:
        raise NotImplementedError


def _as_stored(targets: NDArray[Any]) -> NDArray[Any]:
    """Sets of labels as truth values: each is a target of its own, and a float in the loss."""
    return targets if targets.ndim == 1 else targets.astype(np.bool_)
