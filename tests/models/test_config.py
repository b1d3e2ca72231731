from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from tests.models.folders import HEAD, edited, loaded
from tunesmith.errors import ModelError
from tunesmith.models.config import default_padding, make_config, overridden_dropout

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


class Files(NamedTuple):
    """As much of a model's files as a configuration needs."""

    raw: dict[str, Any]
    folder: Path = Path("m")
    name: str = "m"

    def config(self) -> dict[str, Any]:
        return dict(self.raw)


def made(kind: str = "bert", dropout: float | None = None, **fields: object) -> Any:
    files: Any = Files({"model_type": kind, **fields})
    return make_config(files, dropout, {"id2label": {0: "a", 1: "b"}})


@pytest.mark.parametrize(
    "name",
    [
        "attn_implementation", "_attn_implementation", "_attn_implementation_internal",
        "experts_implementation", "_experts_implementation_internal", "quantization_config",
        "compression_config", "auto_map", "trust_remote_code", "custom_generate",
        "custom_pipelines", "fusion_config", "kernel_config", "use_kernels", "use_mamba_kernels",
        "distributed_config", "tp_plan", "tp_size", "device_map", "init_device",
        "transformers_weights", "per_layer_config", "gguf_file", "adapter_kwargs", "peft_config",
        "_anything", "anything", "return_dict", "dtype", "torch_dtype", "output_hidden_states",
        "output_attentions", "torchscript", "problem_type", "name_or_path", "use_return_dict",
        "chunk_size_feed_forward", "transformers_version",
    ],
)  # fmt: skip
def test_fields_that_no_file_may_set(name: str) -> None:
    """They do not even reach the class."""
    assert made(**{name: "evil/kernel"}).to_dict() == made().to_dict()


def test_fields_are_those_of_the_architecture() -> None:
    assert made(hidden_size=48).hidden_size == 48
    assert not hasattr(made(position_buckets=256), "position_buckets")
    # fields that DeBERTa's class does not declare, and its source reads
    deberta = {"position_buckets": 256, "norm_rel_ebd": "layer_norm", "share_att_key": True}
    config = made("deberta-v2", **deberta, evil=1)
    assert {name: getattr(config, name) for name in deberta} == deberta
    assert not hasattr(config, "evil")
    assert made("gpt2", n_embd=24).hidden_size == made("gpt2", hidden_size=24).hidden_size == 24


def test_configurations_within_one_are_cleaned_as_well() -> None:
    inner = {"hidden_size": 48, "attn_implementation": "evil/kernel", "evil": 1}
    config = made("clip", text_config=inner)
    assert config.text_config.hidden_size == 48
    assert config.text_config._attn_implementation != "evil/kernel"
    assert not hasattr(config.text_config, "evil")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"hidden_act": 5}, "hidden_act"),
        ({"layer_norm_eps": "x"}, "layer_norm_eps"),
        ({"tie_word_embeddings": "x"}, "tie_word_embeddings"),
        ({"hidden_size": 2**31}, "hidden_size: 2.15e+09"),
        ({"hidden_size": -(2**31)}, "hidden_size: -2.15e+09"),
        ({"num_hidden_layers": 100_001}, "num_hidden_layers: 1e+05"),
        ({"num_attention_heads": 10**9}, "num_attention_heads: 1e+09"),
        ({"num_labels": 0}, "num_labels: 0"),
        ({"num_labels": 1_000_001}, "num_labels: 1000001"),
        ({"architectures": ["x"] * 1_000_001}, "architectures: 1000001 values"),
        ({"pad_token_id": 30522}, "pad_token_id: 30522, vocab_size: 30522"),
        ({"pad_token_id": 10**9}, "pad_token_id: 1000000000, vocab_size: 30522"),
    ],
)
def test_impossible_values(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=r"M102 m/config\.json: ") as caught:
        made(**fields)
    assert said in str(caught.value)


def test_the_bounds_themselves_are_possible() -> None:
    assert made(num_hidden_layers=100_000).num_hidden_layers == 100_000
    assert made(intermediate_size=2**31 - 1).intermediate_size == 2**31 - 1
    assert made(pad_token_id=30521).pad_token_id == 30521
    files: Any = Files({"model_type": "bert", "num_labels": 1_000_000})
    assert make_config(files, None, {}).num_labels == 1_000_000


@pytest.mark.parametrize(
    ("fields", "padding"),
    [
        ({"pad_token_id": 7, "eos_token_id": 5}, 7),
        ({"pad_token_id": None, "eos_token_id": 5}, 5),
        ({"pad_token_id": -1, "eos_token_id": 5}, 5),
        ({"pad_token_id": None, "eos_token_id": [6, 5]}, 6),
        ({"pad_token_id": None, "eos_token_id": []}, None),
        ({"pad_token_id": None, "eos_token_id": None}, None),
        ({"pad_token_id": 0, "eos_token_id": 5}, 0),
    ],
)
def test_decoders_pad_with_the_end_of_a_text(fields: dict[str, Any], padding: int | None) -> None:
    assert made("llama", **fields).pad_token_id == padding
    written = fields["pad_token_id"]
    raw = {"model_type": "llama", **fields}
    assert default_padding(raw) == (padding if written is None else None)


def test_rates_of_zero_are_overridden_too() -> None:
    """0 is a rate like any other; what is no rate stays."""
    config = {
        "model_type": "bert", "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0,
        "classifier_dropout": None, "use_dropout": True, "dropout_kind": "x",
    }  # fmt: skip
    rates = ("attention_probs_dropout_prob", "classifier_dropout", "hidden_dropout_prob")
    assert overridden_dropout(config, 0.3) == dict.fromkeys(rates, 0.3)
    made_of = made(dropout=0.3, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    assert [getattr(made_of, name) for name in rates] == [0.3] * 3
    assert overridden_dropout({"model_type": "distilbert"}, 0.0) == dict.fromkeys(
        ("attention_dropout", "dropout", "qa_dropout", "seq_classif_dropout"), 0.0
    )
    assert overridden_dropout({"model_type": "gpt2", "mlp_layerdrop": 0}, 0.2) == dict.fromkeys(
        ("attn_pdrop", "embd_pdrop", "mlp_layerdrop", "resid_pdrop", "summary_first_dropout"), 0.2
    )


def test_an_architecture_that_is_near_none_is_named_and_no_other() -> None:
    for kind in ("9" * 101, "9" * 100):
        with pytest.raises(ModelError, match="M102") as caught:
            made(kind)
        (problem,) = caught.value.problems
        assert problem.message == f'the architecture "{"9" * 100}" is not known to transformers'
        assert problem.fix == "Update transformers, or choose another model."
    with pytest.raises(ModelError) as caught:
        made("bertt")
    fix = caught.value.problems[0].fix
    assert fix == 'did you mean "bert"?\nUpdate transformers, or choose another model.'


def test_names_of_labels_come_before_their_number() -> None:
    raw = {"model_type": "bert", "id2label": {"0": "x", "1": "y", "2": "z"}, "num_labels": 1}
    files: Any = Files(raw)
    assert make_config(files, None, {}).id2label == {0: "x", 1: "y", 2: "z"}


def test_settings_come_last() -> None:
    files: Any = Files({"model_type": "bert", "hidden_size": 48, "id2label": {"0": "x"}})
    config = make_config(files, None, {"id2label": {0: "a", 1: "b"}, "hidden_size": 24})
    assert (config.id2label, config.hidden_size) == ({0: "a", 1: "b"}, 24)
    assert files.raw["model_type"] == "bert"
