from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainer.conftest import MakeModel
from tunesmith.errors import RecipeError
from tunesmith.fast.engine import FastEngine
from tunesmith.optim import adamw
from tunesmith.trainer.arguments import TrainingArguments
from tunesmith.trainer.engines import make_plan
from tunesmith.trainer.rows import DataSets, collator_for
from tunesmith.trainer.runner import Runner


class Desk:
    """A runner with all that it needs."""

    def __init__(self, model: Any, pairs: Any, tokenizer: Any, **more: Any) -> None:
        self.why: str | None = None
        self.model = model
        self.args = TrainingArguments("out", use_cpu=True, **more)
        data = DataSets(model, self.args, collator_for(tokenizer))
        self.rows = data.rows(pairs["train"], "train")
        self.others = data.rows(pairs["validation"], "evaluation")

        def compute(model: Any, inputs: Any, _targets: int) -> tuple[torch.Tensor, Any]:
            outputs = model(**inputs)
            return outputs["loss"], outputs

        self.runner = Runner(
            self.args, collate=collator_for(tokenizer), compute_loss=compute,
            label_names=data.label_names, why_exact=lambda: self.why,
        )  # fmt: skip

    def begin(self) -> Any:
        plan = make_plan(self.args, num_examples=len(self.rows), num_processes=1)
        return self.runner.begin(
            self.model, self.rows, plan, evaluated=(),
            optimizer=lambda: adamw(self.model, self.args),
        )  # fmt: skip

    def logits(self, rows: Any) -> torch.Tensor:
        with self.runner.forward(self.model, rows) as outputs, torch.no_grad():
            return outputs(next(rows.in_order(8))).kept["logits"]


@pytest.mark.parametrize("asked", [None, "it was asked for"])
def test_whoever_predicts_answers_as_the_plain_model(
    make_model: MakeModel, pairs: Any, tokenizer: Any, asked: str | None, told: Any
) -> None:
    """Before a training, in it, dressed and at rest, for rows it knows and others, and after."""
    model = make_model()
    desk = Desk(model, pairs, tokenizer)
    desk.why = asked
    plain = {name: value.clone() for name, value in model.state_dict().items()}
    expected = [desk.logits(rows) for rows in (desk.rows, desk.others)]
    engine = desk.begin()
    assert isinstance(engine, FastEngine) == (asked is None)
    assert any("the exact engine is used: it was asked for" in line for line in told()) == bool(
        asked
    )
    engine.begin(training=True)
    for _again in range(2):
        for rows, logits in zip((desk.rows, desk.others), expected, strict=True):
            torch.testing.assert_close(desk.logits(rows), logits, atol=1e-5, rtol=1e-4)
        with desk.runner.at_rest():
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
    desk = Desk(make_model(), pairs, tokenizer, bf16=True)
    desk.why = "it was asked for"
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
