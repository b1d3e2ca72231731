from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunesmith.api.train import train
from tunesmith.errors import RecipeError, ResourceError
from tunesmith.runs.trackers import TRACKERS, Trackers, check_trackers


def test_tensorboard_sees_the_same_events(tmp_path: Path, tickets: Path, tiny_bert: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = train(
        str(tickets),
        out=tmp_path / "run",
        model=str(tiny_bert),
        settings={"train.epochs": 1, "train.log_every": 2, "trackers": ["tensorboard"]},
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


class Failing:
    """A tracker that is out of reach."""

    requires_logging_directory = False

    def __init__(self, _name: str, **_given: object) -> None:
        self.calls = 0

    def store_init_configuration(self, _values: object) -> None:
        pass

    def log(self, _values: object, *, step: int) -> None:
        self.calls += 1
        raise ConnectionError(f"step {step} was not taken")

    def finish(self) -> None:
        raise ConnectionError("nobody is there")


class FailingAtTheEnd(Failing):
    def log(self, _values: object, *, step: int) -> None:
        pass


@pytest.mark.parametrize(
    ("kind", "reason"), [(Failing, "step 2 was not taken"), (FailingAtTheEnd, "nobody is there")]
)
def test_a_tracker_that_fails_ends_no_training(
    kind: type[Any],
    reason: str,
    tmp_path: Path,
    tickets: Path,
    tiny_bert: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    monkeypatch.setitem(LOGGER_TYPE_TO_CLASS, "tensorboard", kind)
    run = train(
        str(tickets),
        out=tmp_path / "run",
        model=str(tiny_bert),
        settings={"train.max_steps": 6, "train.log_every": 2, "trackers": ["tensorboard"]},
    )
    assert run.facts["steps"] == 6
    warned = [event for event in run.events() if event["event"] == "warned"]
    assert [event["code"] for event in warned] == ["M118"]
    assert f"ConnectionError: {reason}" in warned[0]["message"]


def test_closing_hides_no_other_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    from tunesmith.training.device import make_accelerator

    monkeypatch.setitem(LOGGER_TYPE_TO_CLASS, "tensorboard", Failing)
    trackers = Trackers(
        ["tensorboard"], make_accelerator(device="cpu"), run="r", folder=tmp_path, settings={}
    )
    (problem,) = trackers.close()
    assert "nobody is there" in problem.message
    assert trackers.close() == []
