from __future__ import annotations

import numpy as np

from tunesmith.metrics.output_kinds import RowAnswers
from tunesmith.tasks.question_answering.answer_kind import (
    AnswerKind,
    Mistake,
    as_objects,
    mistake_of,
)
from tunesmith.tasks.question_answering.answers import NO_ANSWER
from tunesmith.tasks.question_answering.rows import Asked, Given, Span

CONTEXT = "The old tower is in Paris. " + "It is tall. " * 40
PARIS, TOWER, OLD = Span("Paris", 20), Span("The old tower", 0), Span("old tower is", 4)
WHERE, WHAT, WHO = (
    Asked("Where?", CONTEXT, (PARIS,)), Asked("What?", CONTEXT, (TOWER, PARIS)),
    Asked("Who?", CONTEXT),
)  # fmt: skip
PAIRS = [
    (question, Given(question, span))
    for question, span in (
        (WHERE, PARIS), (WHERE, NO_ANSWER), (WHERE, TOWER), (WHAT, OLD), (WHO, PARIS),
        (WHO, NO_ANSWER), (WHAT, PARIS),
    )
]  # fmt: skip
ANSWERS = RowAnswers(
    as_objects(question for question, _given in PAIRS),
    as_objects(answer for _asked, answer in PAIRS),
    scores=np.array([0.9, 0.6, 0.95, 0.5, 0.3, 0.8, 0.7]),
)
KIND = AnswerKind()


def test_mistakes_have_kinds() -> None:
    kinds = [mistake_of(*pair) for pair in PAIRS]
    assert kinds == [
        None, Mistake.MISSED, Mistake.ELSEWHERE, Mistake.BORDER, Mistake.INVENTED, None, None,
    ]  # fmt: skip
    assert KIND.is_right(ANSWERS).tolist() == [kind is None for kind in kinds]
    assert [(row, answer) for row, _gold, answer in KIND.confusions(ANSWERS)] == [
        (1, "missed"), (2, "elsewhere"), (3, "other borders"), (4, "invented"),
    ]  # fmt: skip
    with_answer, without = KIND.counted(ANSWERS)
    assert (with_answer["rows"], with_answer["right"], with_answer["missed"]) == (5, 2, 1)
    assert (without["rows"], without["invented"], without["F1"]) == (2, 1, 0.5)


def test_the_worst_rows_are_confident_and_wrong() -> None:
    assert int(KIND.row_losses(ANSWERS).argmax()) == 2
    assert KIND.merits(ANSWERS)[3] == 2 * 2 / (2 + 3)  # "the" does not count


def test_stored_answers_are_read() -> None:
    stored = [
        {"label": answer.text, "score": 0.5, "scores": {}, "start": answer.span.start or None}
        for _asked, answer in PAIRS
    ]
    recorded = KIND.recorded(stored, ANSWERS.truth)
    assert list(recorded.predicted) == list(ANSWERS.predicted)
    assert KIND.format(Given(WHERE, NO_ANSWER)) == KIND.format(WHO) == "no answer"
    assert KIND.format(WHAT) == "The old tower"


def test_answers_are_marked_in_their_context() -> None:
    heading, *pieces = KIND.pieces("What?", WHAT)
    assert heading == ("What? \N{EM DASH} ", None)
    assert [piece for piece, label in pieces if label] == ["The old tower", "Paris"]
    assert "".join(piece for piece, _label in pieces).startswith(CONTEXT[:100])
    assert pieces[-1] == (" …", None)
    assert all(label is None for _piece, label in KIND.pieces("What?", Given(WHAT, NO_ANSWER)))
    late = Given(WHAT, Span("tall", CONTEXT.rindex("tall")))
    assert KIND.pieces("What?", late)[1] == ("… ", None)


def test_suspect_labels_are_those_the_model_is_sure_of() -> None:
    suspects = KIND.suspects(ANSWERS)
    assert suspects is not None and suspects.order.tolist() == [2]
