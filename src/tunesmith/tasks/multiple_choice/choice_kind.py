"""One of the choices of a row, which other rows do not have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.metrics.concrete_kinds import SingleClass
from tunesmith.metrics.output_kinds import Answers, LabelKind, RowAnswers
from tunesmith.metrics.probabilities import Floats

__all__ = ["ChoiceKind", "letter"]

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def letter(number: int) -> str:
    """Return what the choice of a number is called: A, B, …, Z, 27, 28, …."""
    return _LETTERS[number] if number < len(_LETTERS) else str(number + 1)


@final
@dataclass(frozen=True)
class ChoiceKind(LabelKind):
    """The number of a choice, which is called by its letter.

    Raw values are those of as many choices as any row may have; of those that a row lacks they are
    minus infinity.
    """

    name: ClassVar[str] = "choices"
    is_exclusive: ClassVar[bool] = True
    names_are_places: ClassVar[bool] = True

    @classmethod
    def of(cls, count: int) -> ChoiceKind:
        """Return the kind of so many choices."""
        return cls(tuple(map(letter, range(count))))

    @property
    def raw_kind(self) -> None:
        """None: no linear model of the texts answers for choices."""
        return None

    @property
    def _as_classes(self) -> SingleClass:
        return SingleClass(self.names)

    def format(self, entry: Any) -> str:
        """The letter of the choice."""
        return letter(int(entry))

    def as_answer(self, entry: Any) -> str:
        """The letter of the choice."""
        return self.format(entry)

    def probabilities(self, raw: NDArray[Any]) -> Floats:
        """The softmax of the logits of a row's choices."""
        return self._as_classes.probabilities(raw)

    def decide(self, raw: NDArray[Any], *, half: float = 0.0) -> NDArray[np.int64]:
        """The most likely choice, of equally likely ones the first."""
        return self._as_classes.decide(raw)

    def certainties(self, probabilities: Floats, decided: NDArray[Any]) -> Floats:
        """The probability of the choice that was decided on, shape (n,)."""
        return self._as_classes.certainties(probabilities, decided)

    def losses(self, raw: NDArray[Any], truth: NDArray[Any]) -> Floats:
        """Cross entropy."""
        return self._as_classes.losses(raw, truth)

    def raw_values(self, answers: Answers) -> Floats:
        """Logarithms of probabilities; minus infinity for choices that a row lacks."""
        with np.errstate(divide="ignore"):
            shares = self._shares(answers)
            logs: Floats = np.log(np.where(np.isnan(shares), 0.0, np.maximum(shares, _TINY)))
        return logs

    def recorded(self, answers: Answers, truth: NDArray[Any]) -> RowAnswers:
        """The answers that the stored probabilities give."""
        return self.of_probabilities(np.nan_to_num(self._shares(answers)), truth)

    def _shares(self, answers: Answers) -> Floats:
        """The stored probabilities; NaN for choices that a row lacks."""
        rows = [[answer["scores"].get(name, np.nan) for name in self.names] for answer in answers]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.names))

    def indicators(self, truth: NDArray[Any]) -> NDArray[np.bool_]:
        """One-hot rows."""
        return self._as_classes.indicators(truth)

    def reliability_points(
        self, probabilities: Floats, truth: NDArray[Any]
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """Of the most likely choice of each row."""
        return self._as_classes.reliability_points(probabilities, truth)

    def truth_probabilities(self, answers: RowAnswers) -> Floats:
        """The probability of each row's choice, shape (n,)."""
        return self._as_classes.truth_probabilities(answers)

    def confusions(self, answers: RowAnswers) -> Iterator[tuple[int, str, str]]:
        """None: a letter means another choice in each row."""
        return iter(())

    def groups(self, truth: NDArray[Any]) -> None:
        """None: a letter means another choice in each row."""
        return None

    def constant(self, truth: NDArray[Any]) -> NDArray[np.float32]:
        """How often each place is right."""
        return self._as_classes.constant(truth)

    def linear(
        self, features: Any, truth: NDArray[Any], others: Any, *, strength: float = 10.0
    ) -> NDArray[np.float32]:
        """How often each place is right: features of a row say nothing of its choices."""
        return np.tile(self.constant(truth), (others.shape[0], 1))


_TINY = np.finfo(np.float64).tiny
