from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import TrainerState

from tests.trainer.conftest import MakeModel
from tunesmith import checkpoint
from tunesmith.device import make_accelerator
from tunesmith.engine import ExactEngine
from tunesmith.errors import IntegrityError
from tunesmith.loop import Progress
from tunesmith.optim import adamw
from tunesmith.trainer import checkpoints
from tunesmith.trainer.arguments import TrainingArguments


def engine_of(model: Any) -> ExactEngine:
    nothing: Any = None
    return ExactEngine(
        model, nothing, make_accelerator(device="cpu"),
        make_optimizer=lambda: adamw(model, TrainingArguments("out")), max_grad_norm=1.0,
    )  # fmt: skip


def save(home: Path, engine: ExactEngine, step: int, tokenizer: Any = None) -> Path:
    return checkpoints.save(
        home, engine, Progress(step=step), facts={"sums": {}},
        state=TrainerState(global_step=step), processing_class=tokenizer,
    )  # fmt: skip


def test_a_checkpoint_is_a_model_folder_and_more(
    tmp_path: Path, make_model: MakeModel, tokenizer: Any
) -> None:
    engine = engine_of(make_model())
    folder = save(tmp_path, engine, 7, tokenizer)
    loaded = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    for one, two in zip(loaded.parameters(), engine.network.parameters(), strict=True):
        assert torch.equal(one, two)
    assert len(transformers.AutoTokenizer.from_pretrained(folder)) == len(tokenizer)
    found, state = checkpoints.find(tmp_path, True)
    assert found.folder == folder and found.progress.step == state.global_step == 7
    with torch.no_grad():
        engine.network.classifier.bias.add_(1)
    checkpoint.restore(found, engine)
    assert torch.equal(engine.network.classifier.bias, loaded.classifier.bias)
    assert save(tmp_path, engine, 7) == folder  # an older one of the same step is replaced


def test_damage_is_passed_over_or_told(tmp_path: Path, make_model: MakeModel) -> None:
    engine = engine_of(make_model())
    for step in (9, 10):
        save(tmp_path, engine, step)
    (tmp_path / "checkpoint-10" / "state.json").write_text("{}")
    found, _state = checkpoints.find(tmp_path, True)
    assert found.progress.step == 9
    with pytest.raises(IntegrityError, match=r"M130.*checkpoint-10: .*state.json"):
        checkpoints.find(tmp_path, str(tmp_path / "checkpoint-10"))
    with pytest.raises(IntegrityError, match=r"M130.*no whole checkpoint"):
        checkpoints.find(tmp_path / "empty", True)


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
    found = sorted(int(path.name.partition("-")[2]) for path in tmp_path.iterdir())
    assert found == left
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


def test_however_a_folder_is_spelt_the_best_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for step in (1, 2, 3):
        (tmp_path / f"checkpoint-{step}").mkdir()
    checkpoints.keep(tmp_path / "checkpoint-3", limit=2, best="checkpoint-1")
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-1", "checkpoint-3"}
    assert checkpoints.best_of(1, [tmp_path / "gone", tmp_path]) == str(tmp_path / "checkpoint-1")
    assert checkpoints.best_of(2, [tmp_path]) is checkpoints.best_of(None, [tmp_path]) is None
