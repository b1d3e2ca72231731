from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.models.folders import loaded
from tunesmith.errors import ModelError
from tunesmith.models import load_tokenizer, locate, try_model


@pytest.fixture
def model(tiny_bert: Path) -> Any:
    return loaded(tiny_bert)


@pytest.fixture(scope="module")
def tokenizer(tiny_bert: Path) -> Any:
    return load_tokenizer(locate(str(tiny_bert)))


@pytest.mark.parametrize("training", [True, False])
def test_nothing_changes(model: Any, tokenizer: Any, training: bool) -> None:
    model.train(training)
    state = torch.random.get_rng_state()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    try_model("tiny", model, tokenizer)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert model.training is training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_tokens_that_the_model_does_not_know(model: Any, tokenizer: Any) -> None:
    size = len(tokenizer)
    model.resize_token_embeddings(size + 1)
    try_model("tiny", model, tokenizer)
    model.resize_token_embeddings(size)
    try_model("tiny", model, tokenizer)
    model.resize_token_embeddings(size - 1)
    with pytest.raises(
        ModelError, match=rf"M147 tiny: .*number {size - 1}, its weights {size - 1}"
    ):
        try_model("tiny", model, tokenizer)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_answers_that_are_no_numbers(model: Any, tokenizer: Any, value: float) -> None:
    with torch.no_grad():
        model.classifier.bias[1] = value
    with pytest.raises(ModelError, match="M126 tiny"):
        try_model("tiny", model, tokenizer)


def test_a_model_that_fails(model: Any, tokenizer: Any) -> None:
    model.bert.embeddings.LayerNorm.eps = "x"
    with pytest.raises(ModelError, match="M125 tiny: it fails at its first text: ") as caught:
        try_model("tiny", model.train(), tokenizer)
    assert "do not belong together" in str(caught.value)
