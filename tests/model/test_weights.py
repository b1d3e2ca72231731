from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.model.folders import HEAD, edited, loaded
from tunesmith.errors import ModelError, RecipeError
from tunesmith.model import freeze, load_model, locate


def test_a_model_without_such_a_head(tiny_bert: Path, tmp_path: Path) -> None:
    folder = edited(tiny_bert, tmp_path / "x", model_type="clip")
    with pytest.raises(ModelError, match="M114"):
        loaded(folder)


def test_weights_that_are_not_the_models_own(tiny_bert: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    folder = edited(tiny_bert, tmp_path / "x")
    save_file({"other": torch.zeros(2)}, folder / "model.safetensors")
    with pytest.raises(ModelError, match="M115"):
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
