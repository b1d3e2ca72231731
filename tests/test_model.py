from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from tunesmith.errors import ModelError, RecipeError
from tunesmith.model import (
    EMBEDDED,
    ModelFiles,
    freeze,
    load_model,
    load_tokenizer,
    locate,
    longest_input,
    suggest_model,
)

HEAD = "AutoModelForSequenceClassification"


def edited(source: Path, target: Path, **changes: object) -> Path:
    """A copy of a model folder with another config.json; None removes a key."""
    shutil.copytree(source, target)
    config = json.loads((target / "config.json").read_text()) | changes
    config = {key: value for key, value in config.items() if value is not None}
    (target / "config.json").write_text(json.dumps(config))
    return target


def loaded(folder: Path, **settings: object) -> torch.nn.Module:
    return load_model(
        locate(str(folder)),
        HEAD,
        seed=1,
        id2label={0: "a", 1: "b"},
        **settings,  # type: ignore[arg-type]
    ).model


def test_a_local_folder_needs_no_network(tiny_bert: Path) -> None:
    files = locate(str(tiny_bert))
    assert files == ModelFiles(str(tiny_bert), tiny_bert)


def test_a_run_folder_stands_for_its_model(tiny_bert: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_bert, tmp_path / "run" / "model")
    assert locate(str(tmp_path / "run")).folder == tmp_path / "run" / "model"


def test_the_embedded_model_is_there_and_the_same() -> None:
    first = locate(EMBEDDED).folder
    assert locate(EMBEDDED).folder == first
    assert len(load_tokenizer(locate(EMBEDDED))) > 200


@pytest.mark.parametrize(
    ("name", "code"),
    [("./no/such", "M107"), ("embedded:maxi", "M107"), ("model.safetensors.csv", "M107")],
)
def test_names_that_are_nothing(name: str, code: str) -> None:
    with pytest.raises(ModelError, match=code):
        locate(name)


def test_a_missing_folder_names_the_nearest(tiny_bert: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_bert, tmp_path / "my-model")
    with pytest.raises(ModelError, match="my-model"):
        locate(str(tmp_path / "my-modle"))


def test_folders_that_are_no_model(tiny_bert: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="M109"):
        locate(str(tmp_path / "empty"))
    with pytest.raises(ModelError, match="model_type"):
        locate(str(edited(tiny_bert, tmp_path / "untyped", model_type=None)))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    with pytest.raises(ModelError, match="M109"):
        locate(str(tmp_path / "broken"))


def test_pickled_weights_are_never_loaded(tiny_bert: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(tiny_bert, folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="M101") as caught:
        locate(str(folder))
    assert "pytorch_model.bin" in str(caught.value)


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


def test_the_longest_input(tiny_bert: Path, tmp_path: Path) -> None:
    files = locate(str(tiny_bert))
    assert longest_input(files, load_tokenizer(files)) == 64
    roberta = edited(
        tiny_bert, tmp_path / "r", model_type="roberta", max_position_embeddings=50, pad_token_id=1
    )
    files = locate(str(roberta))
    assert longest_input(files, load_tokenizer(files)) == 48


def test_a_tokenizer_neither_cuts_nor_pads_unasked(tiny_bert: Path, tmp_path: Path) -> None:
    folder = tmp_path / "x"
    shutil.copytree(tiny_bert, folder)
    tokenizer = load_tokenizer(locate(str(folder)))
    tokenizer.backend_tokenizer.enable_truncation(4)
    tokenizer.backend_tokenizer.enable_padding(length=9)
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    again = load_tokenizer(locate(str(folder)))
    assert len(again.backend_tokenizer.encode("the printer is broken again").ids) == 7


def test_a_folder_without_a_tokenizer(tiny_bert: Path, tmp_path: Path) -> None:
    folder = tmp_path / "x"
    shutil.copytree(tiny_bert, folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(ModelError, match="M113"):
        load_tokenizer(locate(str(folder)))


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


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        (["打印机又坏了", "你好"], "bert-base-chinese"),
        (["hello there"], "bert-base-uncased"),
        (["hello 你好 and much more text in plain letters"], "bert-base-multilingual-cased"),
        (["привет мир"], "bert-base-multilingual-cased"),
    ],
)
def test_a_model_for_the_language(
    texts: list[str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert suggest_model(texts)[0] == name


def test_offline_with_nothing_cached_the_embedded_one_is_said_aloud() -> None:
    name, why = suggest_model(["hello"])
    assert name == EMBEDDED
    assert "bert-base-uncased" in why
