from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import nn

from tests.interop.trainer.conftest import MakeModel
from tests.interop.trainer.scripts import model_of
from tunesmith.errors import IntegrityError, ResourceError
from tunesmith.interop.trainer.arguments import TrainingArguments
from tunesmith.interop.trainer.published import (
    load_weights,
    prepare_repository,
    upload,
    write,
    write_card,
)
from tunesmith.interop.trainer.trainer import Trainer
from tunesmith.storage import hub


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


def test_what_is_saved_may_be_other_weights(tmp_path: Path, make_model: MakeModel) -> None:
    """Those that a script passes to `_save`, of whatever model, and into a folder that is there."""
    model, args = make_model(), TrainingArguments("out")
    doubled = {name: value * 2 for name, value in model.state_dict().items()}
    (tmp_path / "m").mkdir()
    write(tmp_path / "m", model, None, args, doubled)
    loaded = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "m")
    assert torch.equal(loaded.classifier.weight, model.classifier.weight * 2)
    plain = nn.Linear(2, 1)
    write(tmp_path / "n", plain, object(), args, {"weight": torch.ones(1, 2)})
    assert load_file(tmp_path / "n" / "model.safetensors")["weight"].tolist() == [[1.0, 1.0]]
    assert {path.name for path in (tmp_path / "n").iterdir()} == {
        "model.safetensors", "training_args.json",
    }  # fmt: skip


def test_weights_come_back_in_place(tmp_path: Path, make_model: MakeModel, tokenizer: Any) -> None:
    model = make_model()
    write(tmp_path / "m", model, tokenizer, TrainingArguments("out"))
    assert (tmp_path / "m" / "tokenizer.json").is_file()
    expected = {name: value.clone() for name, value in model.state_dict().items()}
    held = model.classifier.weight
    with torch.no_grad():
        held.zero_()
    load_weights(tmp_path / "m", model)
    assert model.classifier.weight is held and torch.equal(held, expected["classifier.weight"])
    with pytest.raises(IntegrityError, match=r"C109"):
        load_weights(tmp_path / "m", nn.Linear(1, 1))


def adapters_of(**more: Any) -> Any:
    settings = {"task_type": "SEQ_CLS", "r": 2, "target_modules": ["query"], **more}
    return peft.get_peft_model(model_of(), peft.LoraConfig(**settings))


def weights_of(model: Any, name: str = "default") -> dict[str, Any]:
    found: dict[str, Any] = peft.get_peft_model_state_dict(model, adapter_name=name)
    return {key: value.clone() for key, value in found.items()}


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # of peft
def test_adapters_come_back_in_place(tmp_path: Path) -> None:
    """Several of them, each from its own folder."""
    model = adapters_of()
    model.add_adapter("other", peft.LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["key"]))
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    expected = [weights_of(model, name) for name in ("default", "other")]
    write(tmp_path, model, None, TrainingArguments("out"))
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    load_weights(tmp_path, model)
    for name, weights in zip(("default", "other"), expected, strict=True):
        found = weights_of(model, name)
        assert found.keys() == weights.keys() and len(found) > 2
        assert all(torch.equal(found[key], weights[key]) for key in found)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # of peft
def test_adapters_of_another_model_are_told(tmp_path: Path) -> None:
    """Of another size, of other layers, or none at all."""
    write(tmp_path, adapters_of(), None, TrainingArguments("out"))
    for more in ({"r": 4}, {"target_modules": ["value"]}):
        with pytest.raises(IntegrityError, match=r"C109.*adapter: \S.*\n  Make the model with"):
            load_weights(tmp_path, adapters_of(**more))
    with pytest.raises(IntegrityError, match=r"C109"):
        load_weights(tmp_path / "none", adapters_of())


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
