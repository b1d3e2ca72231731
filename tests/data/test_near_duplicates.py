from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.near_duplicates import (
    NEAR,
    Groups,
    Sketches,
    candidates,
    normalized,
    similarities,
    text_hash,
)

LETTERS = "abcdefgh ijklmnop 打印机坏了请尽快派人修理 0123,.!？éß"
TEXTS = st.text(LETTERS, min_size=1, max_size=60).filter(lambda text: bool(text.strip()))
MANY = st.lists(TEXTS, min_size=1, max_size=8)


def keys_of(texts: Sequence[str]) -> np.ndarray:
    sketches = Sketches()
    sketches.add([normalized([text]) for text in texts])
    return sketches.keys


def wide(text: str) -> str:
    """The same text in full width, as a Chinese keyboard may write it."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


@given(TEXTS, st.sampled_from(["\t", "  ", "\u3000", "\u00a0 ", "\n"]))
def test_case_space_and_width_change_nothing(text: str, space: str) -> None:
    plain = normalized([text])
    spaced = space.join(text.split(" "))
    for other in (text.casefold(), spaced, f"{space}{text}{space}", wide(text), text.upper()):
        assert normalized([other]) == plain
    assert normalized([plain]) == plain


@given(st.text())
def test_of_any_text_the_normal_form_is_its_own(text: str) -> None:
    plain = normalized([text])
    assert normalized([plain]) == plain
    assert normalized([unicodedata.normalize("NFD", text)]) == plain


@given(st.lists(st.text(max_size=30), min_size=2, max_size=2), st.lists(st.text(max_size=30)))
def test_texts_are_equal_only_if_their_normal_forms_are(one: list[str], other: list[str]) -> None:
    first, second = normalized(one), normalized(other)
    assert (text_hash(first) == text_hash(second)) == (first == second)


def test_a_pair_is_not_its_words_in_a_row() -> None:
    assert normalized(["a", "b c"]) != normalized(["a b", "c"])


@given(MANY, st.randoms(use_true_random=False))
def test_a_sketch_depends_on_its_text_alone(texts: list[str], random) -> None:  # type: ignore[no-untyped-def]
    """Not on order, on neighbors, or on how rows are cut into portions."""
    order = list(range(len(texts)))
    random.shuffle(order)
    keys = keys_of(texts)
    assert np.array_equal(keys_of([texts[i] for i in order]), keys[order])
    one_by_one = Sketches()
    for text in texts:
        one_by_one.add([normalized([text])])
    assert np.array_equal(one_by_one.keys, keys)


@given(MANY, MANY)
def test_what_is_equal_is_always_a_candidate(texts: list[str], others: list[str]) -> None:
    pairs = candidates(keys_of([*others, *texts]), keys_of(texts))
    result = {
        int(i) for i, j in pairs if normalized([texts[j]]) == normalized([[*others, *texts][i]])
    }
    assert set(range(len(others), len(others) + len(texts))) <= result


@given(MANY)
def test_within_a_set_each_is_paired_with_earlier_ones(texts: list[str]) -> None:
    doubled = [*texts, *texts]
    pairs = candidates(keys_of(doubled))
    assert np.all(pairs[:, 1] < pairs[:, 0]) or not len(pairs)
    assert set(range(len(texts), len(doubled))) <= set(pairs[:, 0].tolist())
    assert len(np.unique(pairs, axis=0)) == len(pairs)


def brute_force(one: str, other: str) -> float:
    def pieces(text: str) -> set[str]:
        padded = "   " + text
        return {padded[i : i + 4] for i in range(len(text))}

    a, b = pieces(one), pieces(other)
    return len(a & b) / len(a | b)


WORDS = (
    st.text("abcd 打机", min_size=1, max_size=30).map(lambda t: " ".join(t.split())).filter(bool)
)


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=6))
def test_similarity_is_the_overlap_of_pieces(pairs: list[tuple[str, str]]) -> None:
    first, second = zip(*pairs, strict=True)
    expected = [brute_force(one, other) for one, other in pairs]
    assert similarities(first, second) == pytest.approx(expected)
    assert np.array_equal(similarities(second, first), similarities(first, second))


def test_signs_do_not_count_and_signs_alone_do() -> None:
    assert similarities(["hello, you!"], ["hello you"]) == [1.0]
    assert similarities(["!!!"], ["???"]) < NEAR


def test_no_text_no_pair() -> None:
    assert candidates(Sketches().keys).shape == (0, 2)
    assert similarities([], []).shape == (0,)


def test_long_texts_are_compared_in_portions() -> None:
    texts = ["word " * 4_000 + str(i) for i in range(120)]
    assert len(keys_of(texts)) == 120
    assert np.all(similarities(texts, texts) == 1.0)


def test_changed_words_are_found() -> None:
    """Of 500 texts with one word of twenty changed all but a few are found, and nothing else."""
    draw = np.random.default_rng(0)
    words = ["".join(draw.choice(list("abcdefghijklmnop"), 6)) for _word in range(2000)]
    texts = [" ".join(draw.choice(words, 20)) for _text in range(500)]
    changed = [text.replace(text.split()[7], "another") for text in texts]
    pairs = candidates(keys_of(changed), keys_of(texts))
    alike = similarities([changed[i] for i in pairs[:, 0]], [texts[j] for j in pairs[:, 1]])
    near = pairs[alike >= NEAR]
    assert np.all(near[:, 0] == near[:, 1])
    assert len(near) >= 495


@given(st.lists(st.integers(-5, 5), max_size=40))
def test_groups_are_those_of_numpy(values: list[int]) -> None:
    hashes = np.array(values, dtype=np.int64)
    groups = Groups.of(hashes)
    _values, first, inverse, sizes = np.unique(
        hashes, return_index=True, return_inverse=True, return_counts=True
    )
    assert groups.first.tolist() == first.tolist()
    assert groups.sizes.tolist() == sizes.tolist()
    assert groups.by_row(groups.first).tolist() == first[inverse].tolist()
    assert sorted(groups.order.tolist()) == list(range(len(values)))


def test_sketches_of_nothing() -> None:
    assert Sketches().keys.shape == (0, 8)
