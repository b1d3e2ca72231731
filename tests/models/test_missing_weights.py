from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tests.models.folders import HEAD
from tests.training.fast.models import FAMILIES, model_of
from tunesmith.errors import ModelError, Severity
from tunesmith.models import LoadedModel, load_model, locate
from tunesmith.models.missing_weights import check_body, check_layers

LANGUAGE_HEAD = "AutoModelForMaskedLM"
DECODERS = ("gpt2", "llama", "qwen3")
POOLED = ("bert", "albert", "ernie", "mobilebert", "nomic_bert")
"""Families whose classifier reads a pooler that their masked language models lack."""


def load(folder: Path, *, allow: tuple[str, ...] = (), labels: str = "abc") -> LoadedModel:
    names = dict(enumerate(labels))
    return load_model(locate(str(folder)), HEAD, seed=1, allow_missing=allow, id2label=names)


def without(folder: Path, *names: str) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    for name in names:
        del tensors[name]
    save_file(tensors, path)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family(family: str, tmp_path: Path) -> None:
    """A new head is fine, on every kind of checkpoint; a body that lacks one tensor is refused."""
    source = "AutoModel" if family in DECODERS else LANGUAGE_HEAD
    model = model_of(family, source)
    model.save_pretrained(tmp_path)
    loaded = load(tmp_path)
    body = getattr(loaded.model, loaded.model.base_model_prefix)
    pooler = {name for name, _p in loaded.model.named_parameters() if "pooler" in name.split(".")}
    assert set(loaded.new_weights) >= pooler
    named = {name for name, _parameter in loaded.model.named_parameters()}
    loaded_names = {
        f"{loaded.model.base_model_prefix}.{name}" for name, _p in body.named_parameters()
    }
    shared = {name for name in named if name.startswith("head.")}  # ModernBERT's heads share one
    assert set(loaded.new_weights) == (named - loaded_names - shared) | pooler
    assert [(p.code, p.severity) for p in loaded.warnings] == (
        [("M129", Severity.NOTE)] if family in POOLED else []
    )
    prefix = f"{model.base_model_prefix}."
    stored = load_file(tmp_path / "model.safetensors")
    of_body = sorted(name for name in stored if source == "AutoModel" or name.startswith(prefix))
    lost = of_body[len(of_body) // 2]
    without(tmp_path, lost)
    with pytest.raises(ModelError, match="M124") as caught:
        load(tmp_path)
    if family != "nomic_bert":  # its files have names of their own
        assert f'"{prefix}{lost.removeprefix(prefix)}"' in str(caught.value)
    assert "its weights lack 1 tensor: " in str(caught.value)


def test_what_is_allowed_by_name(tiny_bert: Path, tmp_path: Path) -> None:
    model = model_of("bert", "AutoModel")
    model.save_pretrained(tmp_path)
    lost = [f"encoder.layer.{n}.output.dense.{kind}" for n in (0, 1) for kind in ("weight", "bias")]
    without(tmp_path, *lost)
    for patterns in ((), ("*.layer.0.*",), ("encoder.*",)):
        with pytest.raises(ModelError, match="M124") as caught:
            load(tmp_path, allow=patterns)
        assert "train.allow_missing" in str(caught.value)
        count = 2 if patterns == ("*.layer.0.*",) else 4
        assert f"its weights lack {count} tensors: " in str(caught.value)
    loaded = load(tmp_path, allow=("*.layer.0.output.*", "bert.encoder.layer.1.output.dense.*"))
    (warning,) = loaded.warnings
    assert (warning.code, warning.severity) == ("M127", Severity.WARNING)
    assert "4 tensors outside the head are initialized at random" in warning.message
    assert all(f"bert.{name}" in loaded.new_weights for name in lost)
    again = load(tmp_path, allow=("*",))
    for (name, one), (other, two) in zip(
        loaded.model.named_parameters(), again.model.named_parameters(), strict=True
    ):
        assert name == other and torch.equal(one, two)


def test_shapes_that_differ(tmp_path: Path) -> None:
    model_of("bert", "AutoModel").save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text()) | {"vocab_size": 120}
    path.write_text(json.dumps(config))
    with pytest.raises(ModelError, match="M124") as caught:
        load(tmp_path)
    assert (
        "bert.embeddings.word_embeddings.weight: [100, 32] in the weights, [120, 32] by config.json"
    ) in str(caught.value)


@pytest.mark.parametrize("part", ["classifier.bias", "bert.pooler.dense.weight"])
def test_half_a_layer_is_damage_in_the_head_too(part: str, tmp_path: Path) -> None:
    model_of("bert", num_labels=3).save_pretrained(tmp_path)
    assert load(tmp_path).new_weights == ()
    assert load(tmp_path, labels="ab").new_weights == ("classifier.bias", "classifier.weight")
    without(tmp_path, part)
    with pytest.raises(ModelError, match=f'M124 .*"{part}"'):
        load(tmp_path)
    assert load(tmp_path, allow=(part,)).new_weights == (part,)


def test_a_language_head_that_is_new(tmp_path: Path) -> None:
    """Its bias and the embeddings are shared between layers, which is no damage."""
    model_of("bert", "AutoModel").save_pretrained(tmp_path)
    loaded = load_model(locate(str(tmp_path)), LANGUAGE_HEAD, seed=1)
    assert loaded.warnings == ()
    assert loaded.new_weights
    assert all(name.startswith("cls.predictions") for name in loaded.new_weights)


def test_layers_that_config_leaves_out(tmp_path: Path) -> None:
    model_of("bert", "AutoModel", num_hidden_layers=3).save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text()) | {"num_hidden_layers": 1}
    path.write_text(json.dumps(config))
    (warning,) = load(tmp_path).warnings
    assert (warning.code, warning.severity) == ("M148", Severity.WARNING)
    assert "32 tensors of its weights belong to layers" in warning.message
    assert '"encoder.layer.1.attention.output.LayerNorm.bias"' in warning.message


class Whole(nn.Module):
    """A model that is its own base."""

    base_model_prefix = "model"

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
        self.score = nn.Linear(2, 2)


def test_a_model_without_a_base() -> None:
    head = {"score.weight", "score.bias"}
    assert check_body("x", Whole(), head, shapes={}) == []
    assert check_body("x", Whole(), set(), shapes={}) == []
    body = {f"body.{n}.{kind}" for n in (0, 1) for kind in ("weight", "bias")}
    for new in (head | body, {"body.0.weight"}, {"body.1.weight", "body.1.bias"}):
        with pytest.raises(ModelError, match=f"lack {len(new)} tensors?: "):
            check_body("x", Whole(), new, shapes={})
    # which of two parts is the head cannot be known where both are new
    assert check_layers("x", Whole(), {"body.2.weight"})[0].code == "M148"
    assert check_layers("x", Whole(), {"model.body.2.weight"})[0].code == "M148"
    assert check_layers("x", Whole(), {"tail.2.weight", "score.weight", "x"}) == []


class Single(nn.Module):
    """A model of one part: there is no head next to a body."""

    base_model_prefix = "model"

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(2, 2)


def test_a_model_of_one_part_that_is_new_is_no_head() -> None:
    with pytest.raises(ModelError, match="lack 2 tensors: ") as caught:
        check_body("x", Single(), {"body.weight", "body.bias"}, shapes={})
    assert caught.value.problems[0].evidence == ()


def test_of_many_tensors_five_are_shown() -> None:
    names = [f"body.{n}.{kind}" for n in (0, 1) for kind in ("bias", "weight")]
    new = {*names, "score.weight", "score.bias"}
    shapes = dict.fromkeys([*new, "elsewhere"], ((2, 3), (2, 2)))
    with pytest.raises(ModelError) as caught:
        check_body("x", Whole(), new, shapes=shapes)
    assert caught.value.problems[0].evidence == tuple(
        f"{name}: [2, 3] in the weights, [2, 2] by config.json" for name in [*names, "score.bias"]
    )
    (drawn,) = check_body("x", Whole(), new, shapes=shapes, allowed=("body.*", "score.*"))
    assert (drawn.code, drawn.severity) == ("M127", Severity.WARNING)
    assert drawn.message.startswith("6 tensors outside the head are initialized at random")
