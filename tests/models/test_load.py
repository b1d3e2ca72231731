from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tests.models.folders import HEAD, edited, loaded
from tunesmith.errors import ModelError, RecipeError
from tunesmith.models import freeze, load_model, load_tokenizer, locate, try_model
from tunesmith.models.load import TooLarge, bounded


def test_a_model_without_such_a_head(tiny_bert: Path, tmp_path: Path) -> None:
    folder = edited(tiny_bert, tmp_path / "x", model_type="clip")
    with pytest.raises(ModelError, match="M114"):
        loaded(folder)


def test_weights_that_are_not_the_models_own(tiny_bert: Path, tmp_path: Path) -> None:
    folder = edited(tiny_bert, tmp_path / "x")
    save_file({"other": torch.zeros(2)}, folder / "model.safetensors")
    with pytest.raises(ModelError, match="M124"):
        loaded(folder)
    (folder / "model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(ModelError, match="M115"):
        loaded(folder)


def test_the_head_is_that_of_a_script_that_seeds_first(tiny_bert: Path) -> None:
    """The same head as set_seed(42) and from_pretrained give, so results can be compared."""
    from transformers import AutoModelForSequenceClassification, set_seed

    set_seed(42)
    theirs = AutoModelForSequenceClassification.from_pretrained(tiny_bert, num_labels=3)
    ours = load_model(locate(str(tiny_bert)), HEAD, seed=42, id2label=dict(enumerate("abc")))
    assert ours.new_weights == ("classifier.bias", "classifier.weight")
    for (name, one), (other, two) in zip(
        theirs.named_parameters(), ours.model.named_parameters(), strict=True
    ):
        assert name == other
        assert torch.equal(one, two), name


class Canary:
    """Writes a file as soon as it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> object:
        return Path.write_text, (self.target, "ran")


def test_no_pickle_is_loaded_from_any_slot(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a folder names, only its safetensors are opened as weights."""
    canary = tmp_path / "canary"
    evil = pickle.dumps(Canary(canary))
    folder = edited(tiny_bert, tmp_path / "x", transformers_weights="pytorch_model.bin")
    slots = (
        "pytorch_model.bin", "training_args.bin", "optimizer.pt", "notes.txt", ".metadata",
        "adapter_model.bin", "tf_model.h5", "flax_model.msgpack", "model.ckpt.index", "rng.pth",
        "__0_0.distcp", "model.safetensors.bin",
    )  # fmt: skip
    for slot in slots:
        (folder / slot).write_bytes(evil)

    def explode(*_arguments: object, **_more: object) -> None:
        raise AssertionError("torch.load was called")

    monkeypatch.setattr(torch, "load", explode)
    assert loaded(folder)
    weights = folder / "model.safetensors"
    for name in ("pytorch_model.bin", "notes.txt", "../canary.bin", "__0_0.distcp"):
        index = {"weight_map": {"embeddings.word_embeddings.weight": name}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        assert loaded(folder)  # the single file comes first
        weights.rename(folder / "kept")
        with pytest.raises(ModelError, match="M101"):
            loaded(folder)
        (folder / "kept").rename(weights)
    weights.write_bytes(evil)
    with pytest.raises(ModelError, match="M115"):
        loaded(folder)
    assert not canary.exists()
    pickle.loads(evil)
    assert canary.exists(), "the canary is a live one"


def test_weights_larger_than_they_are(tiny_bert: Path, tmp_path: Path) -> None:
    """What config.json asks for is compared with the weights before memory is taken."""
    values = {
        "vocab_size": 1_000_000_000,
        "hidden_size": 1_000_000,
        "max_position_embeddings": 2_000_000_000,
        "num_hidden_layers": 100_000,
        "intermediate_size": 2_000_000_000,
    }
    for name, value in values.items():
        folder = edited(tiny_bert, tmp_path / name, **{name: value})
        with pytest.raises(ModelError, match=r"M128 .*config.json.*far larger"):
            loaded(folder)


def test_quantized_weights_are_refused(tiny_bert: Path, tmp_path: Path) -> None:
    for kind in (torch.int8, torch.float8_e4m3fn):
        folder = edited(tiny_bert, tmp_path / str(kind), quantization_config={"bits": 8})
        tensors = load_file(folder / "model.safetensors")
        name = "encoder.layer.1.output.dense.weight"
        tensors[name] = tensors[name].to(kind)
        tensors["position_ids"] = torch.arange(9)  # what a model has no place for may be anything
        save_file(tensors, folder / "model.safetensors")
        with pytest.raises(ModelError, match=r"M115 .*encoder.layer.1.output.dense.weight has the"):
            loaded(folder)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_become_float32(tiny_bert: Path, tmp_path: Path, kind: torch.dtype) -> None:
    folder = edited(tiny_bert, tmp_path / "x", dtype="evil")
    mapped = load_file(folder / "model.safetensors")
    tensors = {name: tensor.clone() for name, tensor in mapped.items()}  # the file is written again
    save_file({name: t.to(kind) for name, t in tensors.items()}, folder / "model.safetensors")
    model = loaded(folder)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert not model.training
    assert model.config.name_or_path == str(folder)
    same = tensors["pooler.dense.weight"].to(kind).to(torch.float32)
    assert torch.equal(model.bert.pooler.dense.weight, same)


def test_shards_load_as_one_file_does(tiny_bert: Path, tmp_path: Path) -> None:
    folder = edited(tiny_bert, tmp_path / "x")
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, own in parts.items():
        save_file({name: tensors[name] for name in own}, folder / file)
    index = {"weight_map": {name: file for file, own in parts.items() for name in own}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    for (name, one), two in zip(
        loaded(folder).named_parameters(), loaded(tiny_bert).parameters(), strict=True
    ):
        assert torch.equal(one, two), name
    (folder / "b.safetensors").unlink()
    with pytest.raises(ModelError, match=r"M115 .*b.safetensors is missing"):
        loaded(folder)


def trained(model: torch.nn.Module) -> set[str]:
    return {name for name, p in model.named_parameters() if p.requires_grad}


def test_freezing(tiny_bert: Path) -> None:
    model = loaded(tiny_bert)
    assert freeze(model, ["base"]) == sum(p.numel() for p in model.bert.parameters())
    assert trained(model) == {"classifier.weight", "classifier.bias"}
    model = loaded(tiny_bert)
    freeze(model, ["embeddings", "*.layer.0.*"])
    assert not any("embeddings" in name or ".layer.0." in name for name in trained(model))
    assert any(".layer.1." in name for name in trained(model))
    assert freeze(loaded(tiny_bert), []) == 0


def test_freezing_nothing_or_everything(tiny_bert: Path) -> None:
    with pytest.raises(RecipeError, match="R111"):
        freeze(loaded(tiny_bert), ["*.layers.0.*"])
    with pytest.raises(RecipeError, match="no weight to train"):
        freeze(loaded(tiny_bert), ["*"])


def build(layers: int) -> nn.Module:
    model = nn.ModuleList()
    for _layer in range(layers):
        model.append(nn.Linear(4, 5, bias=False))
    return model


def test_both_bounds_are_exact() -> None:
    with bounded(modules=3, elements=60), torch.device("meta"):
        build(3)
    with pytest.raises(TooLarge, match=r"^more than 2 modules$"), bounded(modules=2, elements=60):
        build(3)
    with pytest.raises(TooLarge, match=r"^more than 59 numbers$"), bounded(modules=3, elements=59):
        build(3)
    with bounded(modules=0, elements=9):
        nn.BatchNorm1d(2)  # two weights, three buffers
    with pytest.raises(TooLarge), bounded(modules=0, elements=8):
        nn.BatchNorm1d(2)
    build(100)  # outside there is no bound


@pytest.fixture
def model(tiny_bert: Path) -> Any:
    return loaded(tiny_bert)


@pytest.fixture(scope="module")
def tokenizer(tiny_bert: Path) -> Any:
    return load_tokenizer(locate(str(tiny_bert)))


@pytest.mark.parametrize("training", [True, False])
def test_a_trial_changes_nothing(model: Any, tokenizer: Any, training: bool) -> None:
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
    with pytest.raises(ModelError, match="M125 tiny: it fails on its first text: ") as caught:
        try_model("tiny", model.train(), tokenizer)
    assert "do not belong together" in str(caught.value)
