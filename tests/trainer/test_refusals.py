from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import transformers

from tests.trainer.conftest import MakeModel
from tunesmith.errors import ModelError, RecipeError
from tunesmith.trainer.arguments import TrainingArguments
from tunesmith.trainer.refusals import (
    refuse_contradictions,
    refuse_epoch_stop,
    refuse_headless,
    refuse_overrides,
    without_data,
    without_metric,
)
from tunesmith.trainer.trainer import Trainer

GIVEN: dict[str, Any] = dict.fromkeys(
    "model_init eval_dataset tokenizer processing_class optimizer lr_scheduler "
    "optimizer_cls_and_kwargs".split()
) | {"model": "a model"}


@pytest.mark.parametrize(
    ("args", "given", "words"),
    [
        ({}, {"model": None}, "one of model and model_init is needed"),
        ({}, {"model_init": "f"}, "model and model_init exclude each other"),
        ({}, {"tokenizer": "t", "processing_class": "t"}, "exclude each other"),
        ({}, {"optimizer": "o", "optimizer_cls_and_kwargs": "k"}, "exclude each other"),
        ({}, {"model": None, "model_init": "f", "optimizer": "o"}, "exclude each other"),
        ({}, {"lr_scheduler": "s"}, "a scheduler needs the optimizer"),
        ({"eval_strategy": "epoch"}, {}, "eval_strategy=epoch needs an eval_dataset"),
        ({"save_strategy": "best"}, {}, "save_strategy=best needs metric_for_best_model"),
    ],
)
def test_contradictions(args: dict[str, Any], given: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=f"R135 Trainer: .*{words}"):
        refuse_contradictions(TrainingArguments("out", **args), {**GIVEN, **given})


def test_what_fits_together() -> None:
    refuse_contradictions(TrainingArguments("out"), GIVEN)


def test_overrides() -> None:
    class Fine(Trainer):
        def compute_loss(self, *_given: Any, **_more: Any) -> Any: ...
        def own_method(self) -> None: ...

    class Lost(Fine):
        def get_train_dataloader(self) -> Any: ...
        def training_step(self) -> None: ...
        def _prepare_inputs(self) -> None: ...

    refuse_overrides(Fine, Trainer)
    with pytest.raises(RecipeError) as caught:
        refuse_overrides(Lost, Trainer)
    told = str(caught.value)
    assert "_prepare_inputs, get_train_dataloader, training_step" in told


def test_a_body_without_a_head(make_model: MakeModel) -> None:
    refuse_headless(make_model())
    with pytest.raises(ModelError, match=r"M131.*BertModel has no head"):
        refuse_headless(make_model(transformers.AutoModel))


def test_an_epoch_is_not_cut_short() -> None:
    refuse_epoch_stop(SimpleNamespace(should_epoch_stop=False))
    with pytest.raises(RecipeError, match=r"R138"):
        refuse_epoch_stop(SimpleNamespace(should_epoch_stop=True))


def test_what_is_missing() -> None:
    assert "R135 Trainer: there is no test_dataset" in str(without_data("test"))
    told = str(without_metric("eval_f1", {"eval_loss": 1.0, "eval_accuracy": 0.5}))
    assert "metric_for_best_model is eval_f1, and evaluation gave eval_loss, eval_accuracy" in told
