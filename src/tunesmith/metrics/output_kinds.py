"""What the answers of a task are: the interface of `concrete_kinds`.

All that depends on it is behind this interface: probabilities, decisions, losses, what counts as
right, confusions, probably wrong labels, baselines, and how labels are written. The rest of the
package asks the `OutputKind` of a task and never which one it is. The base class serves any kind:
answers are compared with labels as they are, and what a kind does not have is None or empty.
`RawKind` adds what follows from raw values of a model, `LabelKind` what follows from probabilities.

Shapes: n rows and C classes or labels. Raw values are logits or numbers, (n, C); of numbers C is 1.
Truth is what the rows say: classes (n,), zeros and ones (n, C), numbers (n,), or texts (n,).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from tunesmith.i18n import gettext as _
from tunesmith.metrics.confident_learning import (
    Suspects,
)
from tunesmith.metrics.probabilities import Floats

__all__ = [
    "Answers",
    "ColumnType",
    "LabelKind",
    "OutputKind",
    "Pieces",
    "RawKind",
    "RowAnswers",
    "shown_label",
]

ColumnType = Literal["text", "list", "number"]
Pieces = Sequence[tuple[str, str | None]]
Answers = Sequence[Mapping[str, Any]]
"""For each row "label", "score" and, by name, "scores"; a file of predictions holds them."""

_LEAST = 1e-12
"""A probability of zero would give an infinite loss."""


def shown_label(label: object) -> str:
    """The label of an answer as one line; several with commas, parts of a text with their types.

    An empty text says that there is no answer.
    """
    if not isinstance(label, list):
        return str(label) or _("no answer")
    return ", ".join(
        f"{item['text']} ({item['label']})" if isinstance(item, Mapping) else str(item)
        for item in label
    )


@dataclass(frozen=True, eq=False)
class RowAnswers:
    """The answers to labeled rows.

    Attributes:
        truth: the labels of the rows.
        predicted: the answers, in the form of `truth`.
        probabilities: of each class or label, shape (n, C); empty for kinds without.
        scores: how sure each answer is, shape (n,); None where that is not known.
        groups: a number for the group of each row, such as its query, shape (n,); None without.
        suspects: which labels look wrong, where the answers alone do not say.
    """

    truth: NDArray[Any]
    predicted: NDArray[Any]
    probabilities: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    scores: Floats | None = None
    groups: NDArray[np.int64] | None = None
    suspects: Suspects | None = None

    def __len__(self) -> int:
        return len(self.truth)


@dataclass(frozen=True)
class OutputKind(ABC):
    """What the answers of a task are.

    Attributes:
        names: what each value of "scores" in an answer is of: classes, labels, or the column of a
            number.
    """

    names: tuple[str, ...] = ()

    name: ClassVar[str]
    """As metrics name what they score, and as `tunesmith.json` stores it."""
    column_type: ClassVar[ColumnType] = "text"
    """The type of the column of answers in a table of predictions."""
    has_probability: ClassVar[bool] = True
    """Whether one number says how sure an answer is."""
    is_exclusive: ClassVar[bool] = False
    """Whether each row has exactly one of the labels."""
    higher_is_better: ClassVar[bool] = True
    """The direction of `merits`."""
    names_are_places: ClassVar[bool] = False
    """Whether a name means another thing in each row, such as the first of its choices."""

    @property
    def raw_kind(self) -> RawKind | None:
        """This kind, if its answers follow from raw values; None for others."""
        return None

    @property
    def label_kind(self) -> LabelKind | None:
        """This kind, if it has probabilities of known labels; None for others."""
        return None

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes or labels; empty for kinds that answer with neither."""
        return ()

    @property
    def positive(self) -> int:
        """The index of the class that binary scores count."""
        return 1

    @property
    def field_separator(self) -> str:
        """What is between several labels in one field of a table of predictions."""
        return ";"

    def format(self, entry: Any) -> str:
        """One entry of a truth or of answers as text."""
        return str(entry)

    def written(self, entry: Any, text: str) -> str:
        """One entry of a row with this text as users correct it in a table."""
        return self.format(entry)

    def aligned(self, entries: NDArray[Any], other: OutputKind) -> NDArray[Any]:
        """The truth of another kind with the same labels, with these in their order here."""
        return entries

    def recorded(self, answers: Answers, truth: NDArray[Any]) -> RowAnswers:
        """Stored answers to labeled rows."""
        predicted = np.array([None, *(answer["label"] for answer in answers)], dtype=object)[1:]
        scores = np.array([answer["score"] for answer in answers], dtype=np.float64)
        return RowAnswers(truth, predicted, scores=scores)

    def is_right(self, answers: RowAnswers) -> NDArray[np.bool_] | None:
        """Which rows have exactly the right answer, shape (n,); None where no answer is that."""
        equal = np.asarray(answers.predicted == answers.truth)
        return np.asarray(equal.reshape(len(answers), -1).all(axis=1), dtype=bool)

    def merits(self, answers: RowAnswers) -> Floats:
        """How good each answer is, shape (n,); see `higher_is_better`."""
        return np.asarray(self.is_right(answers), dtype=np.float64)

    def truth_probabilities(self, answers: RowAnswers) -> Floats | None:
        """The probability of each label, shape (n,), or of each yes and no, shape (n, C)."""
        return None

    def row_losses(self, answers: RowAnswers) -> Floats:
        """How wrong each answer is, shape (n,): minus the logarithm of the label's probability.

        Where that is not known, it is taken to be the score of a right answer, and the rest of 1
        for a wrong one: wrong answers that are sure come out worst.
        """
        shares = self.truth_probabilities(answers)
        if shares is None:
            scores = np.ones(len(answers)) if answers.scores is None else answers.scores
            sure = np.clip(np.nan_to_num(scores, nan=1.0), 0.0, 1.0)
            shares = np.where(self.merits(answers) > 0, sure, 1 - sure)
        losses = -np.log(np.maximum(shares, _LEAST))
        return np.asarray(losses.reshape(len(losses), -1).sum(axis=1))

    def confusions(self, answers: RowAnswers) -> Iterator[tuple[int, str, str]]:
        """Wrong answers: the row, its label, and the label that it got; none without labels."""
        return iter(())

    def confusion_matrix(self, answers: RowAnswers) -> NDArray[np.int64] | None:
        """How often each class (down) is answered with each (across), (C, C); None without."""
        return None

    def counted(self, answers: RowAnswers) -> list[Mapping[str, str | int | float]]:
        """Rows of a table of what is right and wrong, by their titles; none without."""
        return []

    def pieces(self, text: str, entry: Any) -> Pieces:
        """A text in pieces, each with the label that marks it, or None; none without marks."""
        return ()

    def suspects(self, answers: RowAnswers) -> Suspects | None:
        """How probably wrong each label is; None where that is not known."""
        return None

    def reliability(self, answers: RowAnswers) -> tuple[Floats, NDArray[np.bool_]] | None:
        """Probabilities of answers and whether each is right, (m,); None where none are known."""
        return None

    def groups(self, truth: NDArray[Any]) -> list[str] | None:
        """The class of each row; None for kinds that have not one class each."""
        return [self.format(entry) for entry in truth] if self.is_exclusive else None


class RawKind(OutputKind):
    """Answers that follow from the raw values of a row: exactly one for each name, in their order.

    A head with another number of outputs turns them into these in the task's `forward`.
    """

    @property
    def raw_kind(self) -> RawKind | None:
        """This kind; None where a linear model of the texts cannot answer."""
        return self

    def as_truth(self, labels: NDArray[Any]) -> NDArray[Any]:
        """The labels of examples, as batches hold them, in the form of the truth."""
        return labels

    @abstractmethod
    def decide(self, raw: NDArray[Any]) -> NDArray[Any]:
        """The answers without thresholds, in the form of the truth."""

    @abstractmethod
    def losses(self, raw: NDArray[Any], truth: NDArray[Any]) -> Floats:
        """The loss of each row, shape (n,), that training lowers."""

    @abstractmethod
    def decode(self, raw: NDArray[Any]) -> list[dict[str, object]]:
        """The answers to give to the user: `Answers`."""

    def raw_values(self, answers: Answers) -> Floats:
        """Raw values that give these answers."""
        rows = [[answer["scores"][name] for name in self.names] for answer in answers]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.names))

    def answers(self, raw: NDArray[Any], truth: NDArray[Any]) -> RowAnswers:
        """The answers that raw values give to labeled rows."""
        return RowAnswers(truth, self.decide(raw))

    def strata(self, truth: NDArray[Any]) -> NDArray[np.int64]:
        """Groups of rows, shape (n,), that each part of a split holds in proportion."""
        groups: NDArray[np.int64] = np.unique(truth, axis=0, return_inverse=True)[1]
        return groups.reshape(-1).astype(np.int64)

    @abstractmethod
    def constant(self, truth: NDArray[Any]) -> NDArray[np.float32]:
        """The raw values of the one answer that is best for all rows, shape (C,)."""

    @abstractmethod
    def linear(
        self, features: Any, truth: NDArray[Any], others: Any, *, strength: float = 10.0
    ) -> NDArray[np.float32]:
        """The raw values of a linear model for other rows, shape (m, C).

        Args:
            features: of the rows to learn from, shape (n, F), dense or sparse.
            truth: their labels.
            others: features of the rows to answer, shape (m, F).
            strength: the inverse of the penalty on the weights of classes and labels.
        """


class LabelKind(RawKind):
    """Answers among known labels, each with a probability: they can be calibrated."""

    @property
    def label_kind(self) -> LabelKind:
        """This kind."""
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes or labels."""
        return self.names

    @abstractmethod
    def probabilities(self, raw: NDArray[Any]) -> Floats:
        """The probability of each class or label, shape (n, C)."""

    @abstractmethod
    def decide(self, raw: NDArray[Any], *, half: float = 0.0) -> NDArray[np.int64]:
        """The answers without thresholds, in the form of the truth.

        Args:
            raw: logits, or probabilities.
            half: the value of an even chance: 0.0 of logits, 0.5 of probabilities.
        """

    @abstractmethod
    def indicators(self, truth: NDArray[Any]) -> NDArray[np.bool_]:
        """Which classes or labels each row has, shape (n, C)."""

    @abstractmethod
    def reliability_points(
        self, probabilities: Floats, truth: NDArray[Any]
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """Probabilities of answers, and whether each is right, shape (m,) both."""

    def reliability(self, answers: RowAnswers) -> tuple[Floats, NDArray[np.bool_]]:
        """Those of `reliability_points`."""
        return self.reliability_points(answers.probabilities, answers.truth)

    @abstractmethod
    def truth_probabilities(self, answers: RowAnswers) -> Floats:
        """The probability of each label, shape (n,), or of each yes and no, shape (n, C)."""

    @abstractmethod
    def as_answer(self, entry: Any) -> object:
        """One entry of answers as "label" of `decode`."""

    def decode(self, raw: NDArray[Any]) -> list[dict[str, object]]:
        """The answer without thresholds, its probability, and all of them by name."""
        shares = self.probabilities(raw)
        decided = self.decide(shares, half=0.5)
        scores = self.certainties(shares, decided)
        return [
            {
                "label": self.as_answer(entry),
                "score": float(score),
                "scores": dict(zip(self.names, map(float, row), strict=True)),
            }
            for row, entry, score in zip(shares, decided, scores, strict=True)
        ]

    def certainties(self, probabilities: Floats, decided: NDArray[Any]) -> Floats:
        """The highest probability of each row, shape (n,)."""
        return np.asarray(probabilities.max(axis=1))

    def of_probabilities(self, probabilities: Floats, truth: NDArray[Any]) -> RowAnswers:
        """The answers to labeled rows that probabilities give."""
        predicted = self.decide(probabilities, half=0.5)
        certainties = self.certainties(probabilities, predicted)
        return RowAnswers(truth, predicted, probabilities, certainties)

    def answers(self, raw: NDArray[Any], truth: NDArray[Any]) -> RowAnswers:
        """The answers that logits give to labeled rows."""
        return self.of_probabilities(self.probabilities(raw), truth)

    def recorded(self, answers: Answers, truth: NDArray[Any]) -> RowAnswers:
        """The answers that the stored probabilities give."""
        return self.of_probabilities(RawKind.raw_values(self, answers), truth)
