"""The linear tagger: what it sees of a word, and that no model answers for what it has learned."""

from __future__ import annotations

import numpy as np
import pytest

from tunesmith.tasks.token_classification.linear_tagger import features_of, out_of_fold


def test_features_are_of_the_word_and_its_neighbors() -> None:
    sentences = [["Ann", "sleeps"], ["Ann", "eats"], ["eats"], ["ann"]]
    features = features_of(sentences)
    assert features.shape[0] == 6 and features.dtype == np.int32
    first, _sleeps, second, after, alone, small = features
    own = 11
    assert (first[:own] == second[:own]).all() and (first != second).any()
    assert (after[:own] == alone[:own]).all() and (after != alone).any()
    assert (first[1] != small[1]) and (first[2] == small[2])  # another shape, the same letters


def test_sentences_do_not_see_each_other() -> None:
    together = features_of([["a", "b"], ["c"]])
    apart = np.concatenate([features_of([["a", "b"]]), features_of([["c"]])])
    assert (together == apart).all()
    assert features_of([]).shape[0] == 0 and features_of([[]]).shape[0] == 0


@pytest.mark.parametrize("parts", [[[0, 1, 2, 3]], [[0, 1], [2, 3]]])
def test_no_sentence_is_answered_by_a_model_that_learned_it(parts: list[list[int]]) -> None:
    sentences = [["only", "here"], ["once", "there"], ["never", "again"], ["some", "words"]]
    features, lengths = features_of(sentences), np.full(4, 2)
    classes = np.array([0, 1] * 4)
    chosen = [np.array(part) for part in parts]
    before = out_of_fold(features, classes, lengths, chosen)
    changed = classes.copy()
    changed[:2] = [1, 0]
    after = out_of_fold(features, changed, lengths, chosen)
    assert (before[:2] == after[:2]).all()
    if len(parts) == 1:
        assert not before.any()  # nothing to learn from
    else:
        assert before.sum(axis=1) == pytest.approx(np.ones(8)) and (before != after).any()
