from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from transformers import EarlyStoppingCallback, TrainerState
from transformers.trainer_callback import TrainerControl

from tunesmith.errors import IntegrityError
from tunesmith.interop.trainer import checkpoints
from tunesmith.interop.trainer.arguments import TrainingArguments
from tunesmith.storage import atomic
from tunesmith.training.device import make_accelerator


class Keeper:
    """A Trainer as far as its checkpoints go."""

    def __init__(self, *callbacks: Any, **args: Any) -> None:
        self.args: Any = TrainingArguments("out", **args)
        self.control: Any = TrainerControl(should_save=True)
        self.callback_handler = SimpleNamespace(callbacks=callbacks)
        self.accelerator = make_accelerator(device="cpu")
        self.state = TrainerState()

    def save(self, home: Path, step: int, content: str = "{}") -> Path:
        self.state.global_step = step
        checkpoints.save(
            self, home, lambda folder: (folder / "config.json").write_text(content) and None
        )
        return home / f"checkpoint-{step}"


def test_a_checkpoint_is_whole_and_holds_the_training_progress(tmp_path: Path) -> None:
    early = EarlyStoppingCallback(3)
    early.early_stopping_patience_counter = 2
    keeper = Keeper(early)
    folder = keeper.save(tmp_path, 7)
    assert checkpoints.newest_whole(tmp_path) == folder
    state = checkpoints.verify(folder)
    assert state.global_step == 7 and state.best_model_checkpoint is None
    remembered = state.stateful_callbacks
    assert set(remembered) == {"EarlyStoppingCallback", "TrainerControl"}  # as transformers writes
    assert remembered["EarlyStoppingCallback"]["attributes"]["early_stopping_patience_counter"] == 2
    keeper.save(tmp_path, 7, "[]")  # an older one of the same step is replaced
    assert (folder / "config.json").read_text() == "[]"


def test_a_checkpoint_knows_the_best(tmp_path: Path) -> None:
    keeper = Keeper(save_total_limit=1)
    keeper.state.best_global_step = 3
    first = keeper.save(tmp_path, 3)
    assert checkpoints.verify(first).best_model_checkpoint == str(first)
    keeper.state.best_model_checkpoint = "where it was before the folder moved"
    second = keeper.save(tmp_path, 4)
    assert checkpoints.verify(second).best_model_checkpoint == str(first) and first.is_dir()
    keeper.state.best_global_step = 9  # which is nowhere
    keeper.save(tmp_path, 5)
    assert keeper.state.best_model_checkpoint == str(first)
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-3", "checkpoint-5"}


def test_only_the_first_process_writes(tmp_path: Path) -> None:
    waited: list[None] = []
    keeper = Keeper()
    keeper.accelerator = cast(
        "Any",
        SimpleNamespace(is_main_process=False, wait_for_everyone=lambda: waited.append(None)),
    )
    keeper.save(tmp_path, 1)
    assert not any(tmp_path.iterdir()) and waited == [None]


def test_damage_is_passed_over_or_told(tmp_path: Path) -> None:
    keeper = Keeper()
    for step in (9, 10):
        keeper.save(tmp_path, step)
    (tmp_path / "checkpoint-10" / "trainer_state.json").write_text("{}")
    assert checkpoints.newest_whole(tmp_path) == tmp_path / "checkpoint-9"
    with pytest.raises(
        IntegrityError, match=r"M130.*checkpoint-10: .*trainer_state.json"
    ) as caught:
        checkpoints.verify(tmp_path / "checkpoint-10")
    assert isinstance(caught.value, ValueError)
    (tmp_path / "checkpoint-9" / "MANIFEST.json").unlink()
    with pytest.raises(IntegrityError, match=r"M130.*no whole checkpoint") as caught:
        checkpoints.newest_whole(tmp_path)
    assert "checkpoint-9: " in str(caught.value) and "checkpoint-10: " in str(caught.value)
    with pytest.raises(IntegrityError, match=r"M130.*no whole checkpoint"):
        checkpoints.newest_whole(tmp_path / "empty")


def test_a_whole_folder_of_something_else(tmp_path: Path) -> None:
    with atomic.publish(tmp_path / "checkpoint-1") as folder:
        (folder / "config.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"M130.*trainer_state.json"):
        checkpoints.verify(tmp_path / "checkpoint-1")


@pytest.mark.parametrize(
    ("limit", "best", "left"),
    [
        (None, None, [1, 2, 3, 10]),
        (2, None, [3, 10]),
        (2, 1, [1, 10]),
        (1, 1, [1, 10]),
        (1, 10, [10]),
        (3, 2, [2, 3, 10]),
    ],
)
def test_the_oldest_go_first(
    tmp_path: Path, limit: int | None, best: int | None, left: list[int]
) -> None:
    for step in (1, 2, 3, 10):
        (tmp_path / f"checkpoint-{step}").mkdir()
    name = None if best is None else str(tmp_path / "." / f"checkpoint-{best}")
    checkpoints.keep(tmp_path / "checkpoint-10", limit=limit, best=name)
    remaining = sorted(int(path.name.partition("-")[2]) for path in tmp_path.iterdir())
    assert remaining == left
    checkpoints.keep_best(tmp_path, tmp_path / f"checkpoint-{left[0]}")
    assert [path.name for path in tmp_path.iterdir()] == [f"checkpoint-{left[0]}"]
    (tmp_path / "new" / "checkpoint-20").mkdir(parents=True)
    checkpoints.keep_best(tmp_path / "new", tmp_path / f"checkpoint-{left[0]}")
    assert (tmp_path / f"checkpoint-{left[0]}").is_dir() and not any((tmp_path / "new").iterdir())


def test_those_of_an_earlier_training_are_older_whatever_their_numbers(tmp_path: Path) -> None:
    for age, step in enumerate((10, 20, 2)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        os.utime(tmp_path / f"checkpoint-{step}", (age, age))
    newest = tmp_path / "checkpoint-2"
    checkpoints.keep(newest, limit=2, best=str(tmp_path / "checkpoint-7"))  # which is gone
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-20", "checkpoint-2"}
    os.utime(newest, (0, 0))  # a clock that went back
    checkpoints.keep(newest, limit=1, best=None)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-2"]


def test_the_oldest_by_time_goes_first_whatever_its_number(tmp_path: Path) -> None:
    for age, step in enumerate((30, 20, 10)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        os.utime(tmp_path / f"checkpoint-{step}", (age, age))
    checkpoints.keep(tmp_path / "checkpoint-10", limit=2, best=None)
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-20", "checkpoint-10"}


def test_however_a_folder_is_spelled_the_best_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for step in (1, 2, 3):
        (tmp_path / f"checkpoint-{step}").mkdir()
    checkpoints.keep(tmp_path / "checkpoint-3", limit=2, best="checkpoint-1")
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-1", "checkpoint-3"}
    assert checkpoints.best_of(1, [tmp_path / "gone", tmp_path]) == str(tmp_path / "checkpoint-1")
    assert checkpoints.best_of(2, [tmp_path]) is checkpoints.best_of(None, [tmp_path]) is None
