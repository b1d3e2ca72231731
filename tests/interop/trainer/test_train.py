from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file
from transformers import TrainerCallback

from tests.interop.trainer.conftest import MakeModel
from tunesmith.errors import IntegrityError, RecipeError
from tunesmith.interop.trainer.arguments import TrainingArguments
from tunesmith.interop.trainer.trainer import Trainer

Make = Callable[..., Trainer]


@pytest.fixture
def make(tmp_path: Path, make_model: MakeModel, pairs: Any, tokenizer: Any) -> Make:
    def make(*callbacks: Any, compute_metrics: Any = None, **more: Any) -> Trainer:
        named = {"max_steps": 3, "save_strategy": "no", "disable_tqdm": True, "use_cpu": True}
        return Trainer(
            make_model(),
            TrainingArguments(**{"output_dir": str(tmp_path), **named, **more}),
            train_dataset=pairs["train"],
            eval_dataset=pairs["validation"],
            processing_class=tokenizer,
            callbacks=callbacks,
            compute_metrics=compute_metrics,
        )

    return make


def test_the_best_of_scores_is_saved(make: Make, tmp_path: Path) -> None:
    scores = iter([0.5, 0.9, 0.7])
    trainer = make(
        compute_metrics=lambda _given: {"own": next(scores)}, metric_for_best_model="own",
        save_strategy="best", eval_strategy="steps", eval_steps=1, load_best_model_at_end=True,
        save_total_limit=1,
    )  # fmt: skip
    trainer.train()
    assert (trainer.state.best_metric, trainer.state.best_global_step) == (0.9, 2)
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-2"]


def test_a_score_that_was_not_computed(make: Make) -> None:
    trainer = make(metric_for_best_model="f1", eval_strategy="steps", eval_steps=1)
    with pytest.raises(RecipeError, match=r"R136.*eval_f1.*eval_loss"):
        trainer.train()
    assert trainer.model.config._attn_implementation == "sdpa"  # plain, however it ended


def test_callbacks_ask_for_what_is_not_due(make: Make, tmp_path: Path) -> None:
    class Asks(TrainerCallback):
        def on_step_end(self, _args: Any, state: Any, control: Any, **_more: Any) -> Any:
            control.should_log = control.should_save = control.should_evaluate = (
                state.global_step == 2
            )
            return control

    trainer = make(Asks())
    trainer.train()
    assert [log["step"] for log in trainer.state.log_history] == [2, 2, 3]
    assert (tmp_path / "checkpoint-2" / "MANIFEST.json").is_file()


def test_gradients_can_be_looked_at(make: Make, logged: Any) -> None:
    """Clipped before the update, there until it is done, by a callback that hears of both."""
    norms: list[float] = []

    class Looks(TrainerCallback):
        def on_pre_optimizer_step(self, *_given: Any, model: Any, **_more: Any) -> None:
            norms.append(
                float(torch.nn.utils.get_total_norm([p.grad for p in model.parameters()
                                                     if p.grad is not None]))
            )  # fmt: skip

        def on_substep_end(self, *_given: Any, **_more: Any) -> None: ...

    trainer = make(Looks(), max_grad_norm=1e-4, logging_steps=1)
    trainer.train()
    np.testing.assert_allclose(norms, 1e-4, rtol=1e-3)
    assert trainer.state.log_history[0]["grad_norm"] > 1e-4
    assert "transformers' own loop trains: a callback listens to events inside a step" in logged()


def test_updates_that_are_not_finite(make: Make, logged: Any) -> None:
    trainer = make(max_steps=8)
    with torch.no_grad():
        trainer.model.classifier.bias.fill_(float("nan"))
    with pytest.raises(IntegrityError, match=r"M110") as caught:
        trainer.train()
    assert "Lower learning_rate, raise warmup_steps" in str(caught.value)
    assert sum("the update is skipped" in line for line in logged()) == 3
    assert trainer.state.global_step == 3


def test_another_plan_than_that_of_the_checkpoint_is_reported(make: Make, logged: Any) -> None:
    make(save_strategy="steps", max_steps=2).train()
    make(max_steps=4).train(resume_from_checkpoint=True)
    assert "total_steps was 2 when checkpoint-2 was saved and is 4" in logged()


def test_training_is_headed_as_by_transformers(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """At level "info" of transformers, which the arguments set."""
    logger = transformers.logging.get_logger("transformers")
    level, propagates = logger.level, logger.propagate
    logger.addHandler(caplog.handler)
    logger.propagate = False  # else pytest's own handler, which is on the root, hears it twice
    try:
        make(log_level="info", num_train_epochs=2, max_steps=-1).train()
        said = [r.getMessage() for r in caplog.records if r.name == "transformers.trainer"]
    finally:
        logger.removeHandler(caplog.handler)
        logger.propagate = propagates
        transformers.logging.set_verbosity(level)
        logging.getLogger("tunesmith.interop.trainer").setLevel(logging.NOTSET)
    start = said.index("***** Running training *****")
    assert said[start + 1 :][:4] == [
        "  Num examples = 60",
        "  Num Epochs = 2",
        "  Total train batch size (w. parallel, distributed & accumulation) = 8",
        "  Total optimization steps = 16",
    ]


def test_an_epoch_ends_with_what_is_due(make: Make) -> None:
    """Logs, evaluations and checkpoints of an epoch, in the order of transformers."""
    heard: list[str] = []

    class Hears(TrainerCallback):
        def on_epoch_end(self, *_given: Any, **_more: Any) -> None:
            heard.append("end")

        def on_log(self, *_given: Any, logs: Any, **_more: Any) -> None:
            heard.append("loss" if "loss" in logs else "eval" if "eval_loss" in logs else "train")

        def on_save(self, *_given: Any, **_more: Any) -> None:
            heard.append("save")

    epochs = dict.fromkeys(("eval_strategy", "save_strategy", "logging_strategy"), "epoch")
    trainer = make(Hears(), max_steps=-1, num_train_epochs=2, **epochs)
    trainer.train()
    assert heard == ["end", "loss", "eval", "save"] * 2 + ["train"]
    assert [rows.name for rows in trainer.runner._trained] == ["train", "evaluation"]
    alone = make()
    alone.train()
    assert [rows.name for rows in alone.runner._trained] == ["train"]


def test_what_training_says_of_itself(make: Make, pairs: Any) -> None:
    """Rows and steps a second, operations, and the mean loss of the steps of this call."""
    trainer = make(max_steps=-1, num_train_epochs=2, logging_steps=1)
    metrics = trainer.train().metrics
    count, steps = len(pairs["train"]), 2 * 8
    rate = metrics["train_samples_per_second"] / metrics["train_steps_per_second"]
    assert rate == pytest.approx(2 * count / steps, rel=0.02)
    losses = [log["loss"] for log in trainer.state.log_history if "loss" in log]
    assert len(losses) == steps and metrics["train_loss"] == pytest.approx(np.mean(losses))
    weights = trainer.model.num_parameters(exclude_embeddings=True)
    tokens = trainer.state.total_flos / (6 * weights)
    real = sum(len(ids) for ids in pairs["train"]["input_ids"])
    assert tokens == int(tokens) and 2 * real <= tokens < 4 * real  # padding, too


def test_tokens_are_counted(make: Make, pairs: Any) -> None:
    trainer = make(include_num_input_tokens_seen="non_padding", num_train_epochs=1, max_steps=-1)
    trainer.train()
    seen = sum(len(ids) for ids in pairs["train"]["input_ids"])
    assert trainer.state.num_input_tokens_seen == seen
    assert trainer.state.log_history[-1]["num_input_tokens_seen"] == seen


def test_each_training_of_a_model_init_is_the_same(
    tmp_path: Path, make_model: MakeModel, pairs: Any, tokenizer: Any
) -> None:
    args = TrainingArguments(str(tmp_path), max_steps=2, save_strategy="no", logging_steps=1)
    trials: list[Any] = []

    def make(trial: Any) -> Any:
        trials.append(trial)
        return make_model()

    trainer = Trainer(
        args=args,
        model_init=make,
        train_dataset=pairs["train"],
        processing_class=tokenizer,
    )
    losses = []
    for _again in range(2):
        trainer.train()
        losses.append([log["loss"] for log in trainer.state.log_history[:-1]])
    assert losses[0] == losses[1]
    assert trials == [None] * 3


def test_what_does_not_fit_into_memory_is_made_again_unheard(make: Make, logged: Any) -> None:
    heard: list[str] = []

    class Hears(TrainerCallback):
        def on_step_begin(self, *_given: Any, **_more: Any) -> None:
            heard.append("begin")

        def on_step_end(self, *_given: Any, **_more: Any) -> None:
            heard.append("end")

    def full(_module: Any, tensors: Any) -> None:
        if len(tensors[0]) > 3:
            raise torch.OutOfMemoryError("out of memory")

    more = {"max_steps": 2, "include_num_input_tokens_seen": "non_padding"}
    roomy = make(**more)
    roomy.train()
    trainer = make(Hears(), **more)
    trainer.model.classifier.register_forward_pre_hook(full)
    trainer.train()
    assert heard == ["begin", "end"] * 2 and trainer.state.global_step == 2
    assert sum("out of memory" in line for line in logged()) == 2
    assert trainer.state.num_input_tokens_seen == roomy.state.num_input_tokens_seen
    for one, two in zip(trainer.model.parameters(), roomy.model.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-5)


def best_first(output: str) -> dict[str, Any]:
    """Arguments, with a score for each evaluation that makes the first one the best."""
    scores = iter([0.9, 0.8, 0.7, 0.6])
    return {
        "compute_metrics": lambda _given: {"own": next(scores)}, "metric_for_best_model": "own",
        "save_strategy": "steps", "eval_strategy": "steps", "save_steps": 1, "eval_steps": 1,
        "load_best_model_at_end": True, "save_total_limit": 2, "output_dir": output,
    }  # fmt: skip


@pytest.mark.parametrize("gone", [False, True])
def test_the_best_is_found_in_a_folder_that_moved(
    make: Make, tmp_path: Path, logged: Any, gone: bool
) -> None:
    make(max_steps=2, **best_first(str(tmp_path / "a"))).train()
    (tmp_path / "a").rename(tmp_path / "b")
    if gone:
        shutil.rmtree(tmp_path / "b" / "checkpoint-1")
    again = make(max_steps=4, **best_first(str(tmp_path / "b")))
    again.compute_metrics = lambda _given: {"own": 0.1}
    again.train(resume_from_checkpoint=True)
    assert any("the best checkpoint is gone" in line for line in logged()) == gone
    best = "checkpoint-4" if gone else "checkpoint-1"
    folders = {path.name for path in (tmp_path / "b").iterdir()}
    assert folders == ({"checkpoint-3", "checkpoint-4"} if gone else {best, "checkpoint-4"})
    weights = load_file(tmp_path / "b" / best / "model.safetensors")
    assert torch.equal(weights["classifier.bias"], again.model.classifier.bias)


def test_the_output_folder_may_be_spelled_otherwise(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make(max_steps=2, **best_first("out")).train()
    monkeypatch.chdir("/")
    again = make(max_steps=4, **best_first(str(tmp_path / "out")))
    again.compute_metrics = lambda _given: {"own": 0.1}
    again.train(resume_from_checkpoint=True)
    assert again.state.best_model_checkpoint == str(tmp_path / "out" / "checkpoint-1")
    folders = {path.name for path in (tmp_path / "out").iterdir()}
    assert folders == {"checkpoint-1", "checkpoint-4"}


def test_no_epochs_and_no_learning_rate(make: Make) -> None:
    output = make(num_train_epochs=0, max_steps=-1).train()
    assert output.global_step == output.training_loss == 0
    trainer = make(learning_rate=0.0, max_steps=1)
    before = trainer.model.classifier.weight.clone()
    trainer.train()
    assert torch.equal(trainer.model.classifier.weight, before)
