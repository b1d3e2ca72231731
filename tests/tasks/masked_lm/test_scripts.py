from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.tasks.masked_lm.masking import mask_tokens
from tunesmith.tasks.masked_lm.scripts import masked_lm_parts


class Tokenizer:
    mask_token_id = 4

    def __len__(self) -> int:
        return 50

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        assert not add_special_tokens
        return {"soup": [7, 8], "rice": [9]}.get(text, [])


def corrupt_of(*, whole_words: bool, always: list[str]) -> Any:
    parts = masked_lm_parts(
        mlm_probability=0.3, whole_word_mask=whole_words, always_mask=always, is_pair=False
    )
    assert parts.corrupt is not None
    names: dict[str, Any] = {
        "np": np, "torch": torch, "tokenizer": Tokenizer(),
        **{name: value for name, value, _comment in parts.constants},
    }  # fmt: skip
    exec(parts.corrupt.code, names)
    return names["corrupt"]


@pytest.mark.parametrize("whole_word_mask", [False, True])
@pytest.mark.parametrize("always", [[], ["soup", "rice"]], ids=["some", "always"])
def test_the_script_masks_the_same_tokens(whole_word_mask: bool, always: list[str]) -> None:
    corrupt = corrupt_of(whole_words=whole_word_mask, always=always)

    @settings(max_examples=25)
    @given(
        texts=st.lists(
            st.lists(st.integers(5, 12), min_size=1, max_size=9), min_size=1, max_size=4
        ),
        seed=st.integers(0, 2**64 - 3),
    )
    def same(texts: list[list[int]], seed: int) -> None:
        width = max(map(len, texts)) + 2
        ids = np.zeros((len(texts), width), dtype=np.int64)
        words = np.zeros_like(ids)
        for row, text in enumerate(texts):
            ids[row, : len(text) + 2] = [2, *text, 3]
            words[row, 1 : len(text) + 1] = np.arange(len(text)) // 2 + 1
        shown, chosen = mask_tokens(
            ids, words, seed=seed, probability=0.3, whole_word_mask=whole_word_mask,
            always=[(7, 8), (9,)] if always else [], mask_id=4, vocabulary=50,
        )  # fmt: skip
        batch = {"input_ids": torch.from_numpy(ids), "words": torch.from_numpy(words)}
        masked = corrupt(batch, seed)
        np.testing.assert_array_equal(masked["input_ids"].numpy(), shown)
        np.testing.assert_array_equal(masked["labels"].numpy(), np.where(chosen, ids, -100))

    same()
