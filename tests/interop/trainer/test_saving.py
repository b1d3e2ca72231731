from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import nn
from transformers import AddedToken, TrainerCallback

import tunesmith
from tests.interop.trainer.conftest import MakeModel
from tests.interop.trainer.scripts import arguments, compare_logs, model_of, rows_of
from tunesmith.errors import IntegrityError, ResourceError
from tunesmith.interop.trainer.arguments import TrainingArguments
from tunesmith.interop.trainer.saving import (
    load_weights,
    prepare_repository,
    upload,
    write_card,
    write_folder,
)
from tunesmith.interop.trainer.trainer import Trainer
from tunesmith.storage import atomic, hub

Make = Callable[..., Any]


class LooksIntoSteps(TrainerCallback):
    """With it transformers' own loop trains."""

    def on_pre_optimizer_step(self, *_given: Any, **_more: Any) -> None: ...


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A Trainer that saves after steps 2 and 4, dropout on."""

    def make(
        *callbacks: Any, library: Any = tunesmith, model: Any = None, folder: str = "", **more: Any
    ) -> Any:
        named = {"save_strategy": "steps", "save_steps": 2, "max_steps": 5, **more}
        return library.Trainer(
            model_of(dropout=0.1) if model is None else model,
            arguments(library, tmp_path / folder, **named),
            train_dataset=rows_of(), eval_dataset=rows_of(9), callbacks=list(callbacks),
        )  # fmt: skip

    return make


@pytest.fixture
def no_pickles(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_given: Any, **_more: Any) -> NoReturn:
        raise AssertionError("a pickle")

    for name in ("save", "load"):
        monkeypatch.setattr(torch, name, refuse)


def equal(one: Any, two: Any) -> bool:
    pairs = zip(one.model.parameters(), two.model.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.usefixtures("no_pickles")
@pytest.mark.parametrize("callbacks", [(), (LooksIntoSteps,)], ids=["ours", "transformers"])
@pytest.mark.parametrize(
    "more",
    [{}, {"optim": "sgd", "lr_scheduler_type": "cosine"}, {"gradient_accumulation_steps": 2}],
    ids=str,
)
def test_resuming_is_as_never_stopped(
    callbacks: tuple[Any, ...], more: dict[str, Any], make: Make, logged: Any
) -> None:
    """By whichever loop, dropout on, and without a pickle."""
    whole = make(*callbacks, **more)
    whole.train()
    resumed = make(*callbacks, **more)
    resumed.train(resume_from_checkpoint=str(Path(whole.args.output_dir) / "checkpoint-2"))
    assert equal(whole, resumed) and resumed.state.global_step == 5
    compare_logs(resumed.state.log_history[:-1], whole.state.log_history[:-1])
    assert not [line for line in logged() if "random" in line]


@pytest.mark.usefixtures("no_pickles")
@pytest.mark.parametrize("first", [(), (LooksIntoSteps,)], ids=["ours", "transformers"])
def test_the_other_loop_goes_on_from_a_checkpoint(
    first: tuple[Any, ...], make: Make, logged: Any
) -> None:
    """With weights, optimizer, schedule and state; without dropout it comes to the same."""
    second = () if first else (LooksIntoSteps,)
    whole = make(*first, model=model_of())
    whole.train()
    other = make(*second, model=model_of())
    other.train(resume_from_checkpoint=str(Path(whole.args.output_dir) / "checkpoint-2"))
    for one, two in zip(whole.model.parameters(), other.model.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=2e-4, atol=5e-5)
    compare_logs(other.state.log_history[:-1], whole.state.log_history[:-1])
    said = [line for line in logged() if "random numbers" in line]
    assert said == ([] if first else ["the checkpoint holds no random numbers of this process"])


def test_transformers_goes_on_from_weights_and_state_of_ours(make: Make) -> None:
    ours = make()
    ours.train()
    folder = Path(ours.args.output_dir) / "checkpoint-4"
    state = transformers.TrainerState.load_from_json(str(folder / "trainer_state.json"))
    assert state.stateful_callbacks["TrainerControl"]["attributes"] == {}
    theirs = make(library=transformers)
    output = theirs.train(resume_from_checkpoint=str(folder))
    assert output.global_step == 5
    assert [log["step"] for log in theirs.state.log_history] == [1, 2, 3, 4, 5, 5]
    saved = folder.parent.parent / "transformers" / "checkpoint-5" / "trainer_state.json"
    assert saved.is_file()


def test_checkpoints_of_transformers_are_refused(make: Make) -> None:
    theirs = make(library=transformers)
    theirs.train()
    folder = str(Path(theirs.args.output_dir) / "checkpoint-2")
    with pytest.raises(ValueError, match=r"M130.*\n  Only checkpoints that this Trainer wrote"):
        make().train(resume_from_checkpoint=folder)
    with pytest.raises(IntegrityError, match=r"M130.*no whole checkpoint"):
        make(folder="empty").train(resume_from_checkpoint=True)


def test_the_newest_whole_checkpoint_is_taken(make: Make) -> None:
    whole = make()
    whole.train()
    home = Path(whole.args.output_dir)
    for step in (4, 5):
        (home / f"checkpoint-{step}" / "model.safetensors").write_bytes(b"cut")
    resumed = make()
    resumed.train(resume_from_checkpoint=True)
    assert equal(whole, resumed)
    assert atomic.damage(home / "checkpoint-5") is None


@pytest.mark.parametrize("callbacks", [(), (LooksIntoSteps,)], ids=["ours", "transformers"])
def test_a_checkpoint_holds_what_others_read(
    callbacks: tuple[Any, ...], make: Make, tokenizer: Any
) -> None:
    """The tokenizer is that of the collator, if the Trainer has none."""
    trainer = make(*callbacks)
    trainer.data_collator = transformers.DataCollatorWithPadding(tokenizer)
    trainer.train()
    folder = Path(trainer.args.output_dir) / "checkpoint-5"
    loaded = transformers.BertForSequenceClassification.from_pretrained(folder)
    for one, two in zip(loaded.parameters(), trainer.model.parameters(), strict=True):
        assert torch.equal(one, two)
    assert len(transformers.AutoTokenizer.from_pretrained(folder)) == len(tokenizer)
    state = transformers.TrainerState.load_from_json(str(folder / "trainer_state.json"))
    assert state.total_flos == trainer.state.total_flos > 0
    names = {path.name for path in folder.iterdir()}
    assert ("random.safetensors" in names) == bool(callbacks)
    assert {path.suffix for path in folder.iterdir()} <= {".json", ".safetensors", ".txt"}


def test_special_tokens_reach_model_and_checkpoint(
    make: Make, make_model: MakeModel, tokenizer: Any
) -> None:
    """A padding token that the tokenizer has and the model had not."""
    words = transformers.AutoTokenizer.from_pretrained(tokenizer.name_or_path)
    words.add_special_tokens({"eos_token": AddedToken("[END]")})
    model = make_model()
    model.resize_token_embeddings(len(words))
    trainer = make(model=model, max_steps=1, save_steps=1)
    trainer.processing_class = words
    trainer.train()
    assert trainer.model.config.eos_token_id == words.eos_token_id is not None
    folder = Path(trainer.args.output_dir) / "checkpoint-1"
    config = transformers.AutoConfig.from_pretrained(folder)
    assert config.eos_token_id == words.eos_token_id


def with_adapters() -> Any:
    config = peft.LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query"], lora_dropout=0.1)
    return peft.get_peft_model(model_of(), config)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # of peft
@pytest.mark.parametrize("callbacks", [(), (LooksIntoSteps,)], ids=["ours", "transformers"])
def test_adapters_alone_are_saved_and_resumed(callbacks: tuple[Any, ...], make: Make) -> None:
    """As peft reads them, with the best of them put back at the end."""
    best = {
        "load_best_model_at_end": True, "eval_strategy": "steps", "eval_steps": 2,
        "metric_for_best_model": "own", "max_steps": 4,
    }  # fmt: skip
    whole = make(*callbacks, model=with_adapters())
    whole.train()
    home = Path(whole.args.output_dir)
    names = {path.name for path in (home / "checkpoint-2").iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors"} <= names
    assert not {"model.safetensors", "config.json"} & names
    loaded = peft.PeftModel.from_pretrained(model_of(), str(home / "checkpoint-5"))
    expected = peft.get_peft_model_state_dict(whole.model)
    adapters = peft.get_peft_model_state_dict(loaded)
    assert adapters.keys() == expected.keys() and len(adapters) > 2
    assert all(torch.equal(adapters[name], expected[name]) for name in adapters)
    resumed = make(*callbacks, model=with_adapters())
    resumed.train(resume_from_checkpoint=str(home / "checkpoint-2"))
    assert equal(whole, resumed)
    chosen = make(*callbacks, model=with_adapters(), folder="best", **best)
    scores = iter([0.9, 0.1])
    chosen.compute_metrics = lambda _answers: {"own": next(scores)}
    chosen.train()
    assert Path(chosen.state.best_model_checkpoint).name == "checkpoint-2"
    left = peft.PeftModel.from_pretrained(model_of(), chosen.state.best_model_checkpoint)
    adapters, expected = map(peft.get_peft_model_state_dict, (chosen.model, left))
    assert all(torch.equal(adapters[name], expected[name]) for name in adapters)


def test_callbacks_count_on_with_the_settings_of_now(make: Make) -> None:
    """With the settings of the checkpoint if requested, as transformers does it."""
    more = {
        "load_best_model_at_end": True, "metric_for_best_model": "loss",
        "eval_strategy": "steps", "eval_steps": 1, "save_steps": 1,
    }  # fmt: skip

    def trained(patience: int, resume: str | None, **args: Any) -> Any:
        early = transformers.EarlyStoppingCallback(patience, early_stopping_threshold=9.0)
        trainer = make(early, **more, **args)
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    assert trained(9, None, max_steps=3).state.global_step == 3  # two without a better score
    third = str(Path(make().args.output_dir) / "checkpoint-3")
    assert trained(3, third, max_steps=9).state.global_step == 4
    restored = trained(3, third, max_steps=6, restore_callback_states_from_checkpoint=True)
    assert restored.state.global_step == 6
    (early,) = (
        c for c in restored.callback_handler.callbacks
        if isinstance(c, transformers.EarlyStoppingCallback)
    )  # fmt: skip
    assert (early.early_stopping_patience, early.early_stopping_patience_counter) == (9, 5)


def test_a_plain_folder_without_secrets(
    tmp_path: Path, make_model: MakeModel, tokenizer: Any
) -> None:
    model, args = make_model(), TrainingArguments("out", hub_token="hf_secret12345")
    write_folder(tmp_path / "m", model, tokenizer, args)
    loaded = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "m")
    assert torch.equal(loaded.classifier.weight, model.classifier.weight)
    written = (tmp_path / "m" / "training_args.json").read_text(encoding="utf-8")
    assert json.loads(written)["output_dir"] == "out" and "secret" not in written
    write_folder(tmp_path / "n", nn.Linear(1, 1), None, args)
    assert (tmp_path / "n" / "model.safetensors").is_file()


def test_what_is_saved_may_be_other_weights(tmp_path: Path, make_model: MakeModel) -> None:
    """Those that a script passes to `_save`, of whatever model, and into a folder that is there."""
    model, args = make_model(), TrainingArguments("out")
    doubled = {name: value * 2 for name, value in model.state_dict().items()}
    (tmp_path / "m").mkdir()
    write_folder(tmp_path / "m", model, None, args, doubled)
    loaded = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "m")
    assert torch.equal(loaded.classifier.weight, model.classifier.weight * 2)
    plain = nn.Linear(2, 1)
    write_folder(tmp_path / "n", plain, object(), args, {"weight": torch.ones(1, 2)})
    assert load_file(tmp_path / "n" / "model.safetensors")["weight"].tolist() == [[1.0, 1.0]]
    assert {path.name for path in (tmp_path / "n").iterdir()} == {
        "model.safetensors", "training_args.json",
    }  # fmt: skip


def test_weights_come_back_in_place(tmp_path: Path, make_model: MakeModel, tokenizer: Any) -> None:
    model = make_model()
    write_folder(tmp_path / "m", model, tokenizer, TrainingArguments("out"))
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
    adapters: dict[str, Any] = peft.get_peft_model_state_dict(model, adapter_name=name)
    return {key: value.clone() for key, value in adapters.items()}


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # of peft
def test_adapters_come_back_in_place(tmp_path: Path) -> None:
    """Several of them, each from its own folder."""
    model = adapters_of()
    model.add_adapter("other", peft.LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["key"]))
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    expected = [weights_of(model, name) for name in ("default", "other")]
    write_folder(tmp_path, model, None, TrainingArguments("out"))
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    load_weights(tmp_path, model)
    for name, weights in zip(("default", "other"), expected, strict=True):
        adapters = weights_of(model, name)
        assert adapters.keys() == weights.keys() and len(adapters) > 2
        assert all(torch.equal(adapters[key], weights[key]) for key in adapters)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # of peft
def test_adapters_of_another_model_are_reported(tmp_path: Path) -> None:
    """Of another size, of other layers, or none at all."""
    write_folder(tmp_path, adapters_of(), None, TrainingArguments("out"))
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
        self.calls: list[Any] = []

        def make(name: str, **more: Any) -> str:
            self.calls.append((name, more))
            return f"me/{name}" if "/" not in name else name

        def send(folder: Path, repository: str, **more: Any) -> str:
            self.calls.append((folder, repository, more))
            return f"https://hub/{repository}"

        monkeypatch.setattr(hub, "make_repository", make)
        monkeypatch.setattr(hub, "upload", send)


def test_an_upload_leaves_checkpoints_out(monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Repository(monkeypatch)
    args = TrainingArguments("out/model", hub_token="hf_x", hub_private_repo=True)
    assert upload(args, "words", token=None, revision=None) == "https://hub/me/model"
    (name, made), (folder, full, sent) = repository.calls
    assert (name, made) == ("model", {"token": "hf_x", "private": True})
    assert (folder, full, sent["message"]) == (Path("out/model"), "me/model", "words")
    assert "checkpoint-*" in sent["without"] and sent["token"] == "hf_x"
    named = TrainingArguments("out/model", push_to_hub_organization="org")
    assert prepare_repository(named) == "org/model"


def test_a_missing_network_is_reported_before_training(
    tmp_path: Path, make_model: MakeModel
) -> None:
    with pytest.raises(ResourceError, match=r"M104"):
        Trainer(make_model(), TrainingArguments(str(tmp_path / "m"), push_to_hub=True))
