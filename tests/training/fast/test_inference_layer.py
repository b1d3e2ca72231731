from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tests.training.fast.models import FAMILIES, batch_of, classify, model_of
from tunesmith.training.fast import inference_layer
from tunesmith.training.fast.engine import FastForward
from tunesmith.training.fast.inference_layer import InferenceLayers
from tunesmith.training.fast.probe import ProbeResult, probe

CPU = torch.device("cpu")
PLAIN = ProbeResult(None, by_length=False, reason="")
MATCHING = ("bert", "roberta", "xlm-roberta", "camembert", "electra", "ernie")
needs_kernels = pytest.mark.skipif(
    not inference_layer.has_kernels(), reason="torch has no oneDNN here"
)


def outputs(
    model: nn.Module,
    batch: Any,
    result: ProbeResult = PLAIN,
    layers: InferenceLayers | None = None,
    *,
    half: bool = False,
) -> torch.Tensor:
    forward = FastForward(model, classify, CPU, probe_result=result, half=half, layers=layers)
    try:
        with torch.inference_mode():
            values = forward.outputs(batch)
    finally:
        forward.close()
    return next(iter(values.tensors().values())).float()


@needs_kernels
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("family", MATCHING)
def test_agrees_with_the_exact_model(family: str, half: bool) -> None:
    for head in ("AutoModelForSequenceClassification", "AutoModelForTokenClassification"):
        per_token = "Token" in head
        model, batch = model_of(family, head), batch_of(per_token=per_token)
        layers = InferenceLayers.of(model, half=half)
        assert layers is not None
        result = probe(model, classify, batch, CPU, trains=False)
        exact = outputs(model, batch)
        values = outputs(model, batch, result, layers, half=half)
        off = (values - exact).abs().max() / exact.abs().max()
        if half:
            theirs = outputs(model, batch, half=True)
            assert 0 < off <= 3 * (theirs - exact).abs().max() / exact.abs().max()
        else:
            assert off < 1e-5
        assert not [module for module in model.modules() if "forward" in vars(module)]


@needs_kernels
@pytest.mark.parametrize("family", sorted(FAMILIES.keys() - set(MATCHING)))
def test_other_families_keep_their_layers(family: str) -> None:
    """ESM has the same names, and a norm before each block."""
    assert InferenceLayers.of(model_of(family), half=False) is None


@needs_kernels
@pytest.mark.parametrize("activation", ["gelu_new", "relu", "silu"])
def test_activations(activation: str) -> None:
    model, batch = model_of("bert", hidden_act=activation), batch_of()
    result = probe(model, classify, batch, CPU, trains=False)
    values = outputs(model, batch, result, InferenceLayers.of(model, half=False))
    torch.testing.assert_close(values, outputs(model, batch), rtol=0, atol=1e-6)


@needs_kernels
def test_long_rows_take_the_models_own_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attention of long rows must keep nothing quadratic."""
    model, batch = model_of("bert"), batch_of((40, 3))
    result = probe(model, classify, batch_of(), CPU, trains=False)
    layers = InferenceLayers.of(model, half=False)
    monkeypatch.setattr(inference_layer, "LONG", 32)
    monkeypatch.setattr(inference_layer._Layer, "_attend", None)
    with pytest.raises(TypeError):
        outputs(model, batch_of(), result, layers)
    monkeypatch.setattr(inference_layer._Layer, "_forward_first", inference_layer._Layer._plain)
    values = outputs(model, batch, result, layers)
    torch.testing.assert_close(values, outputs(model, batch), rtol=0, atol=1e-6)


@needs_kernels
def test_what_is_patched_or_adapted_is_left_alone() -> None:
    model: Any = model_of("bert")
    hook = model.bert.encoder.layer[0].output.dense.register_forward_hook(lambda *_: None)
    layers = InferenceLayers.of(model, half=False)
    assert layers is not None and len(layers.modules) == 6
    hook.remove()
    for layer in model.bert.encoder.layer:
        layer.attention.self.query = nn.Sequential(layer.attention.self.query)
    assert InferenceLayers.of(model, half=False) is None


@needs_kernels
def test_changed_weights_are_noticed() -> None:
    model: Any = model_of("bert")
    layers = InferenceLayers.of(model, half=False)
    assert layers is not None and layers.is_current
    with torch.no_grad():
        model.bert.encoder.layer[1].output.dense.bias.add_(1)
    assert not layers.is_current


@needs_kernels
def test_a_row_without_tokens_goes_through_the_plain_layers() -> None:
    model, batch = model_of("bert"), batch_of()
    result = probe(model, classify, batch, CPU, trains=False)
    batch.inputs["attention_mask"][2] = 0
    values = outputs(model, batch, result, InferenceLayers.of(model, half=False))
    torch.testing.assert_close(values, outputs(model, batch), rtol=0, atol=1e-6)
