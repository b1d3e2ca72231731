from __future__ import annotations

from tunesmith.recipe import Recipe
from tunesmith.recipe.layers import gather
from tunesmith.recipe.presets import DEFAULT_PRESET, PRESET_WORDS, PRESETS


def test_course_is_exactly_what_transformers_defaults_to() -> None:
    from transformers import TrainingArguments

    theirs = TrainingArguments("unused", use_cpu=True)
    ours = gather(sets=["data.train=x"], environment={}).recipe().train
    assert ours.epochs == theirs.num_train_epochs
    assert ours.batch_size == theirs.per_device_train_batch_size
    assert ours.learning_rate == theirs.learning_rate
    assert ours.schedule == theirs.lr_scheduler_type
    assert (ours.warmup, theirs.warmup_steps) == (None, 0)
    assert ours.weight_decay == theirs.weight_decay
    assert ours.adam_beta1 == theirs.adam_beta1
    assert ours.adam_beta2 == theirs.adam_beta2
    assert ours.adam_epsilon == theirs.adam_epsilon
    assert ours.max_grad_norm == theirs.max_grad_norm
    assert ours.seed == theirs.seed
    assert (ours.precision, theirs.bf16, theirs.fp16) == ("fp32", False, False)


def test_every_preset_is_valid_and_explained() -> None:
    assert set(PRESETS) == set(PRESET_WORDS)
    assert DEFAULT_PRESET in PRESETS
    for name in PRESETS:
        assert isinstance(
            gather(sets=["data.train=x", f"preset={name}"], environment={}).recipe(), Recipe
        )
