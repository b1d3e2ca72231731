from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from tunesmith.data.embedded.questions import SIZES, make_questions
from tunesmith.data.open import open_splits
from tunesmith.models.embedded import embedded_folder

ROWS: dict[str, Any] = make_questions()
TRAIN = ROWS["train"]


def test_answers_are_parts_of_their_contexts() -> None:
    assert {split: len(rows) for split, rows in ROWS.items()} == SIZES
    for row in [row for rows in ROWS.values() for row in rows]:
        for answer in row["answers"]:
            start = answer["answer_start"]
            assert row["context"][start : start + len(answer["text"])] == answer["text"]


def test_each_context_has_several_questions_and_is_in_one_split() -> None:
    contexts = {split: {row["context"] for row in rows} for split, rows in ROWS.items()}
    assert sum(map(len, contexts.values())) == len(set().union(*contexts.values()))
    assert 300 < len(contexts["train"]) < 450
    assert len({(row["context"], row["question"]) for row in TRAIN}) == len(TRAIN)


def test_some_have_no_answer_some_two_and_some_one_that_recurs() -> None:
    counts = [len(row["answers"]) for row in TRAIN]
    assert 0.18 < counts.count(0) / len(TRAIN) < 0.22
    assert counts.count(2) > 30
    answered = [(row["context"], row["answers"][0]["text"]) for row in TRAIN if row["answers"]]
    assert sum(context.count(text) > 1 for context, text in answered) > 100
    assert {row["language"] for row in TRAIN} == {"en", "zh"}


def test_some_answers_are_beyond_token_512() -> None:
    from tokenizers import Tokenizer

    folder = embedded_folder("embedded:mini")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    late = 0
    for row in TRAIN:
        if row["answers"] and row["answers"][0]["answer_start"] > 600:
            before = row["context"][: row["answers"][0]["answer_start"]]
            late += len(tokenizer.encode(before)) > 512
    assert late > 25


@pytest.mark.parametrize("split", SIZES)
def test_it_is_data_of_question_answering(split: str) -> None:
    source = open_splits("embedded:questions")[split]
    types = {column.name: column.type for column in source.columns}
    assert types == {"id": "text", "context": "context", "question": "question",
                     "answers": "answers", "language": "text"}  # fmt: skip
    rows = [row.values for chunk in source.chunks() for row in chunk]
    assert [dict(row) for row in rows] == ROWS[split]


def test_the_same_bytes_on_every_machine() -> None:
    text = json.dumps(ROWS, ensure_ascii=False, sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest() == (
        "63989cc47ec0bd9068720c1b5a61564847b0805bcd43244b273505cc6c3d248c"
    )
