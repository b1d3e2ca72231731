from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from torch import nn

from tunesmith.errors import ResourceError
from tunesmith.runs.disk_space import refuse_small_disk
from tunesmith.runs.folder import RunFolder


@pytest.mark.parametrize(
    ("saved", "frozen", "needed"),
    [
        (0, False, int(1.1 * (4 * 1200 + 400))),  # a checkpoint: weights and two moments
        (0, True, int(1.1 * (4 * 400 + 400))),  # frozen weights have no moments
        (3, False, int(1.1 * (1 * 1200 + 400))),
        (9, False, int(1.1 * 400)),
    ],
)
def test_the_room_that_is_needed(
    saved: int, frozen: bool, needed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = nn.Linear(9, 10)  # a hundred weights of four bytes
    network.requires_grad_(not frozen)
    run = RunFolder(tmp_path)
    for step in range(saved):
        (run.checkpoints / f"step-{step + 1:08d}").mkdir(parents=True)
    usage = shutil.disk_usage(tmp_path)
    asked = []

    def free_bytes(path: Path, free: int) -> object:
        asked.append(path)
        return usage._replace(free=free)

    monkeypatch.setattr(shutil, "disk_usage", lambda path: free_bytes(path, needed))
    refuse_small_disk(run, network, 2)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free_bytes(path, needed - 1))
    with pytest.raises(ResourceError, match="C107") as told:
        refuse_small_disk(run, network, 2)
    assert told.value.exit_code == 4
    assert asked == [tmp_path, tmp_path]
    assert "0.0 GB are needed for checkpoints and model, 0.0 are free" in str(told.value)
