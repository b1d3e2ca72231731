"""Whether a run that was disturbed is the undisturbed one, to the bit, with nothing left over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tunesmith.runs.folder import RunFolder
from tunesmith.storage import atomic
from tunesmith.storage.lock import CLAIM, HOLDER, hold

__all__ = ["assert_same", "assert_same_optimizer", "leftovers", "reported", "weights"]


def weights(run_folder: Path) -> str:
    """The sha256 of the weights of its model."""
    return atomic.sha256_of(run_folder / "model" / "model.safetensors")


def reported(run_folder: RunFolder) -> list[dict[str, Any]]:
    """The events that do not depend on the moments of the faults, without their times."""
    times = ("time", "seconds", "train_seconds", "samples_per_second")
    return [
        {key: value for key, value in event.items() if key not in times}
        for event in run_folder.events()
        if event["event"] not in ("saved", "warned")
    ]


def leftovers(folder: Path) -> list[str]:
    """Unfinished files and folders below a folder, and marks of a holder: none is expected."""
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob(".*"))
        if path.name.startswith((".tmp", ".trash", ".old")) or path.name in (HOLDER, CLAIM)
    ]


def assert_same(actual: RunFolder, expected: RunFolder) -> str:
    """Compare all that a run leaves with that of the undisturbed one."""
    assert actual.is_finished and atomic.damage(actual.predictions) is None
    assert weights(actual.path) == weights(expected.path)
    assert reported(actual) == reported(expected)
    assert actual.facts()["scores"] == expected.facts()["scores"]
    odd = [[w for w in one.warnings() if w.startswith("D")] for one in (actual, expected)]
    assert odd[0] == odd[1] != [], odd
    cards = [(one.model / "README.md").read_text() for one in (actual, expected)]
    assert cards[0] == cards[1] and "Data warnings" in cards[0]
    tables = [sorted(path.name for path in one.predictions.iterdir()) for one in (actual, expected)]
    assert tables[0] == tables[1]
    for name in tables[0]:
        both = [(one.predictions / name).read_bytes() for one in (actual, expected)]
        assert both[0] == both[1], name
    assert_same_optimizer(actual, expected)
    assert actual.report.is_file()
    assert leftovers(actual.path) == []
    with hold(actual.path):
        pass
    return "the same bits"


def assert_same_optimizer(actual: RunFolder, expected: RunFolder) -> None:
    """Compare weights and state of the optimizer in all checkpoints that both have."""
    both = [{path.name for path in one.checkpoints.glob("step-*")} for one in (actual, expected)]
    for name in both[0] & both[1]:
        tensors = [_tensors(one.checkpoints / name) for one in (actual, expected)]
        assert tensors[0] == tensors[1] != {}, name


def _tensors(checkpoint: Path) -> dict[str, str]:
    """The hashes of its weights and of the state of its optimizer."""
    files = json.loads((checkpoint / atomic.MANIFEST).read_text())["files"]
    return {name: file["sha256"] for name, file in files.items() if name.endswith(".safetensors")}
