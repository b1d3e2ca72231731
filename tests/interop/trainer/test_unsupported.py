from __future__ import annotations

from typing import Any

import pytest
import transformers

from tests.interop.trainer.conftest import MakeModel
from tunesmith.errors import ModelError, RecipeError
from tunesmith.interop.trainer.arguments import TrainingArguments
from tunesmith.interop.trainer.unsupported import (
    enabled_parts,
    refuse_contradictions,
    refuse_headless,
    without_data,
    without_metric,
)

GIVEN: dict[str, Any] = dict.fromkeys(
    "model_init train_dataset eval_dataset tokenizer processing_class optimizer lr_scheduler "
    "optimizer_cls_and_kwargs".split()
) | {"model": "a model"}


@pytest.mark.parametrize(
    ("args", "changes", "words"),
    [
        ({}, {"model": None}, "one of model and model_init is needed"),
        ({}, {"model_init": "f"}, "model and model_init exclude each other"),
        ({}, {"tokenizer": "t", "processing_class": "t"}, "exclude each other"),
        ({}, {"optimizer": "o", "optimizer_cls_and_kwargs": "k"}, "exclude each other"),
        ({}, {"model": None, "model_init": "f", "optimizer": "o"}, "exclude each other"),
        ({}, {"lr_scheduler": "s"}, "a scheduler needs the optimizer"),
        ({"eval_strategy": "epoch"}, {}, "eval_strategy=epoch needs an eval_dataset"),
        ({"save_strategy": "best"}, {}, "save_strategy=best needs metric_for_best_model"),
        ({}, {"train_dataset": iter(())}, "a stream of rows needs max_steps"),
    ],
)
def test_contradictions(args: dict[str, Any], changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=f"R135 Trainer: .*{words}") as caught:
        refuse_contradictions(TrainingArguments("out", **args), {**GIVEN, **changes})
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, RuntimeError)


def test_what_fits_together() -> None:
    refuse_contradictions(TrainingArguments("out"), GIVEN)
    refuse_contradictions(TrainingArguments("out"), {**GIVEN, "train_dataset": [1]})
    refuse_contradictions(
        TrainingArguments("out", max_steps=1), {**GIVEN, "train_dataset": iter(())}
    )


def test_a_body_without_a_head(make_model: MakeModel) -> None:
    refuse_headless(make_model())
    with pytest.raises(ModelError, match=r"M131.*BertModel has no head"):
        refuse_headless(make_model(transformers.AutoModel))


def test_what_is_missing() -> None:
    assert "R135 Trainer: there is no test_dataset" in str(without_data("test"))
    assert isinstance(without_metric("eval_f1", {}), KeyError)
    text = str(without_metric("eval_f1", {"eval_loss": 1.0, "eval_accuracy": 0.5}))
    assert "metric_for_best_model is eval_f1, and evaluation gave eval_loss, eval_accuracy" in text


def test_parts_to_enable_are_those_of_the_recipe() -> None:
    assert enabled_parts(["graphs", "varlen"]) == {"graphs", "varlen"}
    assert enabled_parts("graphs") == {"graphs"} and enabled_parts(()) == frozenset()
    with pytest.raises(RecipeError, match='R131 Trainer: there is no part "graph"') as caught:
        enabled_parts(["graph"])
    assert "graphs" in str(caught.value.problems[0].fix)
