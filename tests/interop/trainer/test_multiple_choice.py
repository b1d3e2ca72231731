from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from transformers import (
    BertConfig,
    BertForMultipleChoice,
    BertTokenizerFast,
    DataCollatorForMultipleChoice,
    set_seed,
)

from tests.interop.trainer.scripts import arguments, compare

WORDS = "soup rice table tonight printer broken again please".split()


def tokenizer(folder: Path) -> Any:
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(names))
    return BertTokenizerFast(str(folder / "vocab.txt"))


def script(library: Any, folder: Path) -> Any:
    """As run_swag.py has it: each row is a list of encodings, of equally many choices."""
    tokens = tokenizer(folder)
    draw = np.random.default_rng(0)
    rows = []
    for label in draw.integers(0, 3, 20).tolist():
        first = " ".join(draw.choice(WORDS, 4))
        texts = [" ".join(draw.choice(WORDS, 1 + i)) for i in range(3)]
        rows.append({**tokens([first] * 3, texts), "label": label})
    set_seed(1)
    model = BertForMultipleChoice(
        BertConfig(
            vocab_size=13, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=16, hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
    )  # fmt: skip
    return library.Trainer(
        model,
        arguments(library, folder, eval_strategy="steps", eval_steps=2),
        train_dataset=rows, eval_dataset=rows[:7],
        data_collator=DataCollatorForMultipleChoice(tokens), processing_class=tokens,
        compute_metrics=lambda answers: {
            "accuracy": float((answers.predictions.argmax(1) == answers.label_ids).mean())
        },
    )  # fmt: skip


def test_choices_are_learned_as_with_transformers(tmp_path: Path) -> None:
    compare(script, tmp_path)
