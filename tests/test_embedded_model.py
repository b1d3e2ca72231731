from __future__ import annotations

import subprocess
import sys

import pytest
from safetensors import safe_open

from tunesmith.errors import ModelError
from tunesmith.models.embedded import embedded_folder
from tunesmith.storage.atomic import damage, sha256_of

WITHOUT_US = """
import sys
sys.modules["tunesmith"] = None
import torch
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer
folder = sys.argv[1]
tokenizer = AutoTokenizer.from_pretrained(folder)
encoder = AutoModel.from_pretrained(folder)
head = AutoModelForSequenceClassification
classifier = head.from_pretrained(folder, num_labels=2)
batch = tokenizer(["the soup was cold", "汤是凉的"], padding=True, return_tensors="pt")
assert encoder.dtype == classifier.dtype == torch.float32  # though the file holds float16
assert encoder(**batch).last_hidden_state.shape[-1] == 192
assert classifier(**batch).logits.shape == (2, 2)
assert tokenizer.unk_token_id not in batch["input_ids"]
"""


def test_mini_is_a_plain_small_bert() -> None:
    folder = embedded_folder("embedded:mini")
    assert (folder / "model.safetensors").stat().st_size <= 10_000_000
    with safe_open(folder / "model.safetensors", "pt") as weights:
        assert {str(weights.get_slice(name).get_dtype()) for name in weights.keys()} == {"F16"}  # noqa: SIM118
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "demonstration and test model" in card and "{" not in card


def test_transformers_alone_loads_it() -> None:
    arguments = [sys.executable, "-W", "error", "-c", WITHOUT_US]
    done = subprocess.run([*arguments, str(embedded_folder("embedded:mini"))], check=False)
    assert done.returncode == 0


def test_the_untrained_one_made_twice_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = []
    for _time in range(2):
        monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path_factory.mktemp("cache")))
        folder = embedded_folder("embedded:mini-untrained")
        assert damage(folder) is None
        digests.append([sha256_of(folder / n) for n in ("model.safetensors", "tokenizer.json")])
    assert digests[0] == digests[1]


def test_damaged_copy_is_replaced(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path_factory.mktemp("cache")))
    folder = embedded_folder("embedded:mini-untrained")
    (folder / "model.safetensors").write_bytes(b"")
    assert damage(embedded_folder("embedded:mini-untrained")) is None


def test_a_wrong_name_lists_the_right_ones() -> None:
    with pytest.raises(ModelError, match="embedded:mini, embedded:mini-untrained") as caught:
        embedded_folder("embedded:minni")
    assert 'Did you mean "embedded:mini"?' in str(caught.value)
