from __future__ import annotations

import pytest

from tests.tasks.question_answering.asked import ROLES
from tunesmith.data.rows import Row
from tunesmith.errors import RecipeError
from tunesmith.tasks.question_answering.corrections import answers_of_cell, as_cell
from tunesmith.tasks.question_answering.rows import Asked, Given, Span
from tunesmith.tasks.question_answering.task import QuestionAnswering

CONTEXT = "Paris, the capital, is in France. Paris@7 is a name."


@pytest.mark.parametrize(
    ("spans", "cell"),
    [
        ([Span("Paris", 0)], "Paris"),
        ([Span("Paris", 34)], "Paris@34"),
        ([Span("Paris", 0), Span("the capital", 7), Span("Paris", 0)], "Paris | the capital"),
        ([Span("Paris@7", 34)], "Paris@7"),
        ([], "none"),
    ],
)
def test_cells_are_read_again(spans: list[Span], cell: str) -> None:
    assert as_cell(CONTEXT, spans) == cell
    answers = answers_of_cell(CONTEXT, cell)
    assert [Span(text=a["text"], start=a["answer_start"]) for a in answers] == list(  # type: ignore[arg-type]
        dict.fromkeys(spans)
    )


@pytest.mark.parametrize("cell", ["Rome", "Paris@3", "Paris | "])
def test_answers_that_are_not_there_are_refused(cell: str) -> None:
    with pytest.raises(RecipeError, match="R215"):
        answers_of_cell(CONTEXT, cell)


def test_a_row_is_corrected() -> None:
    task = QuestionAnswering(ROLES)
    row = Row(0, {"question": "Where?", "context": CONTEXT, "answers": []})
    assert task.corrected(row, "Paris") == {"answers": [{"text": "Paris", "answer_start": 0}]}
    question = Asked("Where?", CONTEXT, (Span("Paris", 34),))
    assert task.output.written(question, "") == "Paris@34"
    assert task.output.written(Given(question, Span("Paris", 0)), "") == "Paris"
