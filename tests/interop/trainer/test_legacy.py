from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import tunesmith
from tests.interop.trainer.scripts import arguments, model_of, rows_of
from tunesmith.interop.trainer.legacy import NOT_OFFERED


@pytest.fixture
def trainer(tmp_path: Path) -> tunesmith.Trainer:
    return tunesmith.Trainer(
        model_of(), arguments(tunesmith, tmp_path), train_dataset=rows_of(), processing_class="one"
    )


def test_every_public_name_of_transformers_is_there_or_refused(trainer: Any) -> None:
    theirs = transformers.Trainer(
        model_of(), arguments(transformers, Path(trainer.args.output_dir)), train_dataset=rows_of()
    )
    names = {name for name in dir(theirs) if not name.startswith("__")}
    assert len(names) > 100
    assert [name for name in names if not hasattr(trainer, name)] == []
    for name in NOT_OFFERED:
        with pytest.raises(ValueError, match=f"R197 Trainer: {name} is not offered here\n  Make"):
            getattr(trainer, name)(n_trials=3)


def test_the_tokenizer_is_the_processing_class(trainer: Any) -> None:
    assert trainer.tokenizer == trainer.processing_class == "one"
    trainer.tokenizer = "two"
    assert trainer.processing_class == "two"


def test_what_evaluation_loops_of_transformers_4_call(trainer: Any) -> None:
    ids = torch.tensor([[1, 2]])
    assert torch.equal(trainer._nested_gather(ids), ids)
    assert trainer._nested_gather(None) is None
    assert torch.equal(trainer._pad_across_processes(ids), ids)


def test_a_name_that_is_gone_says_where_it_went(trainer: Any) -> None:
    with pytest.raises(AttributeError, match=r'R196 Trainer: .*"prediction_loop"') as caught:
        trainer.prediction_loop  # noqa: B018
    assert "see evaluation_loop" in str(caught.value) and isinstance(caught.value, ValueError)


def test_a_name_that_never_was_says_which_is_near(trainer: Any) -> None:
    with pytest.raises(AttributeError, match=r'R196.*"evalute"\n  did you mean "evaluate"\?'):
        trainer.evalute  # noqa: B018
    with pytest.raises(AttributeError) as caught:
        trainer._own_flag  # noqa: B018
    assert "did you mean" not in str(caught.value)
    assert not hasattr(trainer, "_own_flag") and getattr(trainer, "x", 3) == 3
