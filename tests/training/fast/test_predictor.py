from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tunesmith.data.batches import Examples, Padding
from tunesmith.data.columns import Roles
from tunesmith.data.encoded import hold_in_memory
from tunesmith.data.rows import Row
from tunesmith.inference.load import _PARTS
from tunesmith.models import load_tokenizer, locate
from tunesmith.tasks.text_classification import TextClassification
from tunesmith.training.device import make_accelerator
from tunesmith.training.fast import inference_layer
from tunesmith.training.fast.predictor import Predictor
from tunesmith.training.predict import predict

TEXTS = ["the soup", "the rice is good", "the printer is broken again", "good", "the soup is bad"]
MANY = TEXTS * 7
needs_kernels = pytest.mark.skipif(
    not inference_layer.has_kernels(), reason="torch has no oneDNN here"
)


class Setting:
    """A tiny model and its task, as `load` puts them together."""

    def __init__(self, folder: Path) -> None:
        files = locate(str(folder))
        self.tokenizer = load_tokenizer(files)
        self.task = TextClassification(Roles("text", None, "label"), labels=("a", "b"))
        self.network = self.task.build(files, seed=0, dropout=None).model
        with torch.no_grad():  # so that rows differ by more than rounding
            for module in self.network.modules():
                if isinstance(module, nn.Linear | nn.Embedding):
                    module.weight.mul_(10)
        self.accelerator = make_accelerator(device="cpu")

    def predictor(self, *disabled: str, precision: str = "fp32") -> Predictor:
        return Predictor(self.network, self.task, self.accelerator, precision, frozenset(disabled))

    def examples(self, texts: list[str]) -> Examples:
        rows = [Row(i, {"text": text}) for i, text in enumerate(texts)]
        encoded = self.task.encode(rows, self.tokenizer, 64, labeled=False)
        return Examples(hold_in_memory(encoded))

    def logits(self, predictor: Predictor, texts: list[str]) -> np.ndarray:
        examples, padding = self.examples(texts), Padding.of(self.tokenizer)
        with predictor.patched(examples, padding) as forward:
            result = predict(forward, self.task, examples, padding, accelerator=self.accelerator)
        return result.predictions["logits"]


@pytest.fixture
def setting(tiny_bert: Path) -> Setting:
    return Setting(tiny_bert)


def test_few_rows_are_computed_as_the_model_is(setting: Setting) -> None:
    predictor = setting.predictor()
    few = setting.logits(predictor, TEXTS[:3])
    assert predictor._probe_result is None
    many = setting.logits(predictor, MANY)
    assert predictor._probe_result is not None and predictor._probe_result.exit is not None
    np.testing.assert_allclose(many[:3], few, atol=1e-6)
    np.testing.assert_allclose(setting.logits(predictor, TEXTS[:1]), few[:1], atol=1e-6)


def test_rows_of_one_length_prove_nothing_for_others(setting: Setting) -> None:
    predictor = setting.predictor()
    for _call in range(2):
        setting.logits(predictor, ["the soup", "the rice"] * 17)
        assert predictor._probe_result is None
    setting.logits(predictor, TEXTS)
    assert predictor._probe_result is not None


def test_the_model_is_left_plain(setting: Setting) -> None:
    setting.logits(setting.predictor(), MANY)
    assert not [module for module in setting.network.modules() if "forward" in vars(module)]
    assert setting.network.config._attn_implementation != "tunesmith_packed"  # type: ignore[union-attr]


@needs_kernels
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_layers_are_packed_once_and_again_when_weights_change(
    setting: Setting, precision: str
) -> None:
    predictor = setting.predictor(precision=precision)
    before = setting.logits(predictor, MANY)
    layers = predictor._layers
    assert layers is not None
    setting.logits(predictor, TEXTS)
    assert predictor._layers is layers
    with torch.no_grad():
        for parameter in setting.network.base_model.encoder.parameters():  # type: ignore[union-attr]
            parameter.mul_(0.5)
    after = setting.logits(predictor, MANY)
    assert predictor._layers is not layers
    plain = setting.logits(setting.predictor("layers", precision=precision), MANY)
    tolerance = 1e-6 if precision == "fp32" else 0.02 * np.abs(plain).max()
    np.testing.assert_allclose(after, plain, atol=tolerance)
    assert np.abs(after - before).max() > tolerance


@needs_kernels
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_layers_that_compute_something_else_are_not_used(
    setting: Setting, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = inference_layer._Layer._behind

    def wrong(layer: Any, rows: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        is_wrong = precision == "fp32" or layer._kind == torch.bfloat16
        return right(layer, rows, attended * (1 + 0.5 * is_wrong))

    monkeypatch.setattr(inference_layer._Layer, "_behind", wrong)
    predictor = setting.predictor(precision=precision)
    setting.logits(predictor, MANY)
    assert predictor._probe_result is not None and predictor._layers is None


@needs_kernels
def test_each_part_can_be_left_out(setting: Setting) -> None:
    expected = setting.logits(setting.predictor(), MANY)
    for part in _PARTS:
        predictor = setting.predictor(part)
        np.testing.assert_allclose(setting.logits(predictor, MANY), expected, atol=1e-6)
        assert (predictor._layers is None) == (part in ("layers", "packing"))
        result = predictor._probe_result
        assert result is not None
        cut = {"packing": None, "last_layer": "first token"}
        assert result.exit == cut.get(part, "first token, last layer cut")
