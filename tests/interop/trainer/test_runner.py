from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import DataCollatorWithPadding
from transformers.trainer_pt_utils import LabelSmoother

from tests.interop.trainer.conftest import MakeModel
from tests.training.stepping import update
from tunesmith.errors import RecipeError
from tunesmith.interop.trainer.arguments import TrainingArguments
from tunesmith.interop.trainer.datasets import DataSets
from tunesmith.interop.trainer.engines import make_plan
from tunesmith.interop.trainer.runner import Runner
from tunesmith.training.device import make_accelerator
from tunesmith.training.fast.engine import FastEngine
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
def test_whoever_predicts_answers_as_the_plain_model(
    make_model: MakeModel, pairs: Any, tokenizer: Any, exact: bool, told: Any
) -> None:
    """Before a training, in it, dressed and at rest, for rows it knows and others, and after."""
    model = make_model()
    desk = Desk(model, pairs, tokenizer, exact=exact)
    plain = {name: value.clone() for name, value in model.state_dict().items()}
    expected = [desk.logits(rows) for rows in (desk.rows, desk.others)]
    engine = desk.begin()
    assert isinstance(engine, FastEngine) == desk.runner.is_fast == (not exact)
    assert ("the exact engine is used: it was asked for" in told()) == exact
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


def test_half_precision_is_taken_off_again(
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
    make_model: MakeModel, pairs: Any, tokenizer: Any, later: bool, told: Any
) -> None:
    """Hooks see padded batches, and those put there between two predictions are called."""
    seen: list[int] = []
    model = make_model()
    desk = Desk(model, pairs, tokenizer)
    expected = desk.logits(desk.rows) if later else None
    handle = model.bert.embeddings.register_forward_hook(
        lambda _module, _inputs, outputs: seen.append(outputs.dim())
    )
    found = desk.logits(desk.rows)
    assert set(seen) == {3}
    if expected is not None:
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert not isinstance(desk.begin(), FastEngine)
    assert "the exact engine is used: the model or a weight has hooks" in told()
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
