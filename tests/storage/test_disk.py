from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tunesmith.errors import DataError, Problem, RecipeError, Severity
from tunesmith.storage import disk, notices
from tunesmith.storage.disk import (
    as_path,
    disk_problem,
    is_too_long,
    lacks,
    name_too_long,
    nearest_existing,
    report_missing_feature,
)


def test_the_nearest_existing_folder(tmp_path: Path) -> None:
    assert nearest_existing(tmp_path / "a" / "b") == tmp_path
    assert nearest_existing(tmp_path) == tmp_path


SAYS = {
    errno.ENOSPC: "no space left on the disk",
    errno.EDQUOT: "no space left in your quota of the disk",
    errno.EFBIG: "no space left in this file: it may not grow so large (`ulimit -f`)",
}
REFUSES = [errno.EACCES, errno.EPERM, errno.EROFS]
FAILS = [errno.EIO, errno.ESTALE, errno.ENODEV, errno.EISDIR, errno.ENOTDIR, errno.EEXIST]


@pytest.mark.parametrize("number", [*SAYS, *REFUSES, *FAILS])
def test_every_refusal_of_the_system_is_one_of_the_disk(number: int, tmp_path: Path) -> None:
    target = tmp_path / "not" / "there"
    problem = disk_problem(OSError(number, "whatever it says", str(target)), target)
    assert problem is not None
    assert problem.code == "C107"
    assert problem.place is not None and problem.place.source == str(target)
    expected = SAYS.get(number, f"cannot write here: {os.strerror(number)}")
    assert problem.message == expected
    assert len(problem.evidence) == (number in SAYS)
    assert problem.fix is not None
    assert ("permissions" in problem.fix) == (number in REFUSES)


@pytest.mark.parametrize(
    ("number", "windows", "length", "expected"),
    [
        (errno.ENAMETOOLONG, None, 10, True),
        (errno.ENOENT, None, 300, False),
        (errno.ENOENT, 206, 10, True),  # ERROR_FILENAME_EXCED_RANGE
        (errno.ENOENT, 3, 10, False),  # ERROR_PATH_NOT_FOUND
        (errno.ENOENT, 3, 300, True),  # what Windows says of a long path
        (errno.EACCES, 5, 300, False),
    ],
)
def test_a_path_that_is_too_long_is_known_by_what_each_system_says(
    number: int, windows: int | None, length: int, expected: bool, tmp_path: Path
) -> None:
    error = OSError(number, "whatever it says", str(tmp_path / ("n" * length)))
    if windows is not None:
        error.winerror = windows  # type: ignore[attr-defined]
    assert is_too_long(error) is expected
    problem = disk_problem(error, tmp_path / "x")
    assert (problem is None) is expected  # the command line reports it (R195)


def test_on_windows_the_advice_is_that_of_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = OSError(errno.EACCES, "Permission denied", str(tmp_path))
    advice = {}
    for moves_open_files in (True, False):
        monkeypatch.setattr(disk, "MOVES_OPEN_FILES", moves_open_files)
        problem = disk_problem(refused, tmp_path)
        assert problem is not None
        advice[moves_open_files] = f"{problem.fix} {name_too_long(tmp_path).fix}"
    assert "Close the program" in advice[False] and "LongPathsEnabled" in advice[False]
    assert "Close the program" not in advice[True] and "LongPathsEnabled" not in advice[True]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO])
@pytest.mark.parametrize(
    "words",
    [
        "Error while serializing: I/O error: some words (os error {number})",
        "[Errno {number}] Error writing bytes to file. Detail: [errno {number}] some words",
    ],
)
def test_numbers_in_the_words_of_a_library(words: str, number: int, tmp_path: Path) -> None:
    problem = disk_problem(RuntimeError(words.format(number=number)), tmp_path)
    assert problem == disk_problem(OSError(number, ""), tmp_path)
    assert problem is not None


def test_what_a_library_wraps_in_text_of_its_own(tmp_path: Path) -> None:
    problem = disk_problem(RuntimeError("I/O error: No space left on device"), tmp_path)
    assert problem is not None and "MB are free" in problem.evidence[0]


def test_the_cause_of_an_error_is_looked_at(tmp_path: Path) -> None:
    outer = RuntimeError("could not save")
    outer.__cause__ = OSError(errno.EIO, "bad sector")
    problem = disk_problem(outer, tmp_path)
    assert problem is not None and os.strerror(errno.EIO) in problem.message
    coded = DataError(Problem("D105", "the file is missing"))
    coded.__cause__ = OSError(errno.EIO, "bad sector")
    assert disk_problem(coded, tmp_path) is None  # it is understood already


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        OSError("without a number"),
        OSError(errno.ENAMETOOLONG, "long"),
        OSError(errno.ENOMEM, "memory"),
        BrokenPipeError(errno.EPIPE, "pipe"),
        ConnectionResetError(errno.ECONNRESET, "reset"),
        RuntimeError("[Errno 111] Connection refused"),
        FileNotFoundError(errno.ENOENT, "no such file", "/elsewhere/data.csv"),
    ],
)
def test_other_errors_are_not_the_disks(error: Exception, tmp_path: Path) -> None:
    assert disk_problem(error, tmp_path / "model") is None


def test_a_file_that_vanished_next_to_the_target_is_the_disks(tmp_path: Path) -> None:
    neighbor = FileNotFoundError(errno.ENOENT, "no such file", str(tmp_path / ".tmp-model-1" / "x"))
    assert disk_problem(neighbor, tmp_path / "model") is not None


def test_the_free_space_is_reported_in_megabytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = disk.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _path: usage._replace(free=2_540_000))
    problem = disk_problem(OSError(errno.ENOSPC, "full"), tmp_path / "none")
    assert problem is not None and problem.evidence == ("2.5 MB are free",)


def test_free_space_is_a_courtesy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_path: object) -> None:
        raise OSError(errno.ESTALE, "stale")

    monkeypatch.setattr(disk.shutil, "disk_usage", fail)
    problem = disk_problem(OSError(errno.ENOSPC, "full"), tmp_path)
    assert problem is not None and problem.evidence == ()


def test_home_folders_are_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert as_path("~/runs") == tmp_path / "runs"
    assert as_path(Path("~")) == tmp_path
    assert as_path("a/~b") == Path("a/~b")
    assert as_path("./~x") == Path("~x")


@pytest.mark.parametrize("written", ["~nosuchuser/x", "a\0b"])
def test_a_path_that_cannot_be_is_refused_at_once(written: str) -> None:
    with pytest.raises(RecipeError, match="C136") as caught:
        as_path(written)
    assert caught.value.exit_code == 2


def test_what_a_file_system_lacks_is_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "_known", set())
    notices.take()
    error = OSError(errno.EINVAL, "Invalid argument")
    for _time in range(2):
        report_missing_feature(tmp_path, "locks", "Take care.", error)
    (problem,) = notices.take()
    assert str(problem) == (
        f"warning C124 {tmp_path}: the file system does not support locks: Invalid argument\n"
        "  Take care."
    )
    assert problem.severity is Severity.WARNING


def test_no_room_is_known() -> None:
    for name in ("ENOSPC", "EDQUOT", "EFBIG"):
        assert disk.is_full(OSError(getattr(errno, name), ""))
    assert not disk.is_full(OSError(errno.EIO, ""))


def test_lacking_is_not_failing() -> None:
    for name in ("EINVAL", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "ENOLCK", "EPERM"):
        assert lacks(OSError(getattr(errno, name), ""))
    for name in ("EIO", "ENOSPC", "EROFS", "EACCES", "ENOENT"):
        assert not lacks(OSError(getattr(errno, name), ""))
