from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tunesmith.data import splits
from tunesmith.data.splits import random_splits

cases = st.integers(1, 300).flatmap(
    lambda n: st.tuples(
        hnp.arrays(np.int64, n, elements=st.integers(-20, 20)),
        hnp.arrays(np.int64, n, elements=st.integers(0, 4)),
    )
)
shares = st.sampled_from([[0.1], [0.5], [0.1, 0.2], [0.3, 0.3, 0.3]])


@given(cases, shares, st.integers(0, 5))
def test_each_row_once_and_equal_texts_together(
    case: tuple[np.ndarray, np.ndarray], shares: list[float], seed: int
) -> None:
    texts, strata = case
    parts = random_splits(texts, strata, shares, seed=seed)
    assert len(parts) == len(shares) + 1
    assert sorted(np.concatenate(parts)) == list(range(len(texts)))
    for one in range(len(parts)):
        assert np.all(np.diff(parts[one]) > 0)
        for other in range(one):
            assert not set(texts[parts[one]]) & set(texts[parts[other]])


def drawn_by_the_book(
    texts: np.ndarray, strata: np.ndarray, shares: list[float], seed: int
) -> list[list[int]]:
    """The same in plain words: groups by stratum in a shuffled order, every 1/share-th taken."""
    groups: dict[int, list[int]] = {}
    for row, text in enumerate(texts.tolist()):
        groups.setdefault(text, []).append(row)
    key = {t: int(splits._shuffled_key(np.array([t]), seed)[0]) for t in groups}
    order = sorted(groups, key=lambda t: (strata[groups[t][0]], key[t]))
    part, free, rest = {}, order, 1.0
    for number, share in enumerate(shares):
        reached, total, left = 0.0, 0, []
        for text in free:
            total += len(groups[text])
            now = np.floor(total * (share / rest) + 0.5)
            if now > reached:
                part[text] = number
            else:
                left.append(text)
            reached = now
        free, rest = left, rest - share
    for text in order:
        stratum = strata[groups[text][0]]
        alike = [t for t in groups if strata[groups[t][0]] == stratum]
        if text in part and all(t in part for t in alike):
            del part[text]
    return [
        sorted(row for t in groups if part.get(t, len(shares)) == number for row in groups[t])
        for number in range(len(shares) + 1)
    ]


@given(cases, shares, st.integers(0, 5))
def test_shares_are_those_of_the_book(
    case: tuple[np.ndarray, np.ndarray], shares: list[float], seed: int
) -> None:
    texts, strata = case
    parts = random_splits(texts, strata.astype(np.int32), shares, seed=seed)
    assert [part.tolist() for part in parts] == drawn_by_the_book(texts, strata, shares, seed)


@given(cases, shares)
def test_what_is_drawn_is_also_learned(
    case: tuple[np.ndarray, np.ndarray], shares: list[float]
) -> None:
    """No stratum of groups is missing from the rows that remain."""
    texts, strata = case
    first = dict(zip(texts[::-1], strata[::-1], strict=True))
    remaining = random_splits(texts, strata, shares, seed=0)[-1]
    assert {first[t] for t in texts} == {first[t] for t in texts[remaining]}


@pytest.mark.parametrize("share", [0.05, 0.1, 0.25, 0.5])
def test_shares_are_exact_and_in_proportion(share: float) -> None:
    random = np.random.default_rng(1)
    strata = random.choice(4, 10_000, p=[0.7, 0.2, 0.07, 0.03])
    texts = np.arange(10_000)
    drawn, _rest = random_splits(texts, strata, [share], seed=3)
    assert len(drawn) == round(10_000 * share)
    expected = np.bincount(strata) * share
    assert np.all(np.abs(np.bincount(strata[drawn], minlength=4) - expected) <= 1)


def test_a_row_keeps_its_side_when_the_file_is_shuffled() -> None:
    random = np.random.default_rng(1)
    texts = random.permutation(5000)
    strata = texts % 3
    order = random.permutation(5000)
    drawn = random_splits(texts, strata, [0.1], seed=7)[0]
    again = random_splits(texts[order], strata[order], [0.1], seed=7)[0]
    assert set(texts[drawn]) == set(texts[order][again])


def test_another_seed_draws_others() -> None:
    texts, strata = np.arange(1000), np.zeros(1000, dtype=np.int64)
    first, second = (set(random_splits(texts, strata, [0.1], seed=s)[0]) for s in (1, 2))
    assert len(first & second) < 30


grouped = st.integers(1, 200).flatmap(
    lambda n: st.tuples(
        hnp.arrays(np.int64, n, elements=st.integers(-40, 40)),
        hnp.arrays(np.int64, n, elements=st.integers(-15, 15)),
        hnp.arrays(np.int32, n, elements=st.integers(0, 2)),
    )
)


@given(grouped, shares, st.integers(0, 3))
def test_rows_of_a_group_and_equal_texts_are_in_one_part(
    case: tuple[np.ndarray, np.ndarray, np.ndarray], shares: list[float], seed: int
) -> None:
    texts, groups, strata = case
    parts = random_splits(texts, strata, shares, seed=seed, groups=groups)
    assert sorted(np.concatenate(parts)) == list(range(len(texts)))
    assert len(parts[-1])  # something is left to train on
    for one in range(len(parts)):
        for other in range(one):
            assert not set(texts[parts[one]]) & set(texts[parts[other]])
            assert not set(groups[parts[one]]) & set(groups[parts[other]])


@given(cases, shares, st.integers(0, 5))
def test_groups_of_one_row_are_drawn_as_rows(
    case: tuple[np.ndarray, np.ndarray], shares: list[float], seed: int
) -> None:
    strata = case[1]
    texts = np.arange(len(strata)) * 7
    parts = random_splits(texts, strata, shares, seed=seed)
    again = random_splits(texts, strata, shares, seed=seed, groups=texts)
    assert [part.tolist() for part in again] == [part.tolist() for part in parts]


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3])
def test_parts_of_groups_are_in_proportion_by_rows_and_sizes(share: float) -> None:
    random = np.random.default_rng(4)
    sizes = random.choice([1, 3, 10, 40], 2000, p=[0.3, 0.4, 0.2, 0.1])
    groups = np.repeat(np.arange(len(sizes)), sizes)
    strata = np.repeat(random.choice(3, len(sizes)), sizes)
    texts = np.arange(len(groups))
    drawn, _rest = random_splits(texts, strata, [share], seed=3, groups=groups)
    assert abs(len(drawn) - share * len(groups)) <= 20
    of_part = np.unique(groups[drawn])
    for size in (1, 3, 10, 40):
        expected = share * np.sum(sizes == size)
        assert abs(np.sum(sizes[of_part] == size) - expected) <= max(6, 0.1 * expected)
    for stratum in range(3):
        rows = np.sum(strata == stratum)
        assert abs(np.sum(strata[drawn] == stratum) - share * rows) <= 60


def test_a_group_that_is_too_large_is_left_to_train() -> None:
    sizes = [700, *[2] * 150]
    groups = np.repeat(np.arange(len(sizes)), sizes)
    for seed in range(5):
        drawn, _rest = random_splits(
            np.arange(1000), np.zeros(1000, np.int32), [0.1], seed=seed, groups=groups
        )
        assert len(drawn) == 100 and 0 not in groups[drawn]


def test_a_group_keeps_its_side_when_rows_are_shuffled() -> None:
    random = np.random.default_rng(1)
    groups = random.integers(0, 200, 1000)
    order = random.permutation(1000)
    texts, strata = np.arange(1000), np.zeros(1000, np.int32)
    drawn = random_splits(texts, strata, [0.1], seed=7, groups=groups)[0]
    again = random_splits(texts[order], strata, [0.1], seed=7, groups=groups[order])[0]
    assert set(groups[drawn]) == set(groups[order][again])
