from __future__ import annotations

import numpy as np
import pytest

from tunesmith.data.encoded import Ragged
from tunesmith.tasks.outputs import Predictions
from tunesmith.tasks.question_answering.answers import answer_rows, encode_listed

CONTEXTS = ["The Eiffel Tower is in Paris.", "Nothing is here.", "?"]
PREDICTIONS: Predictions = {
    "spans": Ragged(np.array([[23, 28], [4, 16], [0, 7]], dtype=np.int32), np.array([2, 1, 0])),
    "scores": Ragged(np.array([3.0, 2.0, 1.0], dtype=np.float32), np.array([2, 1, 0])),
    "null": np.array([1.0, 2.0, 0.0], dtype=np.float32),
}


def test_no_answer_is_given_above_the_threshold() -> None:
    texts = {
        threshold: [
            one.chosen.text for one in answer_rows(PREDICTIONS, CONTEXTS, threshold=threshold)
        ]
        for threshold in (0.0, 1.5, -3.0, None)
    }
    assert texts == {
        0.0: ["Paris", "", ""], 1.5: ["Paris", "Nothing", ""], -3.0: ["", "", ""],
        None: ["Paris", "Nothing", ""],
    }  # fmt: skip


def test_probabilities_are_of_the_best_answers_and_none() -> None:
    first, second, third = answer_rows(PREDICTIONS, CONTEXTS, threshold=0.0)
    powers = np.exp([3.0, 2.0, 1.0])
    np.testing.assert_allclose([*first.shares, first.null_share], powers / powers.sum())
    assert first.score == first.shares[0] and second.score == second.null_share
    assert (third.score, third.no_answer_score) == (1.0, None)
    answer = first.as_answer()
    assert (answer["label"], answer["start"], answer["end"]) == ("Paris", 23, 28)
    assert answer["no_answer_score"] == -2.0
    empty = second.as_answer()
    assert (empty["label"], empty["start"]) == ("", None)
    assert len(empty["n_best"]) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize("threshold", [0.0, None])
def test_stored_answers_give_the_same_again(threshold: float | None) -> None:
    answers = [one.as_answer() for one in answer_rows(PREDICTIONS, CONTEXTS, threshold=threshold)]
    again = list(answer_rows(encode_listed(answers), CONTEXTS, threshold=threshold))
    for one, answer in zip(again, answers, strict=True):
        assert one.chosen.text == answer["label"] and one.score == pytest.approx(answer["score"])
        assert one.no_answer_score == pytest.approx(answer["no_answer_score"])
