from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.model.folders import HEAD, edited, loaded
from tunesmith.errors import ModelError

CANARY = "import pathlib; pathlib.Path({path!r}).write_text('ran')\n"


def test_no_file_of_a_model_can_bring_code(tiny_bert: Path, tmp_path: Path) -> None:
    """A known architecture loads without what it wants; an unknown one is refused."""
    canary = tmp_path / "canary"
    hostile = {
        "auto_map": {"AutoConfig": "evil.Config", HEAD: "evil.Model"},
        "trust_remote_code": True,
        "custom_generate": "evil",
        "_attn_implementation_internal": "evil/kernel",
        "_attn_implementation": "evil/kernel",
        "quantization_config": {"quant_method": "evil"},
    }
    folder = edited(tiny_bert, tmp_path / "hostile", **hostile)
    (folder / "evil.py").write_text(CANARY.format(path=str(canary)))
    assert loaded(folder).config.model_type == "bert"
    unknown = edited(folder, tmp_path / "unknown", model_type="evil")
    with pytest.raises(ModelError, match="M105"):
        loaded(unknown)
    assert not canary.exists()


def test_an_unknown_architecture_names_the_nearest(tiny_bert: Path, tmp_path: Path) -> None:
    folder = edited(tiny_bert, tmp_path / "x", model_type="bertt")
    with pytest.raises(ModelError, match="M102") as caught:
        loaded(folder)
    assert '"bert"' in str(caught.value)


def test_one_dropout_for_every_rate(tiny_bert: Path) -> None:
    model = loaded(tiny_bert, dropout=0.25)
    rates = {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)}
    assert rates == {0.25}
    rates = {m.p for m in loaded(tiny_bert).modules() if isinstance(m, torch.nn.Dropout)}
    assert rates == {0.1}


@pytest.mark.parametrize(
    ("kind", "small"),
    [
        ("distilbert", {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 16}),
        (
            "electra",
            {
                "hidden_size": 16,
                "embedding_size": 16,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "intermediate_size": 16,
            },
        ),
        ("gpt2", {"n_embd": 16, "n_layer": 1, "n_head": 2}),
    ],
)
def test_dropout_is_overridden_in_other_families(
    kind: str, small: dict[str, int], tmp_path: Path
) -> None:
    from transformers import CONFIG_MAPPING, AutoModelForSequenceClassification

    config = CONFIG_MAPPING[kind](vocab_size=50, pad_token_id=0, **small)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path)
    model = loaded(tmp_path, dropout=0.0).train()
    assert {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)} == {0.0}
    ids = torch.tensor([[1, 2, 3, 4]])
    first, second = (model(input_ids=ids).logits for _pass in range(2))
    assert torch.equal(first, second)
