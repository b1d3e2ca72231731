from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import DataCollatorWithPadding, TrainerCallback
from transformers.data.data_collator import default_data_collator
from transformers.trainer_pt_utils import LabelSmoother

import tunesmith as ts
from tests.interop.trainer.conftest import MakeModel
from tests.training.stepping import update
from tunesmith.data.batches import Batch
from tunesmith.errors import RecipeError
from tunesmith.interop.trainer import runner
from tunesmith.interop.trainer.arguments import TrainingArguments
from tunesmith.interop.trainer.datasets import DataSets
from tunesmith.interop.trainer.runner import Runner
from tunesmith.interop.trainer.steps import make_plan
from tunesmith.training import choose_engine
from tunesmith.training.device import make_accelerator
from tunesmith.training.fast.engine import FastEngine
from tunesmith.training.fast.graphs.engine import GraphedEngine
from tunesmith.training.optimizer import adamw


class Desk:
    """A Trainer as far as a runner needs it, and one more."""

    def __init__(
        self, model: Any, pairs: Any, tokenizer: Any, *, exact: bool = False, **more: Any
    ) -> None:
        self.model = model
        self.args: Any = TrainingArguments("out", use_cpu=True, **more)
        self.data_collator = DataCollatorWithPadding(tokenizer)
        self.processing_class = tokenizer
        self.label_names = ["labels"]
        self.can_return_loss = self.model_accepts_loss_kwargs = False
        smoothing = self.args.label_smoothing_factor
        self.label_smoother = LabelSmoother(smoothing) if smoothing else None
        self.train_dataset, self.eval_dataset = pairs["train"], pairs["validation"]
        self.accelerator = make_accelerator(
            device="cpu", precision="bf16" if self.args.bf16 else "fp32"
        )
        data = DataSets(self)
        self.rows = data.rows(pairs["train"], "train")
        self.others = data.rows(pairs["validation"], "evaluation")
        self.runner = Runner(self, exact=exact)

    def current_accelerator(self) -> Any:
        return self.accelerator

    def begin(self) -> Any:
        plan = make_plan(self.args, num_examples=len(self.rows), num_processes=1)
        return self.runner.begin(
            self.model, self.rows, plan, evaluated=(), optimizer=self.make_optimizer
        )

    def make_optimizer(self) -> torch.optim.Optimizer:
        self.optimizer = adamw(self.model, self.args)
        return self.optimizer

    def logits(self, rows: Any) -> torch.Tensor:
        with self.runner.forward(self.model, rows) as outputs, torch.no_grad():
            return outputs(next(rows.in_order(8))).per_example["logits"]


@pytest.mark.parametrize("exact", [False, True])
def test_every_way_to_predict_gives_the_outputs_of_the_plain_model(
    make_model: MakeModel, pairs: Any, tokenizer: Any, exact: bool, logged: Any
) -> None:
    """Before, during (patched and unpatched) and after a training, for known and other rows."""
    model = make_model()
    desk = Desk(model, pairs, tokenizer, exact=exact)
    plain = {name: value.clone() for name, value in model.state_dict().items()}
    expected = [desk.logits(rows) for rows in (desk.rows, desk.others)]
    engine = desk.begin()
    assert isinstance(engine, FastEngine) == desk.runner.is_fast == (not exact)
    assert ("the exact engine is used: it is requested" in logged()) == exact
    engine.set_training(True)
    for _again in range(2):
        for rows, logits in zip((desk.rows, desk.others), expected, strict=True):
            torch.testing.assert_close(desk.logits(rows), logits, atol=1e-5, rtol=1e-4)
        with desk.runner.plain_model():
            torch.testing.assert_close(desk.logits(desk.rows), expected[0], atol=1e-5, rtol=1e-4)
    assert model.training
    desk.runner.end(model)
    torch.testing.assert_close(desk.logits(desk.others), expected[1], atol=1e-5, rtol=1e-4)
    assert desk.runner.engine is None
    for name, value in model.state_dict().items():
        assert torch.equal(value, plain[name]), name
    assert "forward" not in vars(model)


def test_half_precision_is_removed_afterwards(
    make_model: MakeModel, pairs: Any, tokenizer: Any
) -> None:
    desk = Desk(make_model(), pairs, tokenizer, bf16=True, exact=True)
    desk.begin()
    assert desk.logits(desk.rows).dtype == torch.float32
    desk.runner.end(desk.model)
    assert not hasattr(desk.model, "_original_forward")
    outputs = desk.model(input_ids=torch.tensor([[2, 3]]))
    assert torch.equal(outputs.logits, outputs.logits.bfloat16().float()) is False


def test_numbers_are_not_smoothed(
    tmp_path: Path, make_model: MakeModel, pairs: Any, tokenizer: Any
) -> None:
    desk = Desk(make_model(num_labels=1), pairs, tokenizer, label_smoothing_factor=0.1)
    with pytest.raises(RecipeError, match=r"R131.*label_smoothing_factor"):
        desk.begin()


@pytest.mark.parametrize("later", [False, True])
def test_a_model_with_hooks_is_run_as_it_is(
    make_model: MakeModel, pairs: Any, tokenizer: Any, later: bool, logged: Any
) -> None:
    """Hooks see padded batches, and those put there between two predictions are called."""
    seen: list[int] = []
    model = make_model()
    desk = Desk(model, pairs, tokenizer)
    expected = desk.logits(desk.rows) if later else None
    handle = model.bert.embeddings.register_forward_hook(
        lambda _module, _inputs, outputs: seen.append(outputs.dim())
    )
    logits = desk.logits(desk.rows)
    assert set(seen) == {3}
    if expected is not None:
        torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-4)
    assert not isinstance(desk.begin(), FastEngine)
    assert "the exact engine is used: the model or a weight has hooks" in logged()
    desk.runner.end(model)
    handle.remove()
    assert isinstance(desk.begin(), FastEngine)
    desk.runner.end(model)


def test_an_optimizer_holds_the_weights_of_the_model_afterwards(
    make_model: MakeModel, pairs: Any, tokenizer: Any
) -> None:
    """Also where the engine trained the rows of the table that occur, and no others."""
    model = make_model()
    desk = Desk(model, pairs, tokenizer)
    engine = desk.begin()
    engine.set_training(True)
    batch = next(desk.rows.in_order(8))
    engine.accumulate(batch, 1 / batch.num_targets, is_last=True)
    update(engine, 0.0)
    table = model.get_input_embeddings().weight
    assert len(table) < len(tokenizer)
    desk.runner.end(model)
    held = {id(p) for group in desk.optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in model.parameters()}
    table = model.get_input_embeddings().weight
    state = desk.optimizer.state[table]
    assert state["exp_avg"].shape == table.shape == (len(tokenizer), table.shape[1])
    occurring = torch.zeros(len(tokenizer), dtype=torch.bool)
    occurring[batch.inputs["input_ids"][batch.inputs["attention_mask"].bool()]] = True
    assert ((state["exp_avg"].abs().sum(dim=1) > 0) == occurring).all()


@pytest.mark.parametrize(
    ("inputs", "collate", "half", "reason"),
    [
        ({}, default_data_collator, False, "the rows have no attention_mask"),
        ({"attention_mask": 1, "pixels": 1}, default_data_collator, False, "pixels"),
        ({"attention_mask": 1}, dict, False, "the collator may change the rows"),
        ({"attention_mask": 1}, default_data_collator, True, "the weights are not float32"),
        ({"attention_mask": 1}, default_data_collator, False, None),
    ],
)
def test_why_the_fast_engine_is_not_tried(
    make_model: MakeModel, inputs: dict[str, int], collate: Any, half: bool, reason: str | None
) -> None:
    ids = torch.ones((2, 3), dtype=torch.long)
    some = Batch({"input_ids": ids, **dict.fromkeys(inputs, ids)}, None, 2, 6, np.arange(2))
    model = make_model().half() if half else make_model()
    why = runner._against_fast(model, some, collate)
    assert why is None if reason is None else reason in str(why)


def over_static_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, but called where it would be recorded."""
    monkeypatch.setattr(choose_engine, "against_graphs", lambda *_given, **_named: None)


def trained(
    make_model: MakeModel, pairs: Any, tokenizer: Any, folder: Path, **more: Any
) -> ts.Trainer:
    trainer = ts.Trainer(
        make_model(),
        ts.TrainingArguments(
            str(folder), use_cpu=True, num_train_epochs=2, per_device_train_batch_size=7,
            learning_rate=1e-3, weight_decay=0.1, logging_steps=1, logging_strategy="steps",
            eval_strategy="epoch", save_strategy="epoch", report_to="none",
        ),
        DataCollatorWithPadding(tokenizer), pairs["train"], pairs["validation"],
        processing_class=tokenizer, **more,
    )  # fmt: skip
    trainer.train()
    return trainer


class Meddling(TrainerCallback):
    """Freezes the embeddings after an epoch, and halves learning rates and decay from then on."""

    def on_epoch_end(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
        parts["model"].get_input_embeddings().weight.requires_grad_(False)
        for group in parts["optimizer"].param_groups:
            group["weight_decay"] /= 2

    def on_step_begin(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
        for group in parts["optimizer"].param_groups:
            assert isinstance(group["lr"], float)
            group["lr"] *= 0.5


@pytest.mark.parametrize("callbacks", [[], [Meddling()]], ids=["alone", "with a callback"])
def test_a_trainer_over_static_memory_trains_the_same(
    callbacks: list[TrainerCallback],
    make_model: MakeModel,
    pairs: Any,
    tokenizer: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Losses, evaluations, weights, and an optimizer that anyone can go on with."""
    plain = trained(make_model, pairs, tokenizer, tmp_path / "plain", callbacks=callbacks)
    over_static_memory(monkeypatch)
    engines: list[Any] = []
    begin = Runner.begin
    monkeypatch.setattr(
        Runner,
        "begin",
        lambda *args, **named: engines.append(begin(*args, **named)) or engines[0],
    )
    static = trained(make_model, pairs, tokenizer, tmp_path / "static", callbacks=callbacks)
    (engine,) = engines
    assert isinstance(engine, GraphedEngine) and engine._passes and engine.sync_every == 1
    for name in ("loss", "eval_loss", "learning_rate", "grad_norm"):
        theirs, ours = (
            [entry[name] for entry in trainer.state.log_history if name in entry]
            for trainer in (plain, static)
        )
        assert len(theirs) in (2, 18)
        np.testing.assert_allclose(ours, theirs, rtol=2e-3)
    for one, two in zip(plain.model.parameters(), static.model.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-4)
    optimizer = static.optimizer
    assert optimizer.grad_scale is None and optimizer.found_inf is None
    assert not any(group["capturable"] for group in optimizer.param_groups)
    assert all(p.grad is None for p in static.model.parameters())


def test_the_longest_row_is_known_unless_rows_are_made_on_the_way_out(
    make_model: MakeModel, pairs: Any, tokenizer: Any
) -> None:
    desk = Desk(make_model(), pairs, tokenizer)
    assert desk.rows.longest == max(len(ids) for ids in pairs["train"]["input_ids"])
    lazy = pairs["train"].with_transform(lambda rows: rows)
    assert DataSets(desk).rows(lazy, "train").longest is None
