"""Entities of a text as answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.i18n import gettext as _
from tunesmith.metrics.concrete_kinds import NO_LABEL
from tunesmith.metrics.confident_learning import Suspects
from tunesmith.metrics.entities import OUTSIDE, Entity, Mistake, is_exactly_right, mistakes
from tunesmith.metrics.output_kinds import Answers, OutputKind, Pieces, RowAnswers
from tunesmith.metrics.probabilities import Floats
from tunesmith.tasks.token_classification.corrections import as_cell

__all__ = ["Entities", "EntityList", "MarkedEntity", "as_objects", "entities_of_answer"]


class MarkedEntity(Entity):
    """An entity with its text: two are equal if borders and type are.

    Attributes:
        text: its characters.
        score: how sure the model is of it.
    """

    text: str = ""
    score: float = 1.0

    @classmethod
    def of(cls, entity: Entity, text: str) -> MarkedEntity:
        """Return an entity of a text."""
        marked = cls(*entity)
        marked.text = text[entity.start : entity.end]
        return marked

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple) and self[:3] == other[:3]

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self[:3])


EntityList = tuple[MarkedEntity, ...]


def as_objects(values: Iterable[object]) -> NDArray[Any]:
    """Return values as an array of objects, shape (n,)."""
    return np.fromiter(values, dtype=object)


@final
@dataclass(frozen=True)
class Entities(OutputKind):
    """Any number of entities per row: tuples of `MarkedEntity`, rising."""

    name: ClassVar[str] = "entities"

    def format(self, entry: Any) -> str:
        """Each entity with its type."""
        return ", ".join(f"{one.text} ({one.label})" for one in entry) or NO_LABEL

    def written(self, entry: Any, text: str) -> str:
        """Each entity with its type; where it is not the first of its kind, with its place."""
        return as_cell(text, _entities(entry))

    def recorded(self, answers: Answers, truth: NDArray[Any]) -> RowAnswers:
        """Stored answers to labeled rows."""
        predicted = as_objects(entities_of_answer(answer) for answer in answers)
        scores = np.array([answer["score"] for answer in answers], dtype=np.float64)
        return RowAnswers(as_objects(map(_entities, truth)), predicted, scores=scores)

    def is_right(self, answers: RowAnswers) -> NDArray[np.bool_]:
        """Which rows have exactly their entities, shape (n,)."""
        if answers.predicted.dtype != object:  # the columns that scores are computed from
            return is_exactly_right(answers.predicted)
        pairs = zip(answers.predicted, answers.truth, strict=True)
        return np.array([tuple(one) == _entities(other) for one, other in pairs], dtype=bool)

    def confusions(self, answers: RowAnswers) -> Iterator[tuple[int, str, str]]:
        """Each mistake: the row, the type of the entity, and what it was marked as."""
        for row, (truth, predicted) in enumerate(
            zip(answers.truth, answers.predicted, strict=True)
        ):
            for mistake, true, marked in mistakes(_entities(truth), predicted):
                gold = OUTSIDE if true is None else true.label
                answer = OUTSIDE if marked is None else marked.label
                if mistake is Mistake.BORDER:
                    answer = _("{label}, other borders").format(label=answer)
                yield row, gold, answer

    def suspects(self, answers: RowAnswers) -> Suspects | None:
        """Rows whose answer differs from the label, of which the model is as sure as of right ones.

        How sure it is of a row is the probability of its least sure word.
        """
        if answers.suspects is not None or answers.scores is None:
            return answers.suspects
        scores, is_right = answers.scores, self.is_right(answers)
        usual = float(scores[is_right].mean()) if is_right.any() else np.inf
        is_suspect = ~is_right & (scores >= usual)
        pairs = zip(is_suspect, answers.predicted, answers.truth, strict=True)
        suggested = as_objects(tuple(one) if wrong else _entities(own) for wrong, one, own in pairs)
        return Suspects(np.where(is_right, scores, -scores), is_suspect, suggested)

    def reliability(self, answers: RowAnswers) -> tuple[Floats, NDArray[np.bool_]]:
        """Each marked entity."""
        pairs = [
            (one.score, one in _entities(truth))
            for truth, predicted in zip(answers.truth, answers.predicted, strict=True)
            for one in predicted
        ]
        scores = np.array([score for score, _right in pairs], dtype=np.float64)
        return scores, np.array([right for _score, right in pairs], dtype=np.bool_)

    def pieces(self, text: str, entry: Any) -> Pieces:
        """The text with its entities."""
        pieces: list[tuple[str, str | None]] = []
        place = 0
        for one in sorted(_entities(entry)):
            pieces += [(text[place : one.start], None), (text[one.start : one.end], one.label)]
            place = one.end
        return [(piece, label) for piece, label in [*pieces, (text[place:], None)] if piece]

    def counted(self, answers: RowAnswers) -> list[Mapping[str, str | int | float]]:
        """The entities of each type, and the mistakes by kind."""
        true, marked, right = Counter[str](), Counter[str](), Counter[str]()
        wrong: dict[Mistake, Counter[str]] = {kind: Counter() for kind in Mistake}
        for truth, predicted in zip(answers.truth, answers.predicted, strict=True):
            entities = _entities(truth)
            true.update(one.label for one in entities)
            marked.update(one.label for one in predicted)
            right.update(one.label for one in set(entities) & set(predicted))
            for kind, gold, answer in mistakes(entities, predicted):
                wrong[kind][(gold or answer).label] += 1  # type: ignore[union-attr]  # one is there
        titles = {
            Mistake.TYPE: _("other type"),
            Mistake.BORDER: _("other borders"),
            Mistake.MISSED: _("missed"),
            Mistake.SPURIOUS: _("spurious"),
        }
        return [
            {
                _("type"): name,
                _("entities"): true[name],
                _("right"): right[name],
                **{title: wrong[kind][name] for kind, title in titles.items()},
                _("precision"): right[name] / max(1, marked[name]),
                _("recall"): right[name] / max(1, true[name]),
                "F1": 2 * right[name] / max(1, marked[name] + true[name]),
            }
            for name in sorted({*true, *marked})
        ]


def _entities(entry: Any) -> EntityList:
    """The entities of an entry of the truth, which may also hold the words of the row."""
    return tuple(getattr(entry, "entities", entry))


def entities_of_answer(answer: Mapping[str, Any]) -> EntityList:
    """Return the entities that an answer lists."""
    return tuple(map(_of_json, answer["label"] or ()))


def _of_json(one: Mapping[str, Any]) -> MarkedEntity:
    entity = Entity(int(one["start"]), int(one["end"]), str(one["label"]), _is_begun(one))
    marked = MarkedEntity(*entity)
    marked.text = str(one["text"])
    marked.score = float(one["score"])
    return marked


def _is_begun(one: Mapping[str, Any]) -> bool:
    return one.get("strict") is not False
