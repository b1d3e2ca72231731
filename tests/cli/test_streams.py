from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.capabilities import needs
from tests.cli.conftest import Command
from tunesmith.cli import main
from tunesmith.cli import streams as cli_streams
from tunesmith.cli.streams import SilencingStream, has_reader, lost_result, shielded
from tunesmith.errors import ModelError, Problem


class Refusing(io.StringIO):
    """A stream that takes some writes and then refuses."""

    def __init__(self, error: Exception, after: int = 0) -> None:
        super().__init__()
        self.error, self.left = error, after

    def write(self, text: str) -> int:
        if not self.left:
            raise self.error
        self.left -= 1
        return super().write(text)


def caused_by(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


ERRORS = [
    BrokenPipeError(errno.EPIPE, "pipe"), OSError(errno.ENOSPC, "full"), OSError(errno.EIO, "io"),
    ValueError("I/O operation on closed file"),
]  # fmt: skip


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_the_first_failure_silences_a_stream(error: Exception) -> None:
    inner = Refusing(error, after=1)
    stream = SilencingStream(inner)
    assert stream.write("one") == 3
    assert stream.loss is None
    assert stream.write("two") == 3
    assert stream.loss is error
    inner.left = 9
    stream.writelines(["three", "four"])
    stream.flush()
    assert inner.getvalue() == "one"
    assert not stream.isatty()


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_a_flush_may_be_the_first_to_fail(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = io.StringIO()

    def fail() -> None:
        raise error

    stream = SilencingStream(inner)
    stream.write("x")
    monkeypatch.setattr(inner, "flush", fail)
    stream.flush()
    assert stream.loss is error


def test_encoding_errors_are_raised() -> None:
    stream = SilencingStream(io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    with pytest.raises(UnicodeEncodeError):
        stream.write("字")
    assert stream.loss is None
    assert stream.encoding == "ascii"


def test_isatty_is_false_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = io.StringIO()
    monkeypatch.setattr(inner, "isatty", lambda: True)
    stream = SilencingStream(inner)
    assert stream.isatty()
    stream.loss = OSError()
    assert not stream.isatty()
    closed = io.StringIO()
    closed.close()
    assert not SilencingStream(closed).isatty()


def test_closed_stream_counts_as_failed() -> None:
    stream = SilencingStream(None)
    assert isinstance(stream.loss, ValueError)
    assert stream.write("abc") == 3
    stream.flush()
    assert not stream.isatty()


@needs("/dev")
def test_streams_are_restored_and_buffers_discarded(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    before = sys.stdout, sys.stderr
    with Path("/dev/full").open("w") as full:
        sys.stdout = full
        try:
            with shielded():
                assert has_reader() and lost_result() is None
                print("x" * 100_000, flush=True)
                assert not has_reader()
                assert isinstance(lost_result(), OSError)
                print("more", flush=True)
            assert sys.stdout is full
            full.flush()  # goes nowhere by now
        finally:
            sys.stdout = before[0]
    assert (sys.stdout, sys.stderr) == before


@pytest.mark.parametrize(
    ("number", "moves_open_files", "is_lost"),
    [
        (errno.EPIPE, True, False),
        (errno.EINVAL, True, True),
        (errno.EINVAL, False, False),  # what Windows says of a closed pipe
        (errno.ENOSPC, False, True),
    ],
)
def test_broken_pipe_is_no_lost_result(
    number: int, moves_open_files: bool, is_lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_streams, "MOVES_OPEN_FILES", moves_open_files)
    monkeypatch.setattr(sys, "stdout", Refusing(OSError(number, "reason")))
    with shielded():
        print("x")
        assert not has_reader()
        assert (lost_result() is not None) is is_lost


def in_a_process(*arguments: str, closed: tuple[int, ...] = (), full: tuple[int, ...] = ()) -> int:
    """The exit code of a command in a forked process whose streams are closed or full."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            for descriptor in (1, 2):
                target = "/dev/full" if descriptor in full else os.devnull
                os.dup2(os.open(target, os.O_WRONLY), descriptor)
            sys.stdout, sys.stderr = (
                io.TextIOWrapper(io.FileIO(n, "w", closefd=False), line_buffering=True)
                for n in (1, 2)
            )
            for descriptor in closed:
                os.close(descriptor)
                if descriptor == 1:
                    sys.stdout = None  # type: ignore[assignment]
                if descriptor == 2:
                    sys.stderr = None  # type: ignore[assignment]
                if descriptor == 0:
                    sys.stdin = None  # type: ignore[assignment]
            code = main(list(arguments))
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@needs("/dev", "fork")
@pytest.mark.parametrize(
    ("streams", "code"),
    [
        ({}, 0), ({"full": (2,)}, 0), ({"closed": (2,)}, 0), ({"closed": (0,)}, 0),
        ({"full": (1,)}, 4), ({"closed": (1,)}, 4), ({"full": (1, 2)}, 4),
        ({"closed": (0, 1, 2)}, 4),
    ],
)  # fmt: skip
def test_exit_code_of_a_lost_result(streams: dict[str, Any], code: int, trained: Path) -> None:
    assert in_a_process("runs", "list", "--root", str(trained.parent), **streams) == code
    assert in_a_process("--help", **streams) == code


@needs("/dev", "fork")
def test_an_error_keeps_its_exit_code(tmp_path: Path) -> None:
    for streams in ({"full": (1, 2)}, {"closed": (1, 2)}):
        assert in_a_process("runs", "show", str(tmp_path / "none"), **streams) == 2


@needs("/dev", "fork")
def test_a_finished_run_does_not_need_a_reader(trained: Path) -> None:
    """Its result is a folder."""
    recipe = str(trained / "recipe.yaml")
    for streams in ({"full": (1, 2)}, {"closed": (0, 1, 2)}):
        assert in_a_process("train", recipe, "--out", str(trained), **streams) == 0


def test_predict_stops_when_the_pipe_is_closed(
    tunesmith: Command, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Refusing(BrokenPipeError(errno.EPIPE, "pipe"), after=2)
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["predict", str(trained), *"abcdef"]) == 0
    assert stream.left == 0
    assert stream.getvalue().count("\n") == 1


@pytest.mark.parametrize("name", ["RANK", "WORLD_SIZE", "LOCAL_RANK"])
def test_invalid_environment_is_reported(
    name: str, tunesmith: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "x")
    output = tunesmith("runs", "list", "--json")
    assert output.code == 2
    assert f'error C139: the environment has {name}="x"' in output.err
    assert output.records[0]["code"] == "C139"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (
            OSError(errno.EIO, "Input/output error", "x.json"),
            4,
            "error C107 x.json: operating system error",
        ),
        (OSError(errno.ENAMETOOLONG, "long", "n" * 300), 2, "error R195 nnn"),
        (MemoryError(), 4, "error M111: out of memory"),
        (caused_by(ModelError(Problem("M109", "bad")), MemoryError()), 4, "error M111: out of"),
        (caused_by(ModelError(Problem("M109", "bad")), ValueError()), 2, "error M109: bad"),
        (ZeroDivisionError("division by zero"), 70, "error M000: a bug in tunesmith: ZeroDivision"),
    ],
)
def test_system_errors(
    error: Exception, code: int, words: str, tunesmith: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_root: object) -> None:
        raise error

    monkeypatch.setattr("tunesmith.cli.commands.runs.runs_under", fail)
    output = tunesmith("runs", "list")
    assert output.code == code
    assert words in output.err


ENDING = """
import ctypes, sys
native = ctypes.CDLL(None)
native.on_exit(native.abort, None)  # as the destructor of a library does whose thread still runs
sys.argv = ["tunesmith", *{arguments!r}]
from tunesmith.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), (["runs", "show", "none"], 2)])
def test_native_destructors_do_not_change_the_exit_code(
    arguments: list[str], code: int, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", ENDING.format(arguments=arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == code
    assert ("Usage:" in done.stdout) == (code == 0)
    assert ("error C113" in done.stderr) == (code == 2)
