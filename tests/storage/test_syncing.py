from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tunesmith.storage import notices, operating_system
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
