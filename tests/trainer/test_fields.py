from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import pytest
import transformers

from tunesmith.errors import RecipeError
from tunesmith.trainer.fields import TREATMENTS, examine, notice, refusal, treatment_of

Told = Callable[[], list[str]]


def test_every_argument_of_the_installed_version_has_its_treatment() -> None:
    names = {field.name for field in dataclasses.fields(transformers.TrainingArguments)}
    assert names <= set(TREATMENTS)


def test_an_argument_that_nobody_knows_is_refused() -> None:
    assert treatment_of("invented_in_transformers_6", True).kind == "refused"


@pytest.mark.parametrize("name", sorted(TREATMENTS))
def test_who_is_left_out_or_refused_is_told_why(name: str) -> None:
    treatment = treatment_of(name, "anything")
    assert (treatment.kind == "done") == (not treatment.words)


def test_defaults_say_nothing(told: Told) -> None:
    examine(transformers.TrainingArguments("out"))
    examine(transformers.TrainingArguments("out", use_cpu=True, eval_strategy="steps"))
    assert told() == []


def test_what_is_done_says_nothing(told: Told) -> None:
    examine(transformers.TrainingArguments(
        "out", num_train_epochs=2, learning_rate=1e-3, seed=1, load_best_model_at_end=True,
        eval_strategy="epoch", save_strategy="epoch", lr_scheduler_type="cosine", optim="sgd",
    ))  # fmt: skip
    assert told() == []


def test_what_is_left_out_is_a_line_each(told: Told) -> None:
    examine(transformers.TrainingArguments(
        "out", use_cpu=True, dataloader_num_workers=2, save_only_model=True,
        train_sampling_strategy="group_by_length",
    ))  # fmt: skip
    assert {line.split(" is left out")[0] for line in told()} == {
        "TrainingArguments: dataloader_num_workers",
        "TrainingArguments: save_only_model",
        "TrainingArguments: train_sampling_strategy",
    }


@pytest.mark.parametrize(
    "more",
    [
        {"dataloader_drop_last": True},
        {"neftune_noise_alpha": 5.0},
        {"train_sampling_strategy": "sequential"},
        {"batch_eval_metrics": True},
        {"lr_scheduler_type": "reduce_lr_on_plateau", "eval_strategy": "epoch"},
    ],
    ids=lambda more: next(iter(more)),
)
def test_what_would_change_the_result_is_refused(more: dict[str, Any]) -> None:
    name = next(iter(more))
    with pytest.raises(RecipeError, match=rf"R131 TrainingArguments: {name}=.*cannot be had\n  \w"):
        examine(transformers.TrainingArguments("out", **more))


def test_all_refusals_at_once() -> None:
    args = transformers.TrainingArguments("out", batch_eval_metrics=True, neftune_noise_alpha=1.0)
    with pytest.raises(RecipeError) as caught:
        examine(args)
    assert len(caught.value.problems) == 2


def test_fields_of_a_subclass_of_transformers_count_and_those_of_a_person_do_not() -> None:
    @dataclasses.dataclass
    class Mine(transformers.TrainingArguments):
        colour: str = "red"

    examine(Mine("out", colour="blue"))
    with pytest.raises(RecipeError, match="predict_with_generate=True"):
        examine(transformers.Seq2SeqTrainingArguments("out", predict_with_generate=True))


def test_only_the_first_process_speaks(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    notice("from the second")
    monkeypatch.setenv("RANK", "0")
    notice("from the first")
    assert told() == ["from the first"]


def test_a_refusal_has_its_place() -> None:
    assert re.match(r"error R131 TrainingArguments: x=1", str(refusal("x=1", "use y")))
