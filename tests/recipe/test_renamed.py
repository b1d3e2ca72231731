from __future__ import annotations

import dataclasses

import pytest

from tunesmith.recipe.problems import known_keys
from tunesmith.recipe.renamed import RENAMED

REMOVED_SINCE_4_57 = (
    "evaluation_strategy warmup_ratio group_by_length overwrite_output_dir logging_dir no_cuda "
    "use_mps_device save_safetensors half_precision_backend fp16_backend fp16_opt_level "
    "per_gpu_train_batch_size per_gpu_eval_batch_size adafactor include_inputs_for_metrics "
    "include_tokens_per_second push_to_hub_model_id push_to_hub_organization push_to_hub_token "
    "fsdp_min_num_params fsdp_transformer_layer_cls_to_wrap torchdynamo jit_mode_eval "
    "tpu_num_cores tpu_metrics_debug ray_scope past_index mp_parameters "
    "use_legacy_prediction_loop _n_gpu"
).split()


def test_every_argument_of_transformers_has_an_answer() -> None:
    from transformers import TrainingArguments

    leaves = {key[-1] for key in known_keys()}
    names = {field.name for field in dataclasses.fields(TrainingArguments)}
    assert names - set(RENAMED) - leaves == set()


@pytest.mark.parametrize("name", REMOVED_SINCE_4_57)
def test_every_removed_argument_has_an_answer(name: str) -> None:
    assert RENAMED[name].in_words(name)


def test_every_key_named_exists() -> None:
    for name, renamed in RENAMED.items():
        if renamed.key:
            assert tuple(renamed.key.split(".")) in known_keys(), name


def test_the_remark_tells_the_way_of_a_name() -> None:
    assert RENAMED["evaluation_strategy"].in_words("evaluation_strategy") == (
        "became eval_strategy in transformers; here train.evaluate_every; for example 1 epoch"
    )
