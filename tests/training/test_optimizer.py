from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tunesmith.models import freeze, load_model, locate
from tunesmith.recipe import TrainSettings
from tunesmith.training.optimizer import decays, make_optimizer, read_state, write_state

HEAD = "AutoModelForSequenceClassification"
SMALL: dict[str, dict[str, int]] = {
    "bert": {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
    },
    "roberta": {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
    },
    "distilbert": {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 16},
    "modernbert": {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 16,
    },
    "gpt2": {"n_embd": 16, "n_layer": 1, "n_head": 2},
    "deberta-v2": {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
    },
}


@pytest.mark.parametrize("kind", SMALL)
def test_the_groups_are_those_of_transformers(kind: str, tmp_path: Path) -> None:
    from transformers import (
        CONFIG_MAPPING,
        AutoModelForSequenceClassification,
        Trainer,
        TrainingArguments,
    )

    config = CONFIG_MAPPING[kind](vocab_size=60_000 if kind == "modernbert" else 50, **SMALL[kind])
    model = AutoModelForSequenceClassification.from_config(config)
    arguments = TrainingArguments(str(tmp_path), use_cpu=True)
    theirs = set(Trainer(model=model, args=arguments).get_decay_parameter_names(model))
    ours = {name for name, p in model.named_parameters() if decays(name, p)}
    assert ours == theirs


def test_settings_reach_the_optimizer(tiny_bert: Path) -> None:
    model = load_model(locate(str(tiny_bert)), HEAD, seed=0, num_labels=2).model
    freeze(model, ["embeddings"])
    optimizer = make_optimizer(
        model,
        TrainSettings(weight_decay=0.01, learning_rate=1e-3, adam_beta1=0.8, adam_epsilon=1e-6),
    )
    decayed, spared = optimizer.param_groups
    assert decayed["weight_decay"] == 0.01
    assert spared["weight_decay"] == 0.0
    assert decayed["lr"] == 1e-3
    assert decayed["betas"] == (0.8, 0.999)
    assert decayed["eps"] == 1e-6
    held = sum(p.numel() for group in optimizer.param_groups for p in group["params"])
    assert held == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert isinstance(optimizer, torch.optim.AdamW)


def test_no_tensors_make_an_optimizer_as_new(tiny_bert: Path) -> None:
    model = load_model(locate(str(tiny_bert)), HEAD, seed=0, num_labels=2).model
    optimizer = make_optimizer(model, TrainSettings())
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert read_state(model, optimizer)
    assert write_state(model, optimizer, {}) == []
    assert read_state(model, optimizer) == {}


class Two(torch.nn.Module):
    """Two weights, one of them frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.one = torch.nn.Linear(2, 2)
        self.two = torch.nn.Linear(2, 2)
        self.two.requires_grad_(requires_grad=False)


def test_a_state_is_written_to_the_bit_and_names_of_no_weight_are_reported() -> None:
    model = Two()
    optimizer = make_optimizer(model, TrainSettings())
    for parameter in model.one.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    state = read_state(model, optimizer)
    assert sorted(state) == [
        f"one.{weight}.{part}"
        for weight in ("bias", "weight")
        for part in ("exp_avg", "exp_avg_sq", "step")
    ]
    others = {
        "three.weight.exp_avg": torch.ones(1),  # no such weight
        "two.weight.exp_avg": torch.ones(2, 2),  # frozen
        "exp_avg": torch.ones(1),  # no name at all
    }
    fresh = make_optimizer(model, TrainSettings())
    assert write_state(model, fresh, {**others, **state}) == ["three.weight", "two.weight", ""]
    again = read_state(model, fresh)
    assert sorted(again) == sorted(state)
    for name, tensor in state.items():
        assert torch.equal(again[name], tensor)
        assert again[name].data_ptr() != tensor.data_ptr()
    assert set(fresh.state) == set(model.one.parameters())


def test_an_empty_group_is_left_out() -> None:
    model = Two()
    model.one.bias.requires_grad_(requires_grad=False)
    (group,) = make_optimizer(model, TrainSettings(weight_decay=0.5)).param_groups
    assert group["weight_decay"] == 0.5
    assert len(group["params"]) == 1
    assert group["params"][0] is model.one.weight
