"""Lists of entities as answers: what is right, and which mistakes there are."""

from __future__ import annotations

import numpy as np

from tunesmith.metrics.entities import Entity
from tunesmith.metrics.output_kinds import RowAnswers
from tunesmith.tasks.token_classification.entity_kind import (
    Entities,
    MarkedEntity,
    as_objects,
    entities_of_answer,
)
from tunesmith.tasks.token_classification.rows import MarkedText

TEXT = "Ann in Rome"
ANN, ROME = (MarkedEntity.of(Entity(*e), TEXT) for e in ((0, 3, "P"), (7, 11, "L")))


def listed(*entities: MarkedEntity) -> dict[str, object]:
    label = [
        {"start": e.start, "end": e.end, "label": e.label, "text": e.text, "score": e.score}
        for e in entities
    ]
    return {"label": label, "score": 0.9, "scores": {}}


def test_entities_are_equal_by_borders_and_type() -> None:
    begun_inside = MarkedEntity(0, 3, "P", False)
    assert begun_inside == ANN and hash(begun_inside) == hash(ANN)
    assert ANN != ROME and ANN != "Ann"


def test_answers_are_compared_with_the_entities_of_rows() -> None:
    kind = Entities()
    truth = as_objects([MarkedText(TEXT, (), (ANN, ROME), has_tokens=False)] * 2)
    answers = kind.recorded([listed(ANN, ROME), listed(ANN)], truth)
    assert kind.is_right(answers).tolist() == [True, False]
    assert kind.format(answers.predicted[0]) == "Ann (P), Rome (L)"
    assert kind.format(()) == "none"
    assert kind.row_losses(answers)[1] > kind.row_losses(answers)[0]


def test_columns_of_scores_say_what_is_right() -> None:
    answers = RowAnswers(np.zeros(2), np.array([[3.0, 0.0], [3.0, 1.0]]))
    assert Entities().is_right(answers).tolist() == [False, True]


def test_mistakes_are_named_by_kind() -> None:
    short, other = MarkedEntity(0, 2, "P"), MarkedEntity(7, 11, "X")
    truth = as_objects([(ANN, ROME), (ANN,), ()])
    predicted = as_objects([(short, other), (), (ROME,)])
    assert list(Entities().confusions(RowAnswers(truth, predicted))) == [
        (0, "P", "P, other borders"),
        (0, "L", "X"),
        (1, "P", "O"),
        (2, "O", "L"),
    ]


def test_an_answer_gives_its_entities_back() -> None:
    answer = listed(ANN)
    assert entities_of_answer(answer) == (ANN,)
    assert (
        entities_of_answer({"label": [{**answer["label"][0], "strict": False}]})[0].is_begun
        is False
    )  # type: ignore[index]
    assert entities_of_answer({"label": None}) == ()


def test_a_text_in_pieces_says_what_is_marked() -> None:
    kind = Entities()
    assert kind.pieces(TEXT, (ROME, ANN)) == [("Ann", "P"), (" in ", None), ("Rome", "L")]
    assert kind.pieces(TEXT, ()) == [(TEXT, None)]


def test_a_row_for_each_type_counts_mistakes() -> None:
    short, other = MarkedEntity(0, 2, "P"), MarkedEntity(7, 11, "X")
    truth = as_objects([(ANN, ROME), (ANN,), (ANN,)])
    predicted = as_objects([(short, other), (ANN,), (ROME,)])
    by_type = {row["type"]: row for row in Entities().counted(RowAnswers(truth, predicted))}
    assert list(by_type) == ["L", "P", "X"]
    of_type_p = by_type["P"]
    assert [of_type_p[name] for name in ("entities", "right", "other borders", "missed")] == [
        3,
        1,
        1,
        1,
    ]
    assert of_type_p["precision"] == 0.5 and of_type_p["F1"] == 2 / 5
    assert by_type["L"]["other type"] == 1 and by_type["L"]["spurious"] == 1


def test_a_label_is_suspect_where_a_sure_answer_differs() -> None:
    truth = as_objects([(ANN,), (ANN,), (ANN, ROME), (ROME,)])
    predicted = as_objects([(ANN,), (ANN, ROME), (ANN,), (ROME,)])
    scores = np.array([0.7, 0.95, 0.6, 0.9])
    suspects = Entities().suspects(RowAnswers(truth, predicted, scores=scores))
    assert suspects is not None
    assert suspects.order.tolist() == [1]
    assert suspects.suggested[1] == (ANN, ROME) and suspects.suggested[2] == (ANN, ROME)
    assert Entities().suspects(RowAnswers(truth, predicted)) is None
    nothing = Entities().suspects(RowAnswers(truth[2:3], predicted[2:3], scores=scores[2:3]))
    assert nothing is not None and not len(nothing.order)
