from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import WORDS
from tunesmith.models import load_tokenizer, locate
from tunesmith.models.inspect_tokens import inspect_texts

words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=30).map(" ".join)
LIGHT = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)


@LIGHT
@given(texts=st.lists(words, min_size=1, max_size=2), limit=st.integers(6, 64))
def test_what_is_kept_and_what_is_cut_are_the_whole(
    texts: list[str], limit: int, tiny_bert: Path
) -> None:
    tokenizer = load_tokenizer(locate(str(tiny_bert)))
    result = inspect_texts(tokenizer, texts, limit)
    assert len(result.ids) == len(result.tokens) == len(result.sequences) <= limit
    assert list(result.mask) == [1] * len(result.ids)
    for number, text in enumerate(texts):
        pairs = zip(result.tokens, result.sequences, strict=True)
        own = [token for token, at in pairs if at == number]
        assert own + list(result.cut[number]) == tokenizer.tokenize(text)
    encoded = tokenizer(*texts, truncation="longest_first", max_length=limit)
    assert list(result.ids) == encoded["input_ids"]
    assert list(result.types or ()) == encoded["token_type_ids"]


def test_unknown_letters_are_counted(tiny_bert: Path) -> None:
    tokenizer = load_tokenizer(locate(str(tiny_bert)))
    assert inspect_texts(tokenizer, ["the 汤 is cold 汤"], 20).unknown == 2
