from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers

import tunesmith
from tests.interop.trainer.scripts import arguments, compare, rows_of
from tunesmith.interop.trainer.arguments import Seq2SeqTrainingArguments


def t5() -> Any:
    transformers.set_seed(3)
    return transformers.T5ForConditionalGeneration(
        transformers.T5Config(
            vocab_size=40, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2,
            decoder_start_token_id=0, dropout_rate=0.0,
        )
    )  # fmt: skip


def script(library: Any, folder: Path) -> Any:
    """As the example script for summaries has it: texts are generated and scored."""
    rows = [row | {"labels": row["input_ids"][:6]} for row in rows_of(12)]
    return library.Seq2SeqTrainer(
        t5(),
        arguments(
            library, folder, "Seq2SeqTrainingArguments", max_steps=2, predict_with_generate=True,
            generation_max_length=7, generation_num_beams=2, eval_strategy="steps", eval_steps=1,
        ),
        train_dataset=rows, eval_dataset=rows,
        data_collator=transformers.default_data_collator,
        compute_metrics=lambda answers: {"mean": float(answers.predictions.mean())},
    )  # fmt: skip


def test_texts_are_generated_as_with_transformers(tmp_path: Path) -> None:
    ours, theirs = compare(script, tmp_path)
    output, expected = (
        trainer.predict(trainer.eval_dataset, max_length=9, num_beams=1)
        for trainer in (ours, theirs)
    )
    assert output.predictions.shape == expected.predictions.shape == (12, 20)
    np.testing.assert_array_equal(output.predictions, expected.predictions)
    np.testing.assert_array_equal(output.label_ids, expected.label_ids)
    assert isinstance(ours, transformers.Seq2SeqTrainer) and isinstance(ours, tunesmith.Trainer)


def test_its_arguments_take_older_names_too(logged: Any) -> None:
    args = Seq2SeqTrainingArguments(
        "out", evaluation_strategy="epoch", predict_with_generate=True, generation_num_beams=4
    )
    assert isinstance(args, transformers.Seq2SeqTrainingArguments)
    assert isinstance(args, tunesmith.TrainingArguments)
    assert (args.eval_strategy, args.generation_num_beams) == ("epoch", 4)
    assert len(logged()) == 1 and "evaluation_strategy" in logged()[0]
    with pytest.raises(ValueError, match=r'R130.*\n  did you mean "generation_num_beams"'):
        Seq2SeqTrainingArguments("out", generation_num_beam=4)
