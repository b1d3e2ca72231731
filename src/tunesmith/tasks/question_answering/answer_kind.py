"""A part of the context as the answer to a question, or none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.metrics.confident_learning import Suspects
from tunesmith.metrics.output_kinds import Answers, OutputKind, Pieces, RowAnswers
from tunesmith.metrics.probabilities import Floats
from tunesmith.metrics.squad import exact, f1, is_exactly_right, words_and_characters
from tunesmith.tasks.question_answering.corrections import as_cell
from tunesmith.tasks.question_answering.rows import Asked, Given, Span

__all__ = ["AnswerKind", "Mistake", "as_objects", "mistake_of"]

_AROUND = 150
"""Characters of the context that are shown on each side of an answer."""


class Mistake(Enum):
    """What is wrong with an answer."""

    MISSED = N_("missed")
    """None was given where there is one."""
    INVENTED = N_("invented")
    """One was given where there is none."""
    BORDER = N_("other borders")
    """It has words in common with a right one."""
    ELSEWHERE = N_("elsewhere")
    """It has no word in common with a right one."""


def _f1(question: Asked, answer: Given) -> float:
    return f1(answer.text, _golds(question), words_and_characters)


def _golds(question: Asked) -> list[str]:
    return [span.text for span in question.answers] or [""]


def mistake_of(question: Asked, answer: Given) -> Mistake | None:
    """Return what is wrong with an answer; None if it is right."""
    if exact(answer.text, _golds(question), words_and_characters):
        return None
    if not answer.text:
        return Mistake.MISSED
    if not question.answers:
        return Mistake.INVENTED
    return Mistake.BORDER if _f1(question, answer) > 0 else Mistake.ELSEWHERE


def as_objects(values: Iterable[object]) -> NDArray[Any]:
    """Return values as an array of objects, shape (n,)."""
    return np.fromiter(values, dtype=object)


@final
@dataclass(frozen=True)
class AnswerKind(OutputKind):
    """A part of the context: truth is `Asked` with all right answers, an answer is `Given`."""

    name: ClassVar[str] = "answers"

    def format(self, entry: Any) -> str:
        """The text; of several right ones the first."""
        spans = _marked(entry)
        return (spans[0].text if spans else "") or _("no answer")

    def written(self, entry: Any, text: str) -> str:
        """The right answers, or the one that was given, as a cell of a table of corrections."""
        question = entry if isinstance(entry, Asked) else entry.question
        return as_cell(question.context, _marked(entry))

    def recorded(self, answers: Answers, truth: NDArray[Any]) -> RowAnswers:
        """Stored answers to labeled rows."""
        predicted = as_objects(
            Given(question, Span(str(answer["label"]), int(answer.get("start") or 0)))
            for answer, question in zip(answers, truth, strict=True)
        )
        scores = np.array([answer["score"] for answer in answers], dtype=np.float64)
        return RowAnswers(truth, predicted, scores=scores)

    def is_right(self, answers: RowAnswers) -> NDArray[np.bool_]:
        """Which rows have exactly a right answer, shape (n,)."""
        if answers.predicted.dtype != object:  # the columns that scores are computed from
            return is_exactly_right(answers.predicted)
        return np.array([m is None for m in self._mistakes(answers)], dtype=bool)

    def merits(self, answers: RowAnswers) -> Floats:
        """The F1 of each answer, shape (n,)."""
        pairs = zip(answers.truth, answers.predicted, strict=True)
        values = [_f1(question, answer) for question, answer in pairs]
        return np.array(values, dtype=np.float64)

    def row_losses(self, answers: RowAnswers) -> Floats:
        """Minus the logarithm of the probability of an answer, or of its opposite if it is wrong.

        An answer with some of the words of a right one is partly wrong.
        """
        scores = np.ones(len(answers)) if answers.scores is None else answers.scores
        sure, merits = np.clip(np.nan_to_num(scores, nan=1.0), 0.0, 1.0), self.merits(answers)
        shares = merits * sure + (1 - merits) * (1 - sure)
        return np.asarray(-np.log(np.maximum(shares, 1e-12)))

    @staticmethod
    def _mistakes(answers: RowAnswers) -> Iterator[Mistake | None]:
        return (mistake_of(*pair) for pair in zip(answers.truth, answers.predicted, strict=True))

    def confusions(self, answers: RowAnswers) -> Iterator[tuple[int, str, str]]:
        """Each mistake: the row, whether it has an answer, and what is wrong."""
        for row, mistake in enumerate(self._mistakes(answers)):
            if mistake is not None:
                has_answer = bool(answers.truth[row].answers)
                gold = _("an answer") if has_answer else _("no answer")
                yield row, gold, _(mistake.value)

    def counted(self, answers: RowAnswers) -> list[Mapping[str, str | int | float]]:
        """Rows with and without an answer: how many are right, and the mistakes by kind."""
        merits = self.merits(answers)
        has = np.array([bool(question.answers) for question in answers.truth], dtype=bool)
        kinds = list(self._mistakes(answers))
        table: list[Mapping[str, str | int | float]] = []
        for title, chosen in ((_("an answer"), has), (_("no answer"), ~has)):
            if chosen.any():
                counts = Counter(kinds[i] for i in np.flatnonzero(chosen).tolist())
                table.append(
                    {
                        _("label"): title,
                        _("rows"): int(chosen.sum()),
                        _("right"): counts[None],
                        **{_(kind.value): counts[kind] for kind in Mistake},
                        "F1": float(merits[chosen].mean()),
                    }
                )
        return table

    def pieces(self, text: str, entry: Any) -> Pieces:
        """The question, and the context around the answer, which is marked."""
        question = entry if isinstance(entry, Asked) else entry.question
        spans = sorted({(span.start, span.end) for span in _marked(entry) if span.text})
        heading = (f"{question.question} \N{EM DASH} ", None)
        return [heading, *_excerpt(question.context, spans)]

    def reliability(self, answers: RowAnswers) -> tuple[Floats, NDArray[np.bool_]] | None:
        """Of each answer, none included, whether it is exactly right."""
        if answers.scores is None:
            return None
        return np.asarray(answers.scores, dtype=np.float64), self.is_right(answers)

    def suspects(self, answers: RowAnswers) -> Suspects | None:
        """Rows with a wrong text as the answer, of which the model is as sure as of right ones.

        That it gives no answer where there is one is what weak models do.
        """
        if answers.scores is None:
            return None
        scores, is_right = answers.scores, self.is_right(answers)
        usual = float(scores[is_right].mean()) if is_right.any() else np.inf
        has_text = np.array([bool(one.text) for one in answers.predicted], dtype=bool)
        is_suspect = has_text & (self.merits(answers) == 0) & (scores >= usual)
        return Suspects(np.where(is_right, scores, -scores), is_suspect, answers.predicted)


def _marked(entry: Any) -> tuple[Span, ...]:
    """The right answers of a question, or the one that was given."""
    return entry.answers if isinstance(entry, Asked) else (entry.span,)


def _excerpt(text: str, spans: Sequence[tuple[int, int]]) -> Iterator[tuple[str, str | None]]:
    """Yield the part of a text around some places, which are marked; its beginning for none."""
    begin, stop = 0, 2 * _AROUND
    if spans:
        begin, stop = max(0, spans[0][0] - _AROUND), spans[-1][1] + _AROUND
    if begin:
        yield "… ", None
    place = begin
    for start, end in spans:
        if start >= place:
            if start > place:
                yield text[place:start], None
            yield text[start:end], _("answer")
            place = end
    yield text[place:stop], None
    if stop < len(text):
        yield " …", None
