"""The kinds of answers of today's tasks: one class, several labels, a number, or text.

Shapes are those of `output_kinds`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.i18n import gettext as _
from tunesmith.metrics.confident_learning import (
    Suspects,
    suspect_classes,
    suspect_labels,
    suspect_numbers,
)
from tunesmith.metrics.one_thread import one_thread
from tunesmith.metrics.output_kinds import (
    Answers,
    ColumnType,
    LabelKind,
    OutputKind,
    RawKind,
    RowAnswers,
)
from tunesmith.metrics.probabilities import Floats, sigmoid, softmax

__all__ = ["NO_LABEL", "FreeText", "LabelSet", "Number", "SingleClass"]

_LEAST_FREQUENCY = 1e-9
"""A lower frequency counts as this where frequencies become the logits of a baseline."""

NO_LABEL = "none"
"""How no label at all is written."""


@final
@dataclass(frozen=True)
class SingleClass(LabelKind):
    """One class per row.

    Attributes:
        positive_label: the class that binary scores count; None for the last.
    """

    positive_label: str | None = None

    name: ClassVar[str] = "classes"
    is_exclusive: ClassVar[bool] = True

    @property
    def positive(self) -> int:
        """The index of the class that binary scores count."""
        name = self.positive_label
        return len(self.names) - 1 if name is None else self.names.index(name)

    def format(self, entry: Any) -> str:
        """The name of the class."""
        return self.names[int(entry)]

    def as_answer(self, entry: Any) -> str:
        """The name of the class."""
        return self.format(entry)

    def aligned(self, entries: NDArray[Any], other: OutputKind) -> NDArray[Any]:
        """Classes with their numbers here."""
        return np.asarray(np.array([self.names.index(name) for name in other.names])[entries])

    def probabilities(self, raw: NDArray[Any]) -> Floats:
        """The softmax of the logits."""
        return softmax(raw)

    def decide(self, raw: NDArray[Any], *, half: float = 0.0) -> NDArray[np.int64]:
        """The most likely class."""
        return np.asarray(raw.argmax(axis=-1))

    def certainties(self, probabilities: Floats, decided: NDArray[Any]) -> Floats:
        """The probability of the class that was decided on, shape (n,)."""
        return np.asarray(np.take_along_axis(probabilities, decided[:, None], axis=1)[:, 0])

    def losses(self, raw: NDArray[Any], truth: NDArray[Any]) -> Floats:
        """Cross entropy."""
        values = raw.astype(np.float64)
        highest = values.max(axis=-1)
        total: Floats = highest + np.log(np.exp(values - highest[:, None]).sum(axis=-1))
        return total - np.take_along_axis(values, truth[:, None].astype(np.int64), axis=-1)[:, 0]

    def raw_values(self, answers: Answers) -> Floats:
        """Logarithms of probabilities: logits, up to a number per row that changes nothing."""
        return _safe_log(super().raw_values(answers))

    def indicators(self, truth: NDArray[Any]) -> NDArray[np.bool_]:
        """One-hot rows."""
        return np.asarray(truth[:, np.newaxis] == np.arange(len(self.names)))

    def reliability_points(
        self, probabilities: Floats, truth: NDArray[Any]
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """Of the most likely class of each row."""
        right = np.asarray(probabilities.argmax(axis=-1) == truth)
        return np.asarray(probabilities.max(axis=-1)), right

    def truth_probabilities(self, answers: RowAnswers) -> Floats:
        """The probability of each row's class, shape (n,)."""
        return np.asarray(answers.probabilities[np.arange(len(answers)), answers.truth])

    def confusions(self, answers: RowAnswers) -> Iterator[tuple[int, str, str]]:
        """The rows with another class than their own."""
        for row in np.flatnonzero(answers.predicted != answers.truth).tolist():
            yield row, self.format(answers.truth[row]), self.format(answers.predicted[row])

    def confusion_matrix(self, answers: RowAnswers) -> NDArray[np.int64]:
        """How often each class (down) is answered with each (across), (C, C)."""
        size = len(self.names)
        pairs = answers.truth * size + answers.predicted
        return np.bincount(pairs, minlength=size * size).reshape(size, size)

    def suspects(self, answers: RowAnswers) -> Suspects:
        """By confident learning."""
        return suspect_classes(answers.probabilities, answers.truth)

    def constant(self, truth: NDArray[Any]) -> NDArray[np.float32]:
        """How frequent each class is."""
        counts = np.bincount(truth, minlength=len(self.names))
        return _log(counts / counts.sum())

    def linear(
        self, features: Any, truth: NDArray[Any], others: Any, *, strength: float = 10.0
    ) -> NDArray[np.float32]:
        """Logistic regression."""
        if len(np.unique(truth)) == 1:
            return np.tile(self.constant(truth), (others.shape[0], 1))
        with one_thread():
            model = _logistic(strength).fit(features, truth)
        logits = np.full((others.shape[0], len(self.names)), _log(np.zeros(1))[0], np.float32)
        logits[:, model.classes_] = _log(model.predict_proba(others))
        return logits


@final
@dataclass(frozen=True)
class LabelSet(LabelKind):
    """Any number of labels per row.

    Attributes:
        separator: between labels written as text.
        in_field: between labels in one field of a table of predictions.
    """

    separator: str = "|"
    in_field: str = ";"

    name: ClassVar[str] = "labels"
    column_type: ClassVar[ColumnType] = "list"
    has_probability: ClassVar[bool] = False

    @property
    def field_separator(self) -> str:
        """What is between several labels in one field of a table of predictions."""
        return self.in_field

    def format(self, entry: Any) -> str:
        """The names, with the separator between them; "none" for no label at all."""
        return self.separator.join(self.as_answer(entry)) or NO_LABEL

    def as_answer(self, entry: Any) -> list[str]:
        """The names."""
        return [name for name, has in zip(self.names, entry, strict=True) if has]

    def aligned(self, entries: NDArray[Any], other: OutputKind) -> NDArray[Any]:
        """Labels with their columns here."""
        return np.asarray(entries[:, [other.names.index(name) for name in self.names]])

    def probabilities(self, raw: NDArray[Any]) -> Floats:
        """Sigmoid, which neither overflows nor rounds to 0."""
        return sigmoid(raw)

    def as_truth(self, labels: NDArray[Any]) -> NDArray[np.int64]:
        """The zeros and ones as integers."""
        return labels.astype(np.int64)

    def decide(self, raw: NDArray[Any], *, half: float = 0.0) -> NDArray[np.int64]:
        """The labels of at least an even chance."""
        return (raw >= half).astype(np.int64)

    def losses(self, raw: NDArray[Any], truth: NDArray[Any]) -> Floats:
        """Binary cross entropy, the mean over labels."""
        values = raw.astype(np.float64)
        losses: Floats = np.logaddexp(0.0, np.where(truth == 1, -values, values)).mean(axis=-1)
        return losses

    def raw_values(self, answers: Answers) -> Floats:
        """Logits of the probabilities."""
        shares = super().raw_values(answers)
        return _safe_log(shares) - _safe_log(1 - shares)

    def indicators(self, truth: NDArray[Any]) -> NDArray[np.bool_]:
        """The labels that each row has."""
        return np.asarray(truth == 1)

    def reliability_points(
        self, probabilities: Floats, truth: NDArray[Any]
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """Of each label of each row."""
        return probabilities.ravel(), self.indicators(truth).ravel()

    def truth_probabilities(self, answers: RowAnswers) -> Floats:
        """The probability of each yes and no, shape (n, C)."""
        return np.where(answers.truth == 1, answers.probabilities, 1 - answers.probabilities)

    def confusions(self, answers: RowAnswers) -> Iterator[tuple[int, str, str]]:
        """The labels that rows lack or have too many, each as its name and "without" it."""
        for row, label in np.argwhere(answers.predicted != answers.truth).tolist():
            pair = (self.names[label], _("without {label}").format(label=self.names[label]))
            gold, predicted = pair if answers.truth[row, label] else pair[::-1]
            yield row, gold, predicted

    def suspects(self, answers: RowAnswers) -> Suspects:
        """By confident learning, each label on its own."""
        return suspect_labels(answers.probabilities, answers.truth)

    def constant(self, truth: NDArray[Any]) -> NDArray[np.float32]:
        """How frequent each label is."""
        return _logit(truth.mean(axis=0))

    def linear(
        self, features: Any, truth: NDArray[Any], others: Any, *, strength: float = 10.0
    ) -> NDArray[np.float32]:
        """Logistic regression for each label."""
        from sklearn.multiclass import OneVsRestClassifier

        varied = np.flatnonzero((truth.min(axis=0) == 0) & (truth.max(axis=0) == 1))
        logits = np.tile(self.constant(truth), (others.shape[0], 1))
        if len(varied):
            with one_thread():
                model = OneVsRestClassifier(_logistic(strength)).fit(features, truth[:, varied])
            shares = np.asarray(model.predict_proba(others))
            logits[:, varied] = _logit(shares[:, -len(varied) :])
        return logits


@final
@dataclass(frozen=True)
class Number(RawKind):
    """A number per row."""

    name: ClassVar[str] = "numbers"
    column_type: ClassVar[ColumnType] = "number"
    has_probability: ClassVar[bool] = False
    higher_is_better: ClassVar[bool] = False

    def format(self, entry: Any) -> str:
        """The number with six digits."""
        return f"{float(entry):g}"

    def decide(self, raw: NDArray[Any]) -> NDArray[Any]:
        """The number."""
        return raw[:, 0]

    def losses(self, raw: NDArray[Any], truth: NDArray[Any]) -> Floats:
        """Squared error."""
        losses: Floats = (raw[:, 0].astype(np.float64) - truth) ** 2
        return losses

    def decode(self, raw: NDArray[Any]) -> list[dict[str, object]]:
        """The number, under the name of the target as transformers' pipeline gives it."""
        (name,) = self.names
        return [
            {"label": name, "score": float(value), "scores": {name: float(value)}}
            for value in raw[:, 0]
        ]

    def raw_values(self, answers: Answers) -> Floats:
        """The numbers, whatever their column is called."""
        return np.array([[answer["score"]] for answer in answers], dtype=np.float64).reshape(-1, 1)

    def recorded(self, answers: Answers, truth: NDArray[Any]) -> RowAnswers:
        """The numbers."""
        return RowAnswers(truth, self.raw_values(answers)[:, 0])

    def is_right(self, answers: RowAnswers) -> None:
        """No number is simply right."""

    def merits(self, answers: RowAnswers) -> Floats:
        """The absolute error."""
        return np.asarray(np.abs(answers.predicted - answers.truth), dtype=np.float64)

    def row_losses(self, answers: RowAnswers) -> Floats:
        """Squared error."""
        return np.asarray(np.square(answers.predicted - answers.truth))

    def suspects(self, answers: RowAnswers) -> Suspects:
        """The numbers that are far from what is predicted."""
        return suspect_numbers(answers.predicted, answers.truth)

    def strata(self, truth: NDArray[Any]) -> NDArray[np.int64]:
        """Tenths of the rows by their number."""
        return np.searchsorted(np.quantile(truth, np.linspace(0, 1, 11)[1:-1]), truth)

    def constant(self, truth: NDArray[Any]) -> NDArray[np.float32]:
        """The mean."""
        return np.array([truth.mean()], dtype=np.float32)

    def linear(
        self, features: Any, truth: NDArray[Any], others: Any, *, strength: float = 10.0
    ) -> NDArray[np.float32]:
        """Ridge regression with a penalty of 1."""
        from sklearn.linear_model import Ridge

        predicted = Ridge(alpha=1.0).fit(features, truth).predict(others)
        return np.asarray(predicted, dtype=np.float32).reshape(-1, 1)


@final
@dataclass(frozen=True)
class FreeText(OutputKind):
    """Text, such as words to fill in or a generated answer."""

    name: ClassVar[str] = "text"


def _logistic(strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, tol=1e-3, max_iter=100)


def _log(shares: NDArray[Any]) -> NDArray[np.float32]:
    logs: NDArray[np.float32] = np.log(np.maximum(shares, _LEAST_FREQUENCY)).astype(np.float32)
    return logs


def _logit(shares: NDArray[Any]) -> NDArray[np.float32]:
    return _log(shares) - _log(1 - np.asarray(shares))


def _safe_log(shares: Floats) -> Floats:
    logs: Floats = np.log(np.maximum(shares, np.finfo(np.float64).tiny))
    return logs
