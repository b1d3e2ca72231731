"""Texts in windows: every word counts once, and comes back with its own prediction."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tests.conftest import make_tiny_bert
from tunesmith.data.batches import IGNORED, Examples
from tunesmith.data.encoded import Encoded, Ragged, hold_in_memory
from tunesmith.metrics.entities import Entity
from tunesmith.tasks.token_classification.rows import MarkedText, joined, words_of
from tunesmith.tasks.token_classification.windows import encode_marked, join_windows

LABELS = 40
"""More than words of a text, so that a label says which word it is of."""


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return AutoTokenizer.from_pretrained(make_tiny_bert(tmp_path_factory.mktemp("windows")))


@pytest.fixture(scope="module")
def byte_level() -> Any:
    """A tokenizer of bytes: an emoji has four pieces with the same characters."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: i for i, piece in enumerate(["<s>", "</s>", "<pad>", *letters])}
    inner = Tokenizer(models.BPE(vocabulary, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>")


def of_tokens(words: Sequence[str]) -> MarkedText:
    text, spans = joined(words)
    return MarkedText(text, spans, (), has_tokens=True)


def of_text(text: str) -> MarkedText:
    return MarkedText(text, words_of(text), (), has_tokens=False)


def by_number(_text: MarkedText, units: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    numbers = [i % LABELS for i in range(len(units))]
    return numbers, numbers


def first_only(text: MarkedText, units: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    firsts, _rest = by_number(text, units)
    return firsts, [IGNORED] * len(firsts)


def encode(
    texts: Sequence[MarkedText],
    tokenizer: Any,
    max_length: int,
    labels: Any = by_number,
    **more: Any,
) -> Encoded:
    options = {"by_words": False, **more}
    return encode_marked(texts, range(len(texts)), tokenizer, max_length, labels, **options)


def back(encoded: Encoded) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The labels of units that come back if each piece is predicted to be what it is labeled."""
    labels = encoded.ragged["labels"].split()
    counted = [each[each != IGNORED] for each in labels]
    flat = np.concatenate(counted)
    logits = np.zeros((len(flat), LABELS), dtype=np.float32)
    logits[np.arange(len(flat)), flat] = 9.0
    lengths = np.array([len(each) for each in counted], dtype=np.int64)
    values, spans = join_windows(
        Ragged(logits, lengths), Examples(hold_in_memory(encoded)), inside_of=np.arange(LABELS)
    )
    return [each.argmax(-1) for each in values.split()], spans.split()


@pytest.mark.parametrize("max_length", [6, 9, 16, 64])
@pytest.mark.parametrize("labels", [by_number, first_only])
def test_every_word_comes_back_with_its_own_label(bert: Any, max_length: int, labels: Any) -> None:
    draw = random.Random(max_length)
    texts = [
        of_tokens(["".join(draw.choices("abc.", k=draw.randint(1, 5))) for _ in range(count)])
        for count in (1, 2, 13, 30, 39, 3)
    ]
    encoded = encode(texts, bert, max_length, labels)
    assert max(encoded.ragged["input_ids"].lengths) <= max_length
    numbers, spans = back(encoded)
    for text, each, places in zip(texts, numbers, spans, strict=True):
        assert each.tolist() == list(range(len(text.words)))
        assert [tuple(place) for place in places.tolist()] == list(text.words)


@pytest.mark.parametrize("max_length", [7, 12, 64])
def test_windows_hold_each_piece_once_and_overlap(bert: Any, max_length: int) -> None:
    text = of_tokens(list("abcdefghijklmnopqrstuvwxyz") * 2)
    encoded = encode([text], bert, max_length)
    counted = sum((each != IGNORED).sum() for each in encoded.ragged["labels"].split())
    whole = bert(text.text)["input_ids"]
    assert counted == len(whole) - 2
    windows = [each.tolist() for each in encoded.ragged["input_ids"].split()]
    assert all(window[0] == whole[0] and window[-1] == whole[-1] for window in windows)
    if max_length < len(whole):
        assert sum(len(window) - 2 for window in windows) > len(whole) - 2


def test_pieces_count_where_they_are_far_from_the_ends(bert: Any) -> None:
    encoded = encode([of_tokens(list("abcdefghijklmnopqrstuvwxyz"))], bert, 10)
    for number, labels in enumerate(encoded.ragged["labels"].split()):
        inside = np.flatnonzero(labels != IGNORED)
        assert number == 0 or inside[0] >= 2
    first = encoded.ragged["labels"].split()[0]
    assert first[8] == IGNORED and first[7] != IGNORED


def test_a_text_gives_the_ids_of_its_tokenizer(bert: Any, byte_level: Any) -> None:
    for tokenizer in (bert, byte_level):
        (ids,) = encode([of_text("broken again, 😀 ok")], tokenizer, 64).ragged["input_ids"].split()
        assert ids.tolist() == tokenizer("broken again, 😀 ok")["input_ids"]


def test_the_pieces_of_an_emoji_have_the_same_place(byte_level: Any) -> None:
    (numbers,), (spans,) = back(encode([of_text("a 😀b")], byte_level, 64))
    assert spans.tolist() == [[0, 1], [2, 2], [2, 3], [2, 3], [2, 3], [2, 3], [3, 4]]
    assert numbers.tolist() == list(range(7))


def test_words_without_a_piece_are_outside(byte_level: Any, bert: Any) -> None:
    (numbers,), (spans,) = back(encode([of_tokens(["a", "\u200b", "b"])], bert, 64))
    assert numbers.tolist()[::2] == [0, 2] and len(spans) == 3
    (numbers,), _spans = back(encode([of_tokens(["a", "", "b"])], byte_level, 64))
    assert numbers.tolist() == [0, 0, 2]


def test_words_within_one_piece_continue_it(bert: Any) -> None:
    text = of_tokens(["年", "1", "9", "年"])
    vocabulary = bert.get_vocab()
    assert "19" not in vocabulary  # pieces are letters here: "1" and "##9"
    whole = MarkedText("broken", [(0, 3), (3, 6)], (Entity(0, 6, "A"),), has_tokens=True)
    encoded = encode([whole, text], bert, 64)
    heads = Examples(hold_in_memory(encoded)).prepared.aside("heads").split()
    assert heads[0].tolist() == [0, -2]
    logits = np.array([[0.0, 5.0, 1.0]] + [[3.0, 0, 0]] * 4, dtype=np.float32)
    values, _spans = join_windows(
        Ragged(logits, np.array([1, 4])),
        Examples(hold_in_memory(encoded)),
        inside_of=np.array([0, 2, 2]),
    )
    first, second = values.split()[0]
    assert first.argmax() == 1 and second.argmax() == 2
    assert second[2] == pytest.approx(np.logaddexp(5, 1))


def test_texts_by_words_of_the_tokenizer(bert: Any) -> None:
    (numbers,), (spans,) = back(
        encode([of_text("brokenabc again.")], bert, 64, first_only, by_words=True)
    )
    assert spans.tolist() == [[0, 9], [10, 15], [15, 16]] and numbers.tolist() == [0, 1, 2]


def test_some_examples_of_many_are_joined(bert: Any) -> None:
    texts = [of_tokens(list("abcdefgh") * count) for count in (1, 4, 2)]
    encoded = encode(texts, bert, 12)
    whole = Examples(hold_in_memory(encoded))
    some = whole.of_rows(np.array([1, 2]))
    counted = [each[each != IGNORED] for each in encoded.ragged["labels"].split()]
    counted = [counted[i] for i in some.indices] if some.indices is not None else counted
    lengths = np.array([len(each) for each in counted])
    logits = np.eye(LABELS, dtype=np.float32)[np.concatenate(counted)]
    values, _spans = join_windows(Ragged(logits, lengths), some, inside_of=np.arange(LABELS))
    assert [each.argmax(-1).tolist() for each in values.split()] == [
        list(range(32)),
        list(range(16)),
    ]
