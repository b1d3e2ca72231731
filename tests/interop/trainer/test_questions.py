from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import transformers
from transformers import BertConfig, BertForQuestionAnswering, default_data_collator, set_seed

import tunesmith
from tests.interop.trainer.scripts import arguments, compare_logs, trained_by


def script(library: Any, folder: Path) -> Any:
    """As run_qa.py has it: start and end positions, every window filled up to one length."""
    draw = np.random.default_rng(0)
    rows = []
    for length in draw.integers(5, 12, 20).tolist():
        start, end = sorted(draw.integers(0, length, 2).tolist())
        rows.append(
            {
                "input_ids": [*draw.integers(1, 13, length).tolist(), *[0] * (12 - length)],
                "attention_mask": [1] * length + [0] * (12 - length),
                "start_positions": start,
                "end_positions": end,
            }
        )
    set_seed(1)
    model = BertForQuestionAnswering(
        BertConfig(
            vocab_size=13, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=16, hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
    )  # fmt: skip
    return library.Trainer(
        model,
        arguments(library, folder, eval_strategy="steps", eval_steps=2),
        train_dataset=rows, eval_dataset=rows[:7], data_collator=default_data_collator,
        compute_metrics=lambda answers: {
            "starts": float((answers.predictions[0].argmax(1) == answers.label_ids[0]).mean()),
            "ends": float((answers.predictions[1].argmax(1) == answers.label_ids[1]).mean()),
        },
    )  # fmt: skip


def test_answers_are_learned_as_with_transformers(tmp_path: Path) -> None:
    """Weights are not compared: what shifts all logits alike has a gradient of rounding alone."""
    ours, theirs = (
        trained_by(library, script, tmp_path)[0].state.log_history
        for library in (tunesmith, transformers)
    )
    compare_logs(ours, theirs)
