from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.masking import mask_tokens

MASK, VOCABULARY = 4, 50
rows = st.lists(st.lists(st.integers(5, 49), min_size=6, max_size=6), min_size=1, max_size=5)


def mask(ids: np.ndarray, words: np.ndarray, seed: int, **more: object) -> tuple[np.ndarray, ...]:
    given: dict[str, object] = {"share": 0.3, "whole_words": False, "always": (), **more}
    return mask_tokens(ids, words, seed=seed, mask_id=MASK, vocabulary=VOCABULARY, **given)  # type: ignore[arg-type]


@given(rows, st.integers(0, 1000), st.booleans())
def test_only_what_is_chosen_changes(texts: list[list[int]], seed: int, whole: bool) -> None:
    ids = np.array(texts)
    words = np.tile([0, 1, 1, 2, 3, 0], (len(ids), 1))
    shown, chosen = mask(ids, words, seed, whole_words=whole)
    assert (shown[~chosen] == ids[~chosen]).all()
    assert not chosen[words == 0].any() and chosen.any(axis=1).all()
    again = mask(ids, words, seed, whole_words=whole)
    assert (again[0] == shown).all() and (again[1] == chosen).all()
    if whole:
        assert (chosen[:, 1] == chosen[:, 2]).all()


def test_words_are_found_whole() -> None:
    """7 8 is a word; so is 7 alone, but not in front of 8."""
    ids = np.array([[5, 7, 8, 7, 9, 8]])
    words = np.array([[1, 2, 2, 3, 4, 5]])
    for always, wanted in (
        ({(7,)}, [3]),
        ({(7, 8)}, [1, 2]),
        ({(8,)}, [5]),
        ({(7, 8), (9,)}, [1, 2, 4]),
    ):
        shown, chosen = mask(ids, words, 0, share=1e-9, always=always)
        assert set(wanted) == set(np.flatnonzero(chosen[0]))
        assert (shown[0, wanted] == MASK).all()


def test_fates_are_shared_out() -> None:
    ids = np.full((400, 50), 30)
    ids += np.arange(400)[:, None] % 15
    shown, chosen = mask(ids, np.tile(np.arange(1, 51), (400, 1)), 3)
    assert abs(chosen.mean() - 0.3) < 0.02
    hidden, left = (shown[chosen] == MASK).mean(), (shown[chosen] == ids[chosen]).mean()
    assert abs(hidden - 0.8) < 0.02 and abs(left - 0.1) < 0.02
