from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import pytest
import transformers

from tunesmith.errors import RecipeError
from tunesmith.interop.trainer.support import (
    TREATMENTS,
    examine,
    left_to_transformers,
    notice,
    refusal,
    treatment_of,
)

Logged = Callable[[], list[str]]


def test_every_argument_of_the_installed_version_has_its_treatment() -> None:
    names = {field.name for field in dataclasses.fields(transformers.TrainingArguments)}
    assert names <= set(TREATMENTS)


def test_an_unknown_argument_is_refused() -> None:
    assert treatment_of("invented_in_transformers_6", True).kind == "refused"


@pytest.mark.parametrize("name", sorted(TREATMENTS))
def test_arguments_left_out_or_refused_are_reported_with_a_reason(name: str) -> None:
    treatment = treatment_of(name, "anything")
    assert (treatment.kind in {"done", "transformers"}) == (not treatment.words)


def test_defaults_say_nothing(logged: Logged) -> None:
    examine(transformers.TrainingArguments("out"))
    examine(transformers.TrainingArguments("out", use_cpu=True, eval_strategy="steps"))
    assert logged() == []


def test_what_is_done_says_nothing(logged: Logged) -> None:
    examine(transformers.TrainingArguments(
        "out", num_train_epochs=2, learning_rate=1e-3, seed=1, load_best_model_at_end=True,
        eval_strategy="epoch", save_strategy="epoch", lr_scheduler_type="cosine", optim="sgd",
    ))  # fmt: skip
    assert logged() == []


def test_what_is_left_out_is_a_line_each(logged: Logged) -> None:
    examine(transformers.TrainingArguments(
        "out", use_cpu=True, dataloader_num_workers=2, save_only_model=True,
    ))  # fmt: skip
    assert {line.split(" is left out")[0] for line in logged()} == {
        "TrainingArguments: dataloader_num_workers",
        "TrainingArguments: save_only_model",
    }


@pytest.mark.parametrize(
    "more",
    [
        {"dataloader_drop_last": True},
        {"neftune_noise_alpha": 5.0},
        {"train_sampling_strategy": "sequential"},
        {"accelerator_config": {"split_batches": True}},
        {"debug": "underflow_overflow"},
        {"lr_scheduler_type": "greedy", "eval_strategy": "epoch"},
        {"lr_scheduler_type": "reduce_lr_on_plateau", "eval_strategy": "epoch"},
    ],
    ids=lambda more: next(iter(more)),
)
def test_what_makes_other_steps_is_left_to_transformers(
    more: dict[str, Any], logged: Logged
) -> None:
    args = transformers.TrainingArguments("out", **more)
    examine(args)
    assert left_to_transformers(args) == [next(iter(more))] and logged() == []


def test_all_refusals_at_once_and_as_a_value_error() -> None:
    args = transformers.TrainingArguments("out")
    args.enable_jit_checkpoint, args.deepspeed = True, {"stage": 3}
    with pytest.raises(
        ValueError, match=r"R131 TrainingArguments: \w+=.*is not supported\n  \w"
    ) as caught:
        examine(args)
    assert isinstance(caught.value, RecipeError)
    assert [str(problem).split("=")[0] for problem in caught.value.problems] == [
        "error R131 TrainingArguments: enable_jit_checkpoint",
        "error R131 TrainingArguments: deepspeed",
    ]


def test_fields_of_a_subclass_of_transformers_count_and_those_of_a_user_do_not() -> None:
    @dataclasses.dataclass
    class Mine(transformers.TrainingArguments):
        color: str = "red"

    examine(Mine("out", color="blue"))
    generating = transformers.Seq2SeqTrainingArguments("out", predict_with_generate=True)
    with pytest.raises(RecipeError, match="predict_with_generate=True"):
        examine(generating)
    examine(generating, generates=True)


def test_only_the_first_process_speaks(logged: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    notice("from the second")
    monkeypatch.setenv("RANK", "0")
    notice("from the first")
    assert logged() == ["from the first"]


def test_a_refusal_has_its_place() -> None:
    assert re.match(r"error R131 TrainingArguments: x=1", str(refusal("x=1", "use y")))
