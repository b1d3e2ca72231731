"""The same script by transformers' Trainer and by ours: the same losses, decisions, predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import nn

import tunesmith
from tests.interop.trainer import scripts
from tests.interop.trainer.conftest import MakeModel
from tests.interop.trainer.scripts import model_of, rows_of
from tunesmith.training import device
from tunesmith.training.device import make_accelerator

TIMES = ("runtime", "per_second")


def accuracy(answers: Any) -> dict[str, float]:
    logits, labels = answers
    return {"accuracy": float((logits.argmax(-1) == labels).mean())}


def arguments(library: Any, folder: Path, **more: Any) -> Any:
    named = {"report_to": "none", "use_cpu": True, "disable_tqdm": True, "learning_rate": 1e-3}
    return library.TrainingArguments(str(folder / library.__name__), **{**named, **more})


def trained(
    library: Any, folder: Path, model: Any, pairs: Any, tokenizer: Any, **more: Any
) -> tuple[Any, Any]:
    """A script with early stopping on the best of evaluations every five steps."""
    trainer = library.Trainer(
        model,
        arguments(
            library, folder, eval_strategy="steps", eval_steps=5, save_steps=5, logging_steps=3,
            load_best_model_at_end=True, metric_for_best_model="eval_loss",
            num_train_epochs=6, save_total_limit=2, lr_scheduler_type="cosine", warmup_steps=0.1,
            weight_decay=0.01,
        ),
        train_dataset=pairs["train"],
        eval_dataset=pairs["validation"],
        processing_class=tokenizer,
        compute_metrics=accuracy,
        callbacks=[library.EarlyStoppingCallback(early_stopping_patience=2)],
        **more,
    )  # fmt: skip
    return trainer, trainer.train()


@pytest.fixture(scope="module")
def theirs(
    tmp_path_factory: pytest.TempPathFactory, bert: Path, pairs: Any, tokenizer: Any
) -> tuple[Any, Any]:
    transformers.set_seed(42)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(bert)
    return trained(transformers, tmp_path_factory.mktemp("theirs"), model, pairs, tokenizer)


def compare_logs(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    assert len(ours) == len(theirs)
    for one, two in zip(ours, theirs, strict=True):
        for name in (*one, *two):
            if not name.endswith(TIMES):
                assert one[name] == pytest.approx(two[name], rel=1e-5, abs=1e-6), name


@pytest.mark.parametrize("engine", ["fast", "exact"])
def test_a_script_decides_as_with_transformers(
    engine: str, tmp_path: Path, theirs: tuple[Any, Any], make_model: MakeModel, pairs: Any,
    tokenizer: Any,
) -> None:  # fmt: skip
    trainer, output = trained(tunesmith, tmp_path, make_model(), pairs, tokenizer, engine=engine)
    other, expected = theirs
    compare_logs(trainer.state.log_history, other.state.log_history)
    assert trainer.state.global_step == other.state.global_step < trainer.state.max_steps
    assert trainer.state.best_global_step == other.state.best_global_step
    best = Path(trainer.state.best_model_checkpoint)
    assert best.name == Path(other.state.best_model_checkpoint).name
    files = [sorted(p.name for p in Path(t.args.output_dir).iterdir()) for t in (trainer, other)]
    assert files[0] == files[1]
    assert output.global_step == expected.global_step
    assert output.training_loss == pytest.approx(expected.training_loss, rel=1e-5)

    mine, yours = (t.predict(pairs["validation"]) for t in (trainer, other))
    np.testing.assert_allclose(mine.predictions, yours.predictions, atol=2e-5)
    assert (mine.label_ids == yours.label_ids).all()
    assert mine.metrics["test_accuracy"] == yours.metrics["test_accuracy"]
    again = transformers.AutoModelForSequenceClassification.from_pretrained(best)
    for (name, one), two in zip(again.named_parameters(), trainer.model.parameters(), strict=True):
        assert torch.equal(one, two), name
    assert trainer.model.config._attn_implementation != "tunesmith_packed"


def test_resuming_is_as_never_stopped(
    tmp_path: Path, make_model: MakeModel, pairs: Any, tokenizer: Any
) -> None:
    """Stopped after an evaluation in mid-epoch, gone on with by the other engine, dropout on."""

    class Stop(transformers.TrainerCallback):
        def on_save(self, _args: Any, state: Any, control: Any, **_more: Any) -> None:
            control.should_training_stop = state.global_step >= 5

    def train(folder: Path, *callbacks: Any, resume: Any = None, engine: Any = "fast") -> Any:
        trainer = tunesmith.Trainer(
            make_model(hidden_dropout_prob=0.1),
            arguments(
                tunesmith, folder, save_steps=5, eval_steps=5, eval_strategy="steps",
                logging_steps=3, max_steps=12,
            ),
            train_dataset=pairs["train"],
            eval_dataset=pairs["validation"],
            processing_class=tokenizer,
            callbacks=list(callbacks),
            engine=engine,
        )  # fmt: skip
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    whole = train(tmp_path / "whole")
    stopped = train(tmp_path / "parts", Stop())
    assert stopped.state.global_step == 5
    resumed = train(tmp_path / "parts", resume=True)
    for one, two in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, two)
    compare_logs(resumed.state.log_history[:-1], whole.state.log_history[:-1])
    named = str(tmp_path / "parts" / "tunesmith" / "checkpoint-5")
    exact = train(tmp_path / "parts", resume=named, engine="exact")
    assert exact.state.global_step == 12


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing`:FutureWarning")
def test_whatever_trains_comes_to_the_losses_of_transformers(
    tmp_path: Path, make_model: MakeModel, pairs: Any, tokenizer: Any
) -> None:
    """What transformers does with an optimizer and a schedule of a script's own is done."""

    def run(library: Any, **more: Any) -> list[float]:
        model = make_model()
        groups = [
            {"params": model.bert.parameters(), "lr": 1e-3},
            {"params": model.classifier.parameters(), "lr": 5e-3},
        ]
        optimizer = torch.optim.SGD(groups, momentum=0.9)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3, gamma=0.5)
        trainer = library.Trainer(
            model,
            arguments(library, tmp_path, logging_steps=1, max_steps=8, save_strategy="no", **more),
            train_dataset=pairs["train"],
            processing_class=tokenizer,
            optimizers=(optimizer, scheduler),
        )
        trainer.train()
        return [(log["loss"], log["learning_rate"]) for log in trainer.state.log_history[:-1]]

    theirs = run(transformers)
    np.testing.assert_allclose(run(tunesmith), theirs, rtol=1e-5)
    halves = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}
    np.testing.assert_allclose(run(tunesmith, **halves), run(transformers, **halves), rtol=1e-5)


@pytest.mark.parametrize("optim", ["adafactor", "sgd", "adamw_torch"])
def test_optimizers_go_by_their_names(
    optim: str, tmp_path: Path, make_model: MakeModel, pairs: Any, tokenizer: Any
) -> None:
    losses = []
    for library in (transformers, tunesmith):
        trainer = library.Trainer(
            make_model(),
            arguments(library, tmp_path, logging_steps=1, max_steps=3, optim=optim, save_steps=2),
            train_dataset=pairs["train"],
            processing_class=tokenizer,
        )
        trainer.train()
        losses.append([log["loss"] for log in trainer.state.log_history[:-1]])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


def test_a_loss_of_ones_own(
    tmp_path: Path, make_model: MakeModel, pairs: Any, tokenizer: Any
) -> None:
    """By a method with either signature, or by a function; each as transformers computes it."""
    weight = torch.tensor([1.0, 3.0])

    def weighted(outputs: Any, labels: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        return nn.functional.cross_entropy(outputs["logits"], labels, weight=weight)

    def subclass(library: Any) -> type:
        class Weighted(library.Trainer):  # type: ignore[name-defined, misc]
            def compute_loss(
                self, model: Any, inputs: Any, return_outputs: bool = False, **_more: Any
            ) -> Any:
                labels = inputs.pop("labels")
                outputs = model(**inputs)
                loss = weighted(outputs, labels)
                return (loss, outputs) if return_outputs else loss

        return Weighted

    def run(kind: Any, library: Any, **more: Any) -> list[float]:
        trainer = kind(
            make_model(),
            arguments(
                library, tmp_path, logging_steps=1, max_steps=3, save_strategy="no",
                eval_strategy="steps", eval_steps=3,
            ),
            train_dataset=pairs["train"],
            eval_dataset=pairs["validation"],
            processing_class=tokenizer,
            **more,
        )  # fmt: skip
        trainer.train()
        return [log.get("loss", log.get("eval_loss")) for log in trainer.state.log_history[:-1]]

    theirs = run(subclass(transformers), transformers)
    np.testing.assert_allclose(run(subclass(tunesmith), tunesmith), theirs, rtol=1e-5)
    ours = run(tunesmith.Trainer, tunesmith, compute_loss_func=weighted)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_smoothed_labels(tmp_path: Path, make_model: MakeModel, pairs: Any, tokenizer: Any) -> None:
    def run(library: Any, **more: Any) -> list[float]:
        trainer = library.Trainer(
            make_model(),
            arguments(library, tmp_path, logging_steps=1, max_steps=3, label_smoothing_factor=0.2),
            train_dataset=pairs["train"],
            processing_class=tokenizer,
            **more,
        )
        trainer.train()
        return [log["loss"] for log in trainer.state.log_history[:-1]]

    theirs = run(transformers)
    np.testing.assert_allclose(run(tunesmith), theirs, rtol=1e-5)
    np.testing.assert_allclose(run(tunesmith, engine="exact"), theirs, rtol=1e-5)


def test_callbacks_find_the_plain_model(
    tmp_path: Path, make_model: MakeModel, pairs: Any, tokenizer: Any
) -> None:
    """A callback that calls the model, or evaluates other rows, in the midst of a fast training."""
    heard = []

    class Looks(transformers.TrainerCallback):
        trainer: Any = None

        def on_step_end(self, _args: Any, _state: Any, _control: Any, **parts: Any) -> None:
            table = parts["model"].get_input_embeddings()
            heard.append((len(table.weight), parts["model"].config._attn_implementation))

        def on_epoch_end(self, _args: Any, _state: Any, _control: Any, **_more: Any) -> None:
            metrics = self.trainer.evaluate(pairs["train"], metric_key_prefix="seen")
            heard.append(metrics["seen_loss"])

    def run(*callbacks: Any) -> Any:
        trainer = tunesmith.Trainer(
            make_model(), arguments(tunesmith, tmp_path, save_strategy="no", num_train_epochs=1),
            train_dataset=pairs["train"], processing_class=tokenizer, callbacks=list(callbacks),
        )  # fmt: skip
        for callback in callbacks:
            callback.trainer = trainer
        trainer.train()
        return trainer

    looked, alone = run(Looks()), run()
    assert len(set(heard[:-1])) == 1 and heard[0] == (len(tokenizer), "sdpa")
    evaluated = looked.evaluate(pairs["train"], metric_key_prefix="seen")["seen_loss"]
    assert heard[-1] == pytest.approx(evaluated, rel=1e-5)
    for one, two in zip(looked.model.parameters(), alone.model.parameters(), strict=True):
        assert torch.equal(one, two)


def test_events_come_in_the_order_of_transformers(
    tmp_path: Path, make_model: MakeModel, pairs: Any, tokenizer: Any
) -> None:
    def run(library: Any) -> list[str]:
        heard: list[str] = []

        class Hears(transformers.TrainerCallback):
            def __getattribute__(self, name: str) -> Any:
                if name.startswith("on_"):
                    return lambda *_given, **_more: heard.append(name)
                return super().__getattribute__(name)

            def on_optimizer_step(self, *_given: Any, **_more: Any) -> None: ...

        trainer = library.Trainer(
            make_model(),
            arguments(
                library, tmp_path, num_train_epochs=2, eval_strategy="epoch",
                save_strategy="epoch", logging_strategy="epoch", eval_on_start=True,
                per_device_train_batch_size=30, per_device_eval_batch_size=20,
            ),
            train_dataset=pairs["train"],
            eval_dataset=pairs["validation"],
            processing_class=tokenizer,
            callbacks=[Hears()],
        )  # fmt: skip
        trainer.train()
        return heard

    assert run(tunesmith) == run(transformers)


def test_old_names_of_the_trainer(
    tmp_path: Path, make_model: MakeModel, pairs: Any, tokenizer: Any, logged: Any
) -> None:
    trainer = tunesmith.Trainer(
        make_model(), arguments(tunesmith, tmp_path, max_steps=1), train_dataset=pairs["train"],
        tokenizer=tokenizer,
    )  # fmt: skip
    assert trainer.processing_class is tokenizer
    assert "Trainer: tokenizer is taken as processing_class" in logged()
    trainer.train(model_path=None)
    trainer.save_model()
    files = {path.name for path in Path(trainer.args.output_dir).iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "training_args.json"} <= files
    assert (
        "train data: columns that the model does not take are left out: sentence1, sentence2"
        in (logged())
    )


def test_models_that_are_not_known_use_their_own_loss(
    tmp_path: Path, bert: Path, make_model: MakeModel, pairs: Any, tokenizer: Any, logged: Any
) -> None:
    """Masked words: another head, a collator that draws, labels that count each for itself."""
    kind = transformers.AutoModelForMaskedLM
    losses = []
    for library in (transformers, tunesmith):
        trainer = library.Trainer(
            make_model(kind),
            arguments(library, tmp_path, max_steps=2, save_strategy="no", eval_strategy="steps",
                      eval_steps=2),
            train_dataset=pairs["train"].remove_columns("label"),
            eval_dataset=pairs["validation"].remove_columns("label"),
            data_collator=transformers.DataCollatorForLanguageModeling(tokenizer),
        )  # fmt: skip
        trainer.train()
        losses.append(trainer.evaluate()["eval_loss"])
    assert "the exact engine is used: the loss is the model's own" in logged()
    assert losses[1] == pytest.approx(losses[0], rel=0.2)  # other words are hidden
    assert trainer.evaluate()["eval_loss"] == losses[1]


def test_it_says_when_it_trains_and_shows_batches(
    tmp_path: Path, make_model: MakeModel, pairs: Any, tokenizer: Any
) -> None:
    seen: list[bool] = []

    class Looks(transformers.TrainerCallback):
        def on_step_end(self, *_given: Any, **_more: Any) -> None:
            seen.append(trainer.is_in_train)

        def on_train_end(self, *_given: Any, **_more: Any) -> None:
            seen.append(trainer.is_in_train)
            raise InterruptedError

    trainer = tunesmith.Trainer(
        make_model(), arguments(tunesmith, tmp_path, max_steps=1, save_strategy="no"),
        train_dataset=pairs["train"], processing_class=tokenizer, callbacks=[Looks()],
    )  # fmt: skip
    assert not trainer.is_in_train
    with pytest.raises(InterruptedError):
        trainer.train()
    assert seen == [True, True] and not trainer.is_in_train
    shown = list(trainer.get_test_dataloader(pairs["validation"]))
    assert [len(batch["input_ids"]) for batch in shown] == [8, 8, 4]


class LooksIntoSteps(transformers.TrainerCallback):
    """With it transformers' own loop trains."""

    def on_pre_optimizer_step(self, *_given: Any, **_more: Any) -> None: ...


def small(folder: Path, *callbacks: Any, **more: Any) -> Any:
    """A Trainer of a tiny model, for what can be seen of it."""
    own = {
        name: more.pop(name)
        for name in ("optimizer_cls_and_kwargs", "model_init", "compute_metrics")
        if name in more
    }
    return tunesmith.Trainer(
        None if "model_init" in own else model_of(),
        scripts.arguments(tunesmith, folder, **more),
        train_dataset=rows_of(), eval_dataset=rows_of(9), callbacks=list(callbacks), **own,
    )  # fmt: skip


def test_optimizer_and_scheduler_are_live_objects(tmp_path: Path) -> None:
    """Made before training or in it, they are those that train, and stay."""
    trainer = small(tmp_path, weight_decay=0.1)
    assert trainer.optimizer is None and not trainer.has_own_optimizer
    made = trainer.create_optimizer()
    assert made is trainer.optimizer and made.defaults["fused"] and not trainer.has_own_optimizer
    assert [group["weight_decay"] for group in made.param_groups] == [0.1, 0.0]
    names = trainer.get_decay_parameter_names(trainer.model)
    decayed = {id(p) for name, p in trainer.model.named_parameters() if name in names}
    assert {id(p) for p in made.param_groups[0]["params"]} == decayed
    assert trainer.get_learning_rates() == [1e-2, 1e-2]
    trainer.train()
    assert trainer.optimizer is made and trainer.callback_handler.optimizer is made
    assert trainer.callback_handler.lr_scheduler is trainer.lr_scheduler
    assert trainer.lr_scheduler.last_epoch == 4 and not trainer.has_own_scheduler
    first = trainer.lr_scheduler
    moments = made.state[trainer.model.classifier.weight]["step"].clone()
    trainer.train()  # goes on with the moments, and with a schedule of its own
    assert trainer.optimizer is made and trainer.lr_scheduler is not first
    assert made.state[trainer.model.classifier.weight]["step"] == 2 * moments
    trainer.lr_scheduler = torch.optim.lr_scheduler.StepLR(made, 1)
    trainer._created_lr_scheduler = False
    assert trainer.has_own_scheduler
    trainer.optimizer = torch.optim.SGD(trainer.model.parameters(), lr=0.1)
    assert trainer.has_own_optimizer


def test_a_class_of_optimizer(tmp_path: Path) -> None:
    trainer = small(tmp_path, optimizer_cls_and_kwargs=(torch.optim.SGD, {"lr": 0.5}))
    made = trainer.create_optimizer()
    assert isinstance(made, torch.optim.SGD) and made.param_groups[0]["lr"] == 0.5


@pytest.mark.parametrize("callbacks", [(), (LooksIntoSteps,)], ids=["ours", "transformers"])
def test_whose_loop_trains_is_known_while_it_does(
    tmp_path: Path, callbacks: tuple[Any, ...]
) -> None:
    """Then Accelerate is left as it is; before, it is set as the arguments say."""
    seen: list[Any] = []

    class Looks(transformers.TrainerCallback):
        def on_step_end(self, *_given: Any, **_more: Any) -> None:
            seen.append((trainer._running, trainer.current_accelerator() is trainer.accelerator))

    trainer = small(tmp_path, Looks(), *callbacks, max_steps=2)
    make_accelerator(device="cpu", precision="bf16")  # another run of this process
    trainer.train()
    assert seen == [("theirs" if callbacks else "ours", True)] * 2
    assert trainer._running is None and trainer.accelerator.mixed_precision == "no"
    assert "forward" not in vars(trainer.model)


def test_a_training_that_fails_leaves_the_plain_model(tmp_path: Path) -> None:
    class Fails(transformers.TrainerCallback):
        def on_step_end(self, *_given: Any, **_more: Any) -> None:
            raise InterruptedError

    trainer = small(tmp_path, Fails())
    with pytest.raises(InterruptedError):
        trainer.train()
    assert (trainer._running, trainer._session, trainer.is_in_train) == (None, None, False)
    held = {id(p) for group in trainer.optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in trainer.model.parameters()}
    assert trainer.model.config._attn_implementation == "sdpa"


def test_tokens_a_second_are_logged(tmp_path: Path) -> None:
    trainer = small(tmp_path, include_num_input_tokens_seen="all")
    trainer.train()
    for log in trainer.state.log_history[:4]:
        assert log["num_input_tokens_seen"] == log["step"] * 8 * 12 or log["step"] == 4
        assert log["train_tokens_per_second"] > log["num_input_tokens_seen"] / 60
    assert trainer.state.log_history[3]["num_input_tokens_seen"] == (3 * 8 + 2) * 12


@pytest.mark.parametrize("callbacks", [(), (LooksIntoSteps,)], ids=["ours", "transformers"])
def test_a_score_that_was_not_computed(tmp_path: Path, callbacks: tuple[Any, ...]) -> None:
    trainer = small(
        tmp_path, *callbacks, metric_for_best_model="f1", eval_strategy="steps", eval_steps=1
    )
    with pytest.raises(KeyError, match=r"R136.*eval_f1.*eval_loss"):
        trainer.train()


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16"), (False, "no")])
def test_no_loss_is_scaled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: Any, native: bool, precision: str
) -> None:
    """fp16 is computed in bfloat16 where that is native, else in float32."""
    monkeypatch.setattr(device, "has_fast_bf16", lambda: native)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    args = scripts.arguments(tunesmith, tmp_path, fp16=True)
    trainer = tunesmith.Trainer(model_of(), args, train_dataset=rows_of())
    assert trainer.args.mixed_precision == trainer.accelerator.mixed_precision == precision
    named = "bf16" if native else "fp32"
    assert f"computed in {named} instead" in logged()[0]


def test_a_best_checkpoint_is_found_where_its_folder_moved(tmp_path: Path) -> None:
    scores = iter([0.9, 0.5, 0.4, 0.3])
    more: dict[str, Any] = {
        "compute_metrics": lambda _answers: {"own": next(scores)}, "save_steps": 1,
        "metric_for_best_model": "own", "eval_strategy": "steps", "eval_steps": 1,
        "save_strategy": "steps",
    }  # fmt: skip
    small(tmp_path / "a", max_steps=2, **more).train()
    (tmp_path / "a").rename(tmp_path / "b")
    again = small(tmp_path / "b", max_steps=3, **more)
    again.train(resume_from_checkpoint=True)
    assert again.state.best_model_checkpoint == str(tmp_path / "b" / "tunesmith" / "checkpoint-1")
