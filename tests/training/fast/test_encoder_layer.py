from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tests.training.fast.models import model_of
from tunesmith.training.fast.encoder_layer import layers_of

FAMILIES = ["bert", "roberta", "xlm-roberta", "camembert", "electra", "ernie"]


def wide(family: str, **more: Any) -> Any:
    """A model whose heads are as wide as kernels need."""
    return model_of(family, **{"num_attention_heads": 2, **more})


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_like_those_of_bert_are_recognized(family: str) -> None:
    layers = layers_of(wide(family))
    assert len(layers) == 2
    assert layers[0].heads == 2
    assert layers[0].scale == pytest.approx(16**-0.5)
    assert len({id(parameter) for layer in layers for parameter in layer.parameters}) == 32


@pytest.mark.parametrize(
    "family", ["albert", "distilbert", "modernbert", "gpt2", "llama", "mpnet", "mobilebert"]
)
def test_other_layers_are_not(family: str) -> None:
    assert layers_of(model_of(family)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "relu"}, {"hidden_act": "gelu_new"}, {"num_attention_heads": 4},
        {"is_decoder": True}, {"chunk_size_feed_forward": 4},
    ],
)  # fmt: skip
def test_what_computes_something_else_is_left_alone(change: dict[str, Any]) -> None:
    assert layers_of(wide("bert", **change)) == []


def test_parts_that_are_watched_or_replaced_are_left_alone() -> None:
    model = wide("bert")
    part = model.bert.encoder.layer[1].attention.self
    handle = part.query.register_forward_hook(lambda *_: None)
    assert layers_of(model) == []
    handle.remove()
    assert layers_of(model)
    part.query = nn.Sequential(part.query)
    assert layers_of(model) == []
    assert layers_of(wide("bert").to(torch.float64)) == []


def test_a_part_with_a_forward_of_its_own_is_left_alone() -> None:
    model = wide("bert")
    part = model.bert.encoder.layer[0].output.dense
    part.forward = lambda values: values
    assert layers_of(model) == []
