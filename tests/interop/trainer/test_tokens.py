from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from transformers import (
    BertConfig,
    BertForTokenClassification,
    BertTokenizerFast,
    DataCollatorForTokenClassification,
    set_seed,
)

from tests.interop.trainer.scripts import arguments, compare
from tunesmith.metrics.entities import ENTITY_METRICS, entities_of_tags, score_columns

WORDS = "soup rice table tonight printer broken again please".split()
LABELS = ["O", "B-A", "I-A"]


def tokenizer(folder: Path) -> Any:
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "##s", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(names), encoding="utf-8")
    return BertTokenizerFast(str(folder / "vocab.txt"))


def scores(answers: Any) -> dict[str, float]:
    """Of first pieces, as run_ner.py."""
    rows = []
    for logits, labels in zip(answers.predictions, answers.label_ids, strict=True):
        true, predicted = (
            [LABELS[i] for i in ids[labels != -100]] for ids in (labels, logits.argmax(-1))
        )
        words = [(i, i + 1) for i in range(len(true))]
        rows.append((words, entities_of_tags(true), entities_of_tags(predicted)))
    columns = score_columns(["A"], rows)
    return {name: ENTITY_METRICS[name].function(columns, columns, 1) for name in ("f1", "accuracy")}


def script(library: Any, folder: Path) -> Any:
    """As run_ner.py has it: the first piece of each word is labeled."""
    tokens = tokenizer(folder)
    draw = np.random.default_rng(0)
    rows = []
    for count in draw.integers(2, 9, 20).tolist():
        words = [word + "s" * int(draw.integers(2)) for word in draw.choice(WORDS, count)]
        encoded = tokens(words, is_split_into_words=True)
        numbers = encoded.word_ids()
        tags = [int(word in ("soup", "rices")) for word in words]
        labels = [
            -100 if word is None or word == before else tags[word]
            for word, before in zip(numbers, [None, *numbers], strict=False)
        ]
        rows.append({**encoded, "labels": labels})
    set_seed(1)
    model = BertForTokenClassification(
        BertConfig(
            vocab_size=14, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=32, num_labels=3,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        )
    )  # fmt: skip
    return library.Trainer(
        model,
        arguments(library, folder, eval_strategy="steps", eval_steps=2),
        train_dataset=rows, eval_dataset=rows[:7],
        data_collator=DataCollatorForTokenClassification(tokens), processing_class=tokens,
        compute_metrics=scores,
    )  # fmt: skip


def test_tags_are_learned_as_with_transformers(tmp_path: Path) -> None:
    compare(script, tmp_path)
