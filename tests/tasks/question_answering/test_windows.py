"""Windows are those of run_qa.py, which this file writes down once more with a tokenizer alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer

from tests.tasks.question_answering.asked import ROLES, asked_rows
from tunesmith.data.encoded import Encoded
from tunesmith.data.rows import Row
from tunesmith.errors import DataError
from tunesmith.models import load_tokenizer, locate
from tunesmith.tasks.question_answering.rows import Asked, Span, read_asked
from tunesmith.tasks.question_answering.windows import encode_asked

LENGTH, STRIDE = 32, 6


@pytest.fixture(scope="module")
def tokenizer(tiny_bert: Path) -> Any:
    return load_tokenizer(locate(str(tiny_bert)))


def encode(questions: list[Asked], tokenizer: Any, **more: int) -> Encoded:
    settings = {"stride": STRIDE, **more}
    return encode_asked(
        questions, range(len(questions)), tokenizer, LENGTH, labeled=True, **settings
    )


def features_of_run_qa(questions: list[Asked], folder: Path) -> list[tuple[Any, ...]]:
    """Row, ids, types, and the first and last token of the answer of each window."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)  # which remembers how it truncated
    encoded = tokenizer(
        [one.question for one in questions], [one.context for one in questions],
        truncation="only_second", max_length=LENGTH, stride=STRIDE,
        return_overflowing_tokens=True, return_offsets_mapping=True,
    )  # fmt: skip
    features = []
    for i, row in enumerate(encoded["overflow_to_sample_mapping"]):
        offsets, owners = encoded["offset_mapping"][i], encoded.sequence_ids(i)
        context = [place for place, owner in enumerate(owners) if owner == 1]
        answers = questions[row].answers
        first = last = 0
        if answers:
            starts = [p for p in context if offsets[p][0] <= answers[0].start]
            ends = [p for p in context if offsets[p][1] >= answers[0].end]
            if starts and ends:
                first, last = max(starts), min(ends)
        ids, types = encoded["input_ids"][i], encoded["token_type_ids"][i]
        features.append((row, ids, types, (first, last)))
    return features


def test_windows_and_targets_are_those_of_run_qa(tokenizer: Any, tiny_bert: Path) -> None:
    questions = [read_asked(Row(i, row), ROLES) for i, row in enumerate(asked_rows())]
    encoded, expected = encode(questions, tokenizer), features_of_run_qa(questions, tiny_bert)
    assert len(expected) > 2 * len(questions)
    windows = zip(
        encoded.rows.tolist(),
        [one.tolist() for one in encoded.ragged["input_ids"].split()],
        [one.tolist() for one in encoded.ragged["token_type_ids"].split()],
        map(tuple, encoded.fixed["labels"].tolist()),
        strict=True,
    )
    assert list(windows) == expected


def test_tokens_know_their_characters(tokenizer: Any) -> None:
    context = "the printer,  is broken \U0001f600 now"
    (one,) = encode([Asked("what?", context)], tokenizer).aside["spans"].split()
    words = [context[start:end] for start, end in one.reshape(-1, 2).tolist()]
    assert words[:6] == ["the", "printer", ",", "is", "broken", "\U0001f600"]
    assert "".join(words[6:]) == "now"


def test_an_answer_at_either_end_of_a_context_is_found(tokenizer: Any) -> None:
    context = "the printer is broken again"
    questions = [
        Asked("what?", context, (Span("the", 0),)),
        Asked("how?", context, (Span(" again", 21),)),
        Asked("how?", context, (Span("the printer is broken again", 0),)),
    ]
    encoded = encode(questions, tokenizer)
    first = encoded.aside["window"].flat.reshape(-1, 3)[:, 0]
    assert (encoded.fixed["labels"] - first[:, None]).tolist() == [[0, 0], [4, 4], [0, 4]]


def test_a_question_of_more_than_half_a_window_is_refused(tokenizer: Any) -> None:
    with pytest.raises(
        DataError, match=r"D354 \[0\]: the question has 17 tokens, more than half of 32"
    ):
        encode([Asked("the " * 17, "printer")], tokenizer)
    assert len(encode([Asked("the " * 16, "printer")], tokenizer).rows) == 1


def test_windows_go_on_where_the_stride_is_longer_than_they_are(tokenizer: Any) -> None:
    encoded = encode([Asked("what?", "the printer is new " * 20)], tokenizer, stride=128)
    places = encoded.aside["window"].flat.reshape(-1, 3)
    assert np.all(np.diff(places[:, 1]) > 0) and places[-1, 1] + places[-1, 2] == 80


def test_a_context_without_tokens_is_one_window(tokenizer: Any) -> None:
    encoded = encode([Asked("what?", "\u200b", (Span("\u200b", 0),))], tokenizer)
    assert encoded.fixed["labels"].tolist() == [[0, 0]] and len(encoded.aside["spans"].flat) == 0
