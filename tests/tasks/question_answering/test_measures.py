from __future__ import annotations

import pytest

from tunesmith.tasks.question_answering.measures import best_threshold, columns_of, exact, f1


def test_answers_are_compared_as_the_script_of_squad_does() -> None:
    assert exact("The Eiffel Tower!", ["eiffel tower"]) == 1
    assert f1("in Paris France", ["Paris"]) == pytest.approx(0.5)
    assert (exact("", []), exact("x", []), f1("", [])) == (1, 0, 1)


def test_the_threshold_is_between_two_rows() -> None:
    rows = [("Paris", "Paris", -2.0, ["Paris"]), ("x", "x", -1.0, [])]
    columns = columns_of(rows)
    assert best_threshold(columns) == -1.5
