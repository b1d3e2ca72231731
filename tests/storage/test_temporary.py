from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.capabilities import needs
from tunesmith.storage.temporary import temporary_folder

KILLED = """
import os, sys
from tunesmith.storage.temporary import temporary_folder
with temporary_folder("job") as folder:
    (folder / "a file").touch()
    print(folder, flush=True)
    sys.stdin.read()
    os.kill(os.getpid(), 9)
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def test_it_is_gone_afterwards(tmp_path: Path) -> None:
    with temporary_folder("job") as folder:
        assert folder.parent == tmp_path and folder.name.startswith("tunesmith-job-")
        (folder / "a file").touch()
        with temporary_folder("other") as other:
            assert folder.is_dir() and other.is_dir() and other != folder
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ZeroDivisionError), temporary_folder("job"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@needs("flock", "signals")
def test_what_a_kill_leaves_the_next_one_deletes_and_nothing_else(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None and child.stdout is not None
    theirs = Path(child.stdout.readline().strip())
    (tmp_path / "tunesmith-notes").mkdir()
    (tmp_path / "tunesmith-new-job-1").mkdir()
    with temporary_folder("job"):
        assert theirs.is_dir(), "its process lives"
    child.communicate("")
    assert (theirs / "a file").exists()
    with temporary_folder("job"):
        assert not theirs.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"tunesmith-notes", "tunesmith-new-job-1"}
    os.utime(tmp_path / "tunesmith-new-job-1", (0, time.time() - 4000))
    with temporary_folder("job"):
        assert not (tmp_path / "tunesmith-new-job-1").exists()
