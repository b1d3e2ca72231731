from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from tunesmith.errors import FolderInUseError
from tunesmith.lock import _holder_in_words, hold


def hold_and_wait(folder: Path, ready: object, go: object) -> None:
    with hold(folder):
        ready.set()  # type: ignore[attr-defined]
        go.wait(60)  # type: ignore[attr-defined]


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, go = context.Event(), context.Event()
    child = context.Process(target=hold_and_wait, args=(tmp_path, ready, go))
    child.start()
    assert ready.wait(60)
    with pytest.raises(FolderInUseError) as caught, hold(tmp_path):
        pass
    assert caught.value.exit_code == 5
    assert str(child.pid) in str(caught.value)
    os.kill(child.pid or 0, signal.SIGKILL)  # a lock ends with its process
    child.join(60)
    with hold(tmp_path):
        pass


def test_a_holder_that_cannot_be_read_is_another_process(tmp_path: Path) -> None:
    (tmp_path / ".holder.json").write_text("[")
    assert _holder_in_words(tmp_path / ".holder.json") == "another process"
