from __future__ import annotations

import json

import pytest

from tunesmith.errors import DataError, Interrupted, PeerError, Place, Problem
from tunesmith.training.peer_errors import (
    ended_silently,
    error_as_json,
    error_of,
    no_job,
    shared_error,
)


def sent(error: BaseException) -> dict[str, object]:
    values = json.loads(json.dumps(error_as_json(error)))
    return {"rank": 1, "host": "node2", **values}


def test_the_others_end_with_the_code_of_the_error_and_say_whose_it_was() -> None:
    error = error_of(sent(DataError.of("D101", "no such file", Place("rows.csv"))))
    assert error.exit_code == 3
    (problem,) = error.problems
    assert problem.code == "C141"
    assert "process 1 on node2" in problem.message
    assert "D101 no such file" in problem.message
    assert any("rows.csv" in line for line in problem.evidence)


@pytest.mark.parametrize(
    ("error", "code"),
    [(ZeroDivisionError("x"), 70), (KeyboardInterrupt(), 130), (GeneratorExit(), 75)],
)
def test_what_is_no_error_of_ours_has_a_code_too(error: BaseException, code: int) -> None:
    assert error_of(sent(error)).exit_code == code


@pytest.mark.parametrize("by_keyboard", [True, False])
def test_a_stop_of_one_is_a_stop_of_all(by_keyboard: bool) -> None:
    stop = Interrupted(Problem("C112", "stopped on request"), by_keyboard=by_keyboard)
    error = error_of(sent(stop))
    assert isinstance(error, Interrupted)
    assert error.exit_code == stop.exit_code


def test_one_that_ended_without_a_message_may_be_started_again() -> None:
    error = error_of(ended_silently(3, "it ended without a message"))
    assert error.exit_code == 75
    assert "process 3 failed" in error.problems[0].message


def test_what_is_known_already_is_not_wrapped_again() -> None:
    first = error_of(ended_silently(3, "x"))
    assert error_of(sent(first)).problems == first.problems


def test_an_error_of_all_is_the_same_in_each() -> None:
    error = PeerError(no_job("two of them"), exit_code=2)
    again = shared_error(error_as_json(error))
    assert (again.problems, again.exit_code) == (error.problems, 2)
