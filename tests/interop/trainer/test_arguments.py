from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers

from tests.recipe.test_renamed import REMOVED_SINCE_4_57
from tunesmith.errors import RecipeError
from tunesmith.interop.trainer.arguments import REMOVED, TrainingArguments

Logged = Callable[[], list[str]]

TAKEN: list[tuple[str, Any, dict[str, Any]]] = [
    ("evaluation_strategy", "epoch", {"eval_strategy": "epoch"}),
    ("warmup_ratio", 0.1, {"warmup_steps": 0.1}),
    ("group_by_length", True, {"train_sampling_strategy": "group_by_length"}),
    ("no_cuda", True, {"use_cpu": True}),
    ("per_gpu_train_batch_size", 4, {"per_device_train_batch_size": 4}),
    ("per_gpu_eval_batch_size", 2, {"per_device_eval_batch_size": 2}),
    ("adafactor", True, {"optim": "adafactor"}),
    ("include_inputs_for_metrics", True, {"include_for_metrics": ["inputs"]}),
    ("include_tokens_per_second", True, {"include_num_input_tokens_seen": "all"}),
    ("push_to_hub_model_id", "name", {"hub_model_id": "name"}),
    ("push_to_hub_organization", "org", {"hub_model_id": "org/"}),
    ("push_to_hub_token", "hf_secret12345", {"hub_token": "hf_secret12345"}),
    ("evaluate_during_training", True, {"eval_strategy": "steps"}),
    ("torchdynamo", "inductor", {"torch_compile_backend": "inductor"}),
    ("logging_dir", "logs", {}),
]
LEFT_OUT: list[tuple[str, Any]] = [
    ("overwrite_output_dir", True),
    ("use_mps_device", True),
    ("use_ipex", True),
    ("half_precision_backend", "cuda_amp"),
    ("fp16_backend", "amp"),
    ("fp16_opt_level", "O2"),
    ("jit_mode_eval", True),
    ("tpu_num_cores", 8),
    ("ray_scope", "all"),
    ("mp_parameters", "x"),
    ("use_legacy_prediction_loop", True),
    ("_n_gpu", 2),
    ("dispatch_batches", True),
]
REFUSED: list[tuple[str, Any]] = [
    ("save_safetensors", False),
    ("half_precision_backend", "apex"),
    ("fp16_backend", "apex"),
    ("past_index", 0),
    ("split_batches", True),
    ("sharded_ddp", "simple"),
]
LATER: list[tuple[str, Any, dict[str, Any]]] = [
    ("fsdp_min_num_params", 5, {"fsdp_config": {"min_num_params": 5}}),
    ("fsdp_transformer_layer_cls_to_wrap", "B",
     {"fsdp_config": {"transformer_layer_cls_to_wrap": "B"}}),
    ("tpu_metrics_debug", True, {"debug": "tpu_metrics_debug"}),
    ("xpu_backend", "ccl", {"ddp_backend": "ccl"}),
]  # fmt: skip
"""Taken here; what they are taken as is up to transformers and to the Trainer."""


@pytest.fixture(autouse=True)
def _no_folder_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", "")
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR")


@pytest.mark.parametrize(("name", "value", "now"), TAKEN, ids=str)
def test_an_old_name_is_taken_as_todays(
    name: str, value: Any, now: dict[str, Any], logged: Logged
) -> None:
    args = TrainingArguments("out", **{name: value})
    plain = transformers.TrainingArguments("out", **now)
    for field in dataclasses.fields(plain):
        assert getattr(args, field.name) == getattr(plain, field.name), field.name
    assert len(logged()) == 1
    assert logged()[0].startswith(f"TrainingArguments: {name} is gone from transformers")
    assert "secret" not in logged()[0]


def test_tensorboards_folder_becomes_a_variable() -> None:
    TrainingArguments("out", logging_dir="logs")
    assert os.environ["TENSORBOARD_LOGGING_DIR"] == "logs"
    TrainingArguments("out", logging_dir="other")
    assert os.environ["TENSORBOARD_LOGGING_DIR"] == "logs"


@pytest.mark.parametrize(("name", "value"), LEFT_OUT)
def test_an_old_name_without_effect_is_noted(name: str, value: Any, logged: Logged) -> None:
    args = TrainingArguments("out", **{name: value})
    assert not hasattr(args, name) or name == "_n_gpu"  # which transformers still counts in
    assert len(logged()) == 1 and f"{name} is gone from transformers and left out" in logged()[0]


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_what_is_not_supported_is_refused(name: str, value: Any) -> None:
    with pytest.raises(RecipeError, match=rf"R131.*{name}=.*is not supported\n  \S"):
        TrainingArguments("out", **{name: value})


@pytest.mark.parametrize(("name", "value", "now"), LATER, ids=str)
def test_parts_of_other_arguments(
    name: str, value: Any, now: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: dict[str, Any] = {}
    monkeypatch.setattr(
        transformers.TrainingArguments,
        "__init__",
        lambda _self, *_args, **more: passed.update(more),
    )
    TrainingArguments("out", **{name: value})
    assert passed == now


def test_every_old_name_is_in_one_of_these_lists() -> None:
    listed = {row[0] for rows in (TAKEN, LEFT_OUT, REFUSED, LATER) for row in rows}
    assert listed == set(REMOVED)
    assert set(REMOVED_SINCE_4_57) <= set(REMOVED)


@pytest.mark.parametrize("name", sorted(REMOVED))
def test_a_default_says_nothing(name: str, logged: Logged) -> None:
    TrainingArguments("out", **{name: REMOVED[name].default})
    assert logged() == []


def test_an_organization_and_a_name_are_joined() -> None:
    named = {"push_to_hub_model_id": "name", "push_to_hub_organization": "org"}
    assert TrainingArguments("out", **named).hub_model_id == "org/name"
    turned = dict(reversed(named.items()))
    assert TrainingArguments("out", **turned).hub_model_id == "org/name"


def test_an_unknown_name_is_reported_with_the_nearest() -> None:
    with pytest.raises(RecipeError) as caught:
        TrainingArguments("out", learning_rat=1e-3, evaluation_stratgy="epoch")
    message = str(caught.value)
    assert 'R130 TrainingArguments: there is no argument "learning_rat"' in message
    assert '"learning_rate"' in message and '"evaluation_strategy"' in message


def test_an_old_name_together_with_the_current_one() -> None:
    with pytest.raises(RecipeError, match=r"R132.*eval_strategy is set twice"):
        TrainingArguments("out", evaluation_strategy="epoch", eval_strategy="steps")


def test_it_is_the_class_of_transformers(tmp_path: Path) -> None:
    args = TrainingArguments(str(tmp_path), evaluation_strategy="epoch", num_train_epochs=2)
    assert isinstance(args, transformers.TrainingArguments)
    assert (args.output_dir, args.logging_steps, args.do_eval) == (str(tmp_path), 500, True)
    again = dataclasses.replace(args, num_train_epochs=5)
    assert (again.num_train_epochs, again.eval_strategy) == (5, args.eval_strategy)
    parsed = transformers.HfArgumentParser(TrainingArguments).parse_args_into_dataclasses(
        ["--output_dir", "x", "--learning_rate", "1e-3"]
    )
    assert parsed[0].learning_rate == 1e-3
