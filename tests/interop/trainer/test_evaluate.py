from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from accelerate.utils import DynamoBackend
from torch.utils.data import DataLoader
from transformers import TrainerCallback

import tunesmith
from tests.interop.trainer.scripts import Stream, arguments, model_of, rows_of
from tunesmith.training.device import make_accelerator

Make = Callable[..., Any]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def make(
        *callbacks: Any, library: Any = tunesmith, evaluation: Any = None, metrics: Any = None,
        **more: Any,
    ) -> Any:  # fmt: skip
        return library.Trainer(
            model_of(), arguments(library, tmp_path, **more), train_dataset=rows_of(),
            eval_dataset=rows_of(9) if evaluation is None else evaluation,
            callbacks=list(callbacks), compute_metrics=metrics,
        )  # fmt: skip

    return make


def own_loader(trainer: Any, rows: Any) -> Any:
    """One that a script makes by itself, shuffled."""
    return DataLoader(
        rows, batch_size=4, collate_fn=trainer.data_collator, shuffle=True,
        generator=torch.Generator().manual_seed(1),
    )  # fmt: skip


def accuracy(answers: Any) -> dict[str, float]:
    return {"accuracy": float((answers.predictions.argmax(-1) == answers.label_ids).mean())}


@pytest.mark.parametrize("only_loss", [None, False, True])
@pytest.mark.parametrize("of_args", [False, True])
def test_a_loop_over_any_loader_is_that_of_transformers(
    make: Make, only_loss: bool | None, of_args: bool
) -> None:
    """By the engine over a loader of the Trainer, by transformers' loop over another."""
    results = []
    for library in (transformers, tunesmith):
        trainer = make(library=library, metrics=accuracy, prediction_loss_only=of_args)
        loaders = (trainer.get_eval_dataloader(), own_loader(trainer, trainer.eval_dataset))
        results.append([
            trainer.evaluation_loop(loader, "Evaluation", only_loss, None, "seen")
            for loader in loaders
        ])  # fmt: skip
    for theirs, ours in zip(*results, strict=True):
        names = {"seen_loss", "seen_accuracy"} & theirs.metrics.keys()
        assert ("seen_accuracy" in names) == (not (of_args if only_loss is None else only_loss))
        for name in names:
            assert ours.metrics[name] == pytest.approx(theirs.metrics[name], rel=1e-5)
        assert ours.num_samples == theirs.num_samples == 9
        assert (ours.predictions is None) == (theirs.predictions is None)
        if theirs.predictions is not None:
            np.testing.assert_allclose(ours.predictions, theirs.predictions, atol=1e-6)
            np.testing.assert_array_equal(ours.label_ids, theirs.label_ids)


def test_the_engine_predicts_what_a_loader_of_the_trainer_holds(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing else: a loader of a script's own, a stream, a method of its own."""
    passed: list[str] = []
    theirs = transformers.Trainer.evaluation_loop

    def recorded(trainer: Any, *args: Any, **named: Any) -> Any:
        passed.append("transformers")
        return theirs(trainer, *args, **named)

    monkeypatch.setattr(transformers.Trainer, "evaluation_loop", recorded)
    trainer = make()
    trainer.evaluate()
    trainer.predict(rows_of(5))
    assert passed == []
    trainer.evaluate(Stream(5))
    trainer.evaluation_loop(own_loader(trainer, rows_of(5)), "Evaluation")
    trainer.prediction_step = trainer.prediction_step
    trainer.evaluate()
    assert passed == ["transformers"] * 3


def test_any_iterable_of_batches_is_evaluated(make: Make) -> None:
    trainer = make()
    batches = [dict(batch) for batch in trainer.get_eval_dataloader()]
    result = trainer.evaluation_loop(batches, "Evaluation")
    expected = trainer.evaluation_loop(trainer.get_eval_dataloader(), "Evaluation")
    np.testing.assert_allclose(result.predictions, expected.predictions, atol=1e-6)


def test_loaders_hold_the_rows_themselves(make: Make) -> None:
    trainer = make(evaluation={"a": rows_of(9), "b": rows_of(5)})
    loader = trainer.get_eval_dataloader("b")
    assert loader.dataset is trainer.eval_dataset["b"]
    assert trainer.num_examples(loader) == 5
    assert trainer.get_train_dataloader().dataset is trainer.train_dataset
    assert [len(batch["labels"]) for batch in trainer.get_test_dataloader(rows_of(9))] == [8, 1]
    shown = [batch["input_ids"] for batch in trainer.get_train_dataloader()]
    theirs = make(library=transformers).get_train_dataloader()
    assert all(torch.equal(one, two["input_ids"]) for one, two in zip(shown, theirs, strict=True))


@pytest.mark.parametrize("name", ["train", "eval", "test"])
def test_what_is_missing_is_reported(make: Make, name: str) -> None:
    trainer = make()
    trainer.train_dataset = trainer.eval_dataset = None
    arguments = (None,) if name == "test" else ()
    with pytest.raises(ValueError, match=f"R135 Trainer: there is no {name}_dataset"):
        getattr(trainer, f"get_{name}_dataloader")(*arguments)


def test_rows_that_the_model_cannot_read_are_reported_before_they_are_read(make: Make) -> None:
    with pytest.raises(ValueError, match="R133 evaluation: no column is one that the model takes"):
        make().evaluate([{"text": "a"}])


def test_nothing_is_pinned_for_a_processor(tmp_path: Path) -> None:
    """Where torch would warn; what the arguments say stays."""
    args = tunesmith.TrainingArguments(str(tmp_path), max_steps=1, report_to="none")
    trainer = tunesmith.Trainer(model_of(), args, train_dataset=rows_of())
    loader = trainer.get_train_dataloader()
    assert loader.pin_memory == (args.device.type != "cpu") and args.dataloader_pin_memory
    assert len(list(loader)) == 4


def test_accelerate_is_set_as_the_arguments_say_after_any_other_use(make: Make) -> None:
    trainer = make()
    first = trainer.current_accelerator()
    assert trainer.current_accelerator() is first
    make_accelerator(device="cpu", precision="bf16")  # another run of this process
    second = trainer.current_accelerator()
    assert second is not first and second.mixed_precision == "no"
    tunesmith.TrainingArguments("out", use_cpu=True)  # which resets it
    assert trainer.current_accelerator().device.type == "cpu"
    trainer._running = "ours"
    make_accelerator(device="cpu", precision="bf16")
    assert trainer.current_accelerator() is trainer.accelerator  # not while it trains


def test_nothing_is_compiled(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BACKEND", "MODE"):
        monkeypatch.setenv(f"ACCELERATE_DYNAMO_{name}", "")
        monkeypatch.delenv(f"ACCELERATE_DYNAMO_{name}")
    trainer = make(torch_compile=True)
    assert trainer.accelerator.state.dynamo_plugin.backend == DynamoBackend.NO


@pytest.mark.parametrize("half", [False, True])
def test_an_evaluation_in_the_midst_of_a_training_leaves_it_as_it_was(
    make: Make, half: bool
) -> None:
    """By transformers' loop over other rows: on the plain model, put back afterwards."""
    modes: list[bool] = []

    class Evaluates(TrainerCallback):
        trainer: Any = None

        def on_step_end(self, *_given: Any, model: Any, **_more: Any) -> None:
            modes.append(model.training)
            self.trainer.evaluation_loop(own_loader(self.trainer, rows_of(9)), "Evaluation")
            modes.append(model.training)

    evaluates = Evaluates()
    trainer = make(evaluates, bf16=half)
    evaluates.trainer = trainer
    trainer.train()
    alone = make(bf16=half)
    alone.train()
    assert modes == [True] * 8
    for one, two in zip(trainer.model.parameters(), alone.model.parameters(), strict=True):
        assert torch.equal(one, two)
    assert "forward" not in vars(trainer.model)


def test_half_precision_is_that_of_the_arguments_after_training_too(make: Make) -> None:
    """Whichever loop evaluates finds the model plain and puts the precision on by itself."""
    trainer = make(bf16=True)
    trainer.train()
    seen = [
        trainer.evaluation_loop(make_loader(), "Evaluation", False).predictions
        for make_loader in (lambda: own_loader(trainer, rows_of(9)), trainer.get_eval_dataloader)
        for _again in range(2)
    ]
    np.testing.assert_array_equal(seen[0], seen[1])
    np.testing.assert_array_equal(seen[2], seen[3])
    np.testing.assert_allclose(np.sort(seen[0], axis=0), np.sort(seen[2], axis=0), atol=2e-2)
    assert torch.from_numpy(seen[0]).bfloat16().float().equal(torch.from_numpy(seen[0]))
    assert "forward" not in vars(trainer.model)
