from __future__ import annotations

import multiprocessing
import os
import signal
import threading

import pytest

from tests.capabilities import needs
from tunesmith.errors import Interrupted
from tunesmith.runs.signals import StopRequest


@needs("signals")
def test_outside_steps_it_stops_at_once() -> None:
    with pytest.raises(Interrupted) as caught, StopRequest():
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("not stopped")
    assert caught.value.exit_code == 75


@needs("signals")
def test_between_steps_it_only_sets_a_flag() -> None:
    with StopRequest() as stop, stop.deferred():
        assert not stop.was_made
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.was_made
        interruption = stop.interruption("step-00000003")
    assert interruption.exit_code == 130
    assert "step-00000003" in str(interruption)


@needs("signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGHUP"])
def test_each_of_these_signals_asks_to_stop(name: str) -> None:
    number = getattr(signal, name)
    before = signal.signal(number, signal.SIG_DFL)  # whatever the tests were started under
    try:
        with StopRequest() as stop, stop.deferred():
            os.kill(os.getpid(), number)
            assert stop.signal == number
            assert stop.interruption(None).exit_code == 75
    finally:
        signal.signal(number, before)


@needs("signals")
def test_under_nohup_a_closed_terminal_is_nothing() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest() as stop, stop.deferred():
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.was_made
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@needs("signals")
def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def ask_twice() -> None:
    with StopRequest() as stop, stop.deferred():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        os._exit(0)


@needs("signals")
def test_the_second_time_ends_the_process() -> None:
    child = multiprocessing.get_context("spawn").Process(target=ask_twice)
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGTERM


@needs("signals")
def test_in_another_thread_it_listens_to_nothing() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def run() -> None:
        with StopRequest() as stop:
            seen.append(stop.was_made)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [False]
    assert signal.getsignal(signal.SIGTERM) == before
