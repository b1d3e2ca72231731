from __future__ import annotations

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
from tunesmith.trainer import checkpoints
from tunesmith.trainer.arguments import TrainingArguments
from tunesmith.trainer.engines import own_adamw


def engine_of(model: Any) -> ExactEngine:
    nothing: Any = None
    return ExactEngine(
        model, nothing, make_accelerator(device="cpu"),
        make_optimizer=lambda: own_adamw(model, TrainingArguments("out")), max_grad_norm=1.0,
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
    name = None if best is None else str(tmp_path / f"checkpoint-{best}")
    checkpoints.keep(tmp_path, limit=limit, best=name)
    found = sorted(int(path.name.partition("-")[2]) for path in tmp_path.iterdir())
    assert found == left
    checkpoints.keep_best(tmp_path / f"checkpoint-{left[0]}")
    assert [path.name for path in tmp_path.iterdir()] == [f"checkpoint-{left[0]}"]
