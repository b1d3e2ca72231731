from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import nn

from tests.trainer.conftest import MakeModel
from tunesmith import hub
from tunesmith.errors import ResourceError
from tunesmith.trainer.arguments import TrainingArguments
from tunesmith.trainer.published import prepare_repository, upload, write, write_card
from tunesmith.trainer.trainer import Trainer


def test_a_plain_folder_without_secrets(
    tmp_path: Path, make_model: MakeModel, tokenizer: Any
) -> None:
    model, args = make_model(), TrainingArguments("out", hub_token="hf_secret12345")
    write(tmp_path / "m", model, tokenizer, args)
    loaded = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "m")
    assert torch.equal(loaded.classifier.weight, model.classifier.weight)
    kept = (tmp_path / "m" / "training_args.json").read_text(encoding="utf-8")
    assert json.loads(kept)["output_dir"] == "out" and "secret" not in kept
    write(tmp_path / "n", nn.Linear(1, 1), None, args)
    assert (tmp_path / "n" / "model.safetensors").is_file()


def test_the_card_holds_the_figures(
    tmp_path: Path, make_model: MakeModel, pairs: Any, tokenizer: Any
) -> None:
    args = TrainingArguments(
        str(tmp_path), max_steps=2, eval_strategy="steps", eval_steps=1, logging_steps=1,
        save_strategy="no",
    )  # fmt: skip
    trainer = Trainer(
        make_model(), args, train_dataset=pairs["train"], eval_dataset=pairs["validation"],
        processing_class=tokenizer,
    )  # fmt: skip
    trainer.train()
    write_card(trainer, {"language": "en"})
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "language:\n- en" in card and "learning_rate: 5e-05" in card
    assert f"{trainer.state.log_history[-2]['eval_loss']:.4f}" in card


class Repository:
    """Stands for the Hub, and remembers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[Any] = []

        def make(name: str, **more: Any) -> str:
            self.asked.append((name, more))
            return f"me/{name}" if "/" not in name else name

        def send(folder: Path, repository: str, **more: Any) -> str:
            self.asked.append((folder, repository, more))
            return f"https://hub/{repository}"

        monkeypatch.setattr(hub, "make_repository", make)
        monkeypatch.setattr(hub, "upload", send)


def test_an_upload_leaves_checkpoints_out(monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Repository(monkeypatch)
    args = TrainingArguments("out/model", hub_token="hf_x", hub_private_repo=True)
    assert upload(args, "words", token=None, revision=None) == "https://hub/me/model"
    (name, made), (folder, full, sent) = repository.asked
    assert (name, made) == ("model", {"token": "hf_x", "private": True})
    assert (folder, full, sent["message"]) == (Path("out/model"), "me/model", "words")
    assert "checkpoint-*" in sent["without"] and sent["token"] == "hf_x"
    named = TrainingArguments("out/model", push_to_hub_organization="org")
    assert prepare_repository(named) == "org/model"


def test_without_a_network_it_is_told_before_training(
    tmp_path: Path, make_model: MakeModel
) -> None:
    with pytest.raises(ResourceError, match=r"M104"):
        Trainer(make_model(), TrainingArguments(str(tmp_path / "m"), push_to_hub=True))
