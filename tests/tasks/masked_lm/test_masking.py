from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.rng import splitmix64, uniform_at
from tunesmith.tasks.masked_lm.masking import mask_tokens

MASK, VOCABULARY = 4, 50
rows = st.lists(st.lists(st.integers(5, 49), min_size=6, max_size=6), min_size=1, max_size=5)


def mask(ids: np.ndarray, words: np.ndarray, seed: int, **more: object) -> tuple[np.ndarray, ...]:
    options: dict[str, object] = {
        "probability": 0.3,
        "whole_word_mask": False,
        "always": (),
        **more,
    }
    return mask_tokens(ids, words, seed=seed, mask_id=MASK, vocabulary=VOCABULARY, **options)  # type: ignore[arg-type]


@given(rows, st.integers(0, 1000), st.booleans())
def test_only_what_is_chosen_changes(texts: list[list[int]], seed: int, whole: bool) -> None:
    ids = np.array(texts)
    words = np.tile([0, 1, 1, 2, 3, 0], (len(ids), 1))
    shown, chosen = mask(ids, words, seed, whole_word_mask=whole)
    assert (shown[~chosen] == ids[~chosen]).all()
    assert not chosen[words == 0].any() and chosen.any(axis=1).all()
    again = mask(ids, words, seed, whole_word_mask=whole)
    assert (again[0] == shown).all() and (again[1] == chosen).all()
    if whole:
        assert (chosen[:, 1] == chosen[:, 2]).all()


def test_words_are_found_whole() -> None:
    """7 8 is a word; so is 7 alone, but not in front of 8."""
    ids = np.array([[5, 7, 8, 7, 9, 8]])
    words = np.array([[1, 2, 2, 3, 4, 5]])
    for always, expectation in (
        ({(7,)}, [3]),
        ({(7, 8)}, [1, 2]),
        ({(8,)}, [5]),
        ({(7, 8), (9,)}, [1, 2, 4]),
    ):
        shown, chosen = mask(ids, words, 0, probability=1e-9, always=always)
        assert set(expectation) == set(np.flatnonzero(chosen[0]))
        assert (shown[0, expectation] == MASK).all()


def test_fates_are_shared_out() -> None:
    ids = np.full((400, 50), 30)
    ids += np.arange(400)[:, None] % 15
    shown, chosen = mask(ids, np.tile(np.arange(1, 51), (400, 1)), 3)
    assert abs(chosen.mean() - 0.3) < 0.02
    hidden, left = (shown[chosen] == MASK).mean(), (shown[chosen] == ids[chosen]).mean()
    assert abs(hidden - 0.8) < 0.02 and abs(left - 0.1) < 0.02


@given(
    rows,
    st.integers(0, 1000),
    st.booleans(),
    st.sampled_from([0.0, 0.15, 0.5, 1.0]),
    st.sampled_from([(), ((7,),), ((6, 7), (5,))]),
)
def test_it_follows_the_definition(
    texts: list[list[int]],
    seed: int,
    whole: bool,
    probability: float,
    always: tuple[tuple[int, ...], ...],
) -> None:
    """Token by token: hidden below 0.8, replaced below 0.9, else left as it is."""
    ids = np.array(texts)
    words = np.tile([0, 1, 1, 2, 3, 0], (len(ids), 1))
    shown, chosen = mask(
        ids, words, seed, probability=probability, whole_word_mask=whole, always=always
    )
    for text, seen, requested in zip(ids.tolist(), shown.tolist(), chosen.tolist(), strict=True):
        expected = by_definition(text, seed, probability=probability, whole=whole, always=always)
        assert (seen, requested) == expected


def by_definition(
    text: list[int],
    seed: int,
    *,
    probability: float,
    whole: bool,
    always: tuple[tuple[int, ...], ...],
) -> tuple[list[int], list[bool]]:
    """A text of four tokens between two marks; its words are the first two tokens and one each."""
    words, spans = [0, 1, 1, 2, 3, 0], [(1, 3), (3, 4), (4, 5)]
    key = (
        sum(
            int(splitmix64(np.array([token ^ (place << 32)], dtype=np.uint64))[0])
            for place, token in enumerate(text)
            if words[place]
        )
        % 2**64
    )
    keys = np.array([key], dtype=np.uint64)

    def draw(shift: int, number: int) -> float:
        return float(uniform_at(seed + shift, keys, np.array([number]))[0])

    named = [
        any(tuple(text[a:b]) in always and a <= place < b for a, b in spans)
        for place in range(len(text))
    ]
    chances = {p: draw(0, words[p] if whole else p) for p in range(len(text)) if words[p]}
    lowest = min(chances.values())
    requested = [
        bool(words[p])
        and (named[p] or chances[p] < probability or (not any(named) and chances[p] == lowest))
        for p in range(len(text))
    ]
    seen = []
    for p, token in enumerate(text):
        fate = 0.0 if named[p] else draw(1, p)
        other = int(draw(2, p) * VOCABULARY)
        replaced = MASK if fate < 0.8 else other if fate < 0.8 + 0.1 else token
        seen.append(replaced if requested[p] else token)
    return seen, requested
