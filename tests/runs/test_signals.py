from __future__ import annotations

import os
import random
import signal
import threading
import time
from contextlib import suppress

import pytest

from tests.capabilities import needs
from tests.runs.children import in_child
from tunesmith.errors import Interrupted, ModelError
from tunesmith.runs.signals import StopNow, StopRequest


@needs("signals")
def test_outside_steps_it_stops_at_once() -> None:
    with pytest.raises(Interrupted) as caught, StopRequest():
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("not stopped")
    assert caught.value.exit_code == 75


@needs("signals")
def test_code_around_may_take_it_for_an_error_of_its_own() -> None:
    with pytest.raises(Interrupted), StopRequest():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except Exception as error:
            raise ModelError.of("M102", "no model can be built") from error


@needs("signals")
def test_an_error_after_it_stays_an_error() -> None:
    with pytest.raises(ModelError), StopRequest():
        with suppress(BaseException):
            os.kill(os.getpid(), signal.SIGTERM)
        raise ModelError.of("M102", "no model can be built")


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
@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGUSR2", "SIGHUP", "SIGQUIT", "SIGXCPU"])
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


def interrupt(*pauses: float) -> None:
    """Ctrl-C, and again after each pause; ends with 0 if the process is still there."""
    with StopRequest() as stop, stop.deferred():
        os.kill(os.getpid(), signal.SIGINT)
        for pause in pauses:
            time.sleep(pause)
            os.kill(os.getpid(), signal.SIGINT)
        os._exit(0)


@needs("signals")
def test_a_second_ctrl_c_ends_the_process() -> None:
    assert in_child(interrupt, 0.2) == -signal.SIGINT


@needs("signals")
@pytest.mark.parametrize("variable", ["TORCHELASTIC_RUN_ID", "SLURM_PROCID"])
def test_a_launcher_may_repeat_it(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "1")
    monkeypatch.setattr("tunesmith.runs.signals.end_with_parent", lambda: None)
    with StopRequest() as stop, stop.deferred():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.15)
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.interruption(None).exit_code == 130


@needs("signals")
@pytest.mark.parametrize("seed", range(20))
def test_any_sequence_of_signals_is_one_request(seed: int) -> None:
    """They may come at any time, and end with the code of the most that is requested."""
    draw = random.Random(seed)
    names = ["SIGTERM", "SIGUSR1", "SIGUSR2", "SIGINT", "SIGQUIT", "SIGXCPU"]
    numbers = [getattr(signal, draw.choice(names)) for _time in range(draw.randint(1, 12))]
    with StopRequest() as stop, stop.deferred():
        for number in numbers:
            os.kill(os.getpid(), number)
        by_keyboard = set(numbers) == {signal.SIGINT}
        assert stop.interruption(None).exit_code == (130 if by_keyboard else 75)


@needs("signals")
def test_after_it_stopped_at_once_a_repetition_changes_nothing() -> None:
    with StopRequest() as stop:
        with pytest.raises(StopNow):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.was_made


@needs("signals")
def test_code_that_tries_something_does_not_keep_it() -> None:
    """Such as loading what may be missing, whatever is wrong with it."""
    with pytest.raises(Interrupted) as caught, StopRequest():
        with suppress(Exception):
            os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("it went on")
    assert caught.value.exit_code == 75


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
