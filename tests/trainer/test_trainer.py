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
from tests.trainer.conftest import MakeModel
from tunesmith.errors import RecipeError

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
    kept = [sorted(p.name for p in Path(t.args.output_dir).iterdir()) for t in (trainer, other)]
    assert kept[0] == kept[1]
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
