from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from tests.capabilities import needs
from tests.storage.test_atomic import write_two_files
from tunesmith.errors import ResourceError
from tunesmith.storage import atomic, notices, operating_system
from tunesmith.storage.syncing import change_mode, sync_file, sync_folder, umask


def test_the_mask_is_read_and_stays() -> None:
    before = os.umask(0o027)
    try:
        assert umask() == 0o027
        assert umask() == 0o027
    finally:
        os.umask(before)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EIO])
def test_a_disk_that_cannot_sync_is_reported_and_one_that_fails_is_an_error(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.touch()
    change_mode(file, 0o644)
    sync_file(file)
    sync_folder(tmp_path)

    def fail(_descriptor: int) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(notices, "_known", set())
    monkeypatch.setattr(operating_system, "sync", fail)
    notices.take()
    if number == errno.EIO:
        with pytest.raises(OSError, match="no"):
            sync_file(file)
    else:
        sync_file(file)
        assert [problem.code for problem in notices.take()] == ["C124"]


def refuse_some(
    monkeypatch: pytest.MonkeyPatch, name: str, number: int, *, folders: bool | None = None
) -> None:
    """Let an operation of the system fail, if asked only for folders or for files."""
    real = getattr(os, name)

    def refuse(first: object, *others: object, **keywords: object) -> object:
        is_folder = stat.S_ISDIR(
            os.fstat(first).st_mode if isinstance(first, int) else Path(first).stat().st_mode
        )  # type: ignore[arg-type]
        if folders is None or folders == is_folder:
            raise OSError(number, os.strerror(number))
        return real(first, *others, **keywords)

    monkeypatch.setattr(os, name, refuse)


@needs("modes")
@pytest.mark.parametrize(
    ("name", "folders", "what"),
    [
        ("fsync", True, "syncing a folder"),
        ("fsync", False, "syncing a file"),
        ("chmod", None, "changing the mode of a file"),
    ],
)
def test_what_a_file_system_cannot_do_is_done_without_and_reported_once(
    name: str, folders: bool | None, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "_known", set())
    notices.take()
    refuse_some(
        monkeypatch, name, errno.EPERM if name == "chmod" else errno.EINVAL, folders=folders
    )
    for number in range(2):
        with atomic.publish(tmp_path / f"done-{number}") as folder:
            write_two_files(folder)
        assert atomic.damage(tmp_path / f"done-{number}") is None
    (problem,) = notices.take()
    assert problem.code == "C124"
    assert what in problem.message


@needs("modes")
@pytest.mark.parametrize(("name", "folders"), [("fsync", True), ("fsync", False), ("chmod", False)])
def test_what_fails_is_not_done_without(
    name: str, folders: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_some(monkeypatch, name, errno.EIO, folders=folders)
    with pytest.raises(ResourceError, match="C107"), atomic.publish(tmp_path / "done") as folder:
        write_two_files(folder)
    if name == "fsync":
        with pytest.raises(ResourceError, match="C107"):
            atomic.write_file(tmp_path / "file", "x")
