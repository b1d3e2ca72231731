from __future__ import annotations

import logging

import pytest

from tunesmith.errors import Problem
from tunesmith.storage import notices


def test_each_key_is_queued_once_and_taken_once() -> None:
    notices.take()
    first, second = Problem("C124", "no locks"), Problem("C124", "no modes")
    notices.notify_once(("test", 1), first)
    notices.notify_once(("test", 1), Problem("C124", "again"))
    notices.notify_once(("test", 2), second)
    assert notices.take() == [first, second]
    assert notices.take() == []
    notices.notify_once(("test", 1), first)
    assert notices.take() == []


def test_what_cannot_wait_goes_to_the_innermost_listener(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outer: list[Problem] = []
    inner: list[Problem] = []
    waiting = Problem("C125", "waiting")
    with notices.listening(outer.append):
        with notices.listening(inner.append):
            notices.show_now(waiting)
        assert (outer, inner) == ([], [waiting])
        notices.show_now(waiting)
        assert outer == [waiting]
    with caplog.at_level(logging.WARNING, "tunesmith"):
        notices.show_now(waiting)
    assert [record.getMessage() for record in caplog.records] == ["error C125: waiting"]
    assert (outer, inner) == ([waiting], [waiting])
