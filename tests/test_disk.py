from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tunesmith.disk import disk_problem, nearest_existing


def test_the_nearest_existing_folder(tmp_path: Path) -> None:
    assert nearest_existing(tmp_path / "a" / "b") == tmp_path
    assert nearest_existing(tmp_path) == tmp_path


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EDQUOT, "no space left"),
        (errno.EFBIG, "no space left"),
        (errno.EACCES, "cannot write here"),
        (errno.EROFS, "cannot write here"),
    ],
)
def test_what_the_system_says_in_words(number: int, says: str, tmp_path: Path) -> None:
    problem = disk_problem(OSError(number, os.strerror(number)), tmp_path / "not" / "there")
    assert problem is not None and problem.code == "C107"
    assert says in problem.message


def test_what_a_library_wraps_in_words_of_its_own(tmp_path: Path) -> None:
    problem = disk_problem(RuntimeError("I/O error: No space left on device"), tmp_path)
    assert problem is not None and "MB are free" in problem.evidence[0]


def test_other_errors_are_not_the_disks(tmp_path: Path) -> None:
    assert disk_problem(OSError(errno.ENOENT, "no such file"), tmp_path) is None
    assert disk_problem(ValueError("no"), tmp_path) is None
