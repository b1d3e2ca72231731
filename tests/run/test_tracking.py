from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.api import train
from tunesmith.errors import RecipeError, ResourceError
from tunesmith.run.tracking import TRACKERS, check_trackers


def test_tensorboard_sees_the_same_events(tmp_path: Path, tickets: Path, tiny_bert: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = train(
        str(tickets),
        out=tmp_path / "run",
        model=str(tiny_bert),
        settings={"train.epochs": 1, "train.log_every": 2, "track": ["tensorboard"]},
    )
    (folder,) = (tmp_path / "run" / "trackers" / "tensorboard").iterdir()
    seen = EventAccumulator(str(folder))
    seen.Reload()
    losses = {event.step: event.value for event in seen.Scalars("train/loss")}
    ours = {e["step"]: e["loss"] for e in run.events() if e["event"] == "step"}
    assert losses == pytest.approx(ours)
    (score,) = seen.Scalars("validation/accuracy")
    assert score.value == pytest.approx(run.scores["accuracy"])


def test_unknown_and_missing_trackers_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match='did you mean "tensorboard"'):
        check_trackers(["tensorbord"])
    monkeypatch.setitem(TRACKERS, "wandb", "no_such_package_here")
    with pytest.raises(ResourceError, match="pip install") as caught:
        check_trackers(["wandb"])
    assert caught.value.exit_code == 4
    check_trackers([])
