from __future__ import annotations

import errno
import gzip
import zlib
from pathlib import Path

import pyarrow as pa
import pytest

from tunesmith.data.readers.read_errors import coded, reason_of
from tunesmith.errors import DataError, Place, Problem, ResourceError, TunesmithError


def raised(error: Exception, name: str = "a.csv") -> TunesmithError:
    with pytest.raises(TunesmithError) as caught, coded(name, "Parquet"):
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OSError(errno.EIO, "Input/output error"), "D105", "cannot read the file: Input/output"),
        (PermissionError(errno.EACCES, "Permission denied"), "D105", "Permission denied"),
        (EOFError("ended early"), "D132", "cut off or damaged: ended early"),
        (gzip.BadGzipFile("CRC"), "D132", "gzip file is cut off or damaged: CRC"),
        (zlib.error("Error -3"), "D132", "Error -3"),
        (pa.ArrowInvalid("bad thrift\nmore"), "D130", "not a whole Parquet file (? bytes): bad"),
        (OSError("no errno"), "D130", "no errno"),
        (ValueError(""), "D130", "ValueError"),
        (OverflowError("too large"), "D130", "too large"),
        (RecursionError("deep"), "D130", "deep"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_every_exception_has_a_code(error: Exception, code: str, words: str) -> None:
    reported = raised(error)
    (problem,) = reported.problems
    assert isinstance(reported, DataError)
    assert (problem.code, str(problem.place)) == (code, "a.csv")
    assert words in problem.message
    assert "\n" not in problem.message
    assert reported.__cause__ is error


@pytest.mark.parametrize("error", [MemoryError(), pa.ArrowMemoryError("malloc")])
def test_memory_is_a_resource(error: Exception) -> None:
    reported = raised(error)
    assert isinstance(reported, ResourceError)
    assert reported.problems[0].code == "D137"
    assert reported.exit_code == 4


def test_the_size_of_the_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert "(5 bytes)" in str(raised(ValueError("x"), str(tmp_path / "a")))
    assert "(? bytes)" in str(raised(ValueError("x"), "a\0b"))


def test_what_has_a_code_keeps_it_and_others_pass() -> None:
    own = DataError(Problem("D999", "mine", Place("b")))
    assert raised(own) is own
    with pytest.raises(KeyError), coded("a", "text", (OSError,)):
        raise KeyError("not meant")
    with pytest.raises(KeyboardInterrupt), coded("a", "text"):
        raise KeyboardInterrupt
    with coded("a", "text"):
        pass


def test_a_reason_is_one_short_line() -> None:
    assert reason_of(ValueError("  first\nsecond")) == "first"
    assert reason_of(ValueError()) == "ValueError"
    assert len(reason_of(ValueError("x" * 999))) == 200
    assert reason_of(OSError(2, "No such file")) == "No such file"
