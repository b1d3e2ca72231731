from __future__ import annotations

import numpy as np
import pytest

from tunesmith.data.embedded.pairs import make_pairs
from tunesmith.data.embedded.tickets import make_tickets
from tunesmith.metrics.baselines import BASELINES, simple_answers
from tunesmith.metrics.concrete_kinds import LabelSet, Number, SingleClass

TWO = SingleClass(("n", "y"))


def test_always_the_most_frequent_class() -> None:
    labels = np.array([2, 0, 2, 1, 2])
    texts = [["a b"]] * 5
    answers = simple_answers(SingleClass(tuple("abcd")), texts, labels, [["x"], ["y"]])
    assert set(answers) == {"tfidf", "constant"} <= set(BASELINES)
    assert answers["constant"].shape == (2, 4)
    assert answers["constant"].argmax(axis=1).tolist() == [2, 2]
    assert np.exp(answers["constant"][0]) == pytest.approx([0.2, 0.2, 0.6, 0.0], abs=1e-6)
    assert answers["tfidf"].shape == (2, 4)  # a class that was never seen has a place, too


def test_words_tell_topics_apart() -> None:
    rows = make_tickets()
    train, test = rows["train"], rows["test"]
    names = sorted({str(row["label"]) for row in train})
    truth = np.array([names.index(str(row["label"])) for row in test])
    answers = simple_answers(
        SingleClass(tuple(names)),
        [[str(row["text"])] for row in train],
        np.array([names.index(str(row["label"])) for row in train]),
        [[str(row["text"])] for row in test],
    )
    right = {name: (logits.argmax(1) == truth).mean() for name, logits in answers.items()}
    assert right["tfidf"] > 0.85 > 0.5 > right["constant"]


def test_the_baseline_does_not_solve_the_pairs() -> None:
    """What the set was made for."""
    rows = make_pairs()
    train, judged = rows["train"], rows["validation"] + rows["test"]

    def texts(part: list[dict[str, object]]) -> list[list[str]]:
        return [[str(row["sentence1"]), str(row["sentence2"])] for row in part]

    labels = np.array([int(str(row["label"])) for row in train])
    truth = np.array([int(str(row["label"])) for row in judged])
    answers = simple_answers(TWO, texts(train), labels, texts(judged))
    assert (answers["tfidf"].argmax(1) == truth).mean() < 0.75


def test_numbers() -> None:
    texts = [["awful"], ["fine"], ["awful fine"], ["fine fine"]] * 3
    labels = np.array([1.0, 5.0, 3.0, 5.0] * 3)
    answers = simple_answers(Number(("stars",)), texts, labels, [["awful"], ["fine"]])
    assert answers["constant"].tolist() == [[3.5], [3.5]]
    low, high = answers["tfidf"][:, 0]
    assert low < 3 < high


def test_labels_each_for_itself() -> None:
    texts = [["soup"], ["rice"], ["soup rice"], ["pie"]] * 4
    labels = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 1], [0, 0, 1]] * 4)
    answers = simple_answers(LabelSet(tuple("abc")), texts, labels, [["soup"], ["rice"]])
    assert (answers["tfidf"] > 0).tolist() == [[True, False, True], [False, True, True]]
    assert answers["constant"][0, 2] > 10  # every row has it


def test_rows_without_a_word_fall_back() -> None:
    answers = simple_answers(TWO, [["!"], ["?"]], np.array([0, 1]), [["…"]])
    assert answers["tfidf"].tolist() == answers["constant"].tolist()


def test_chinese_is_counted_by_characters() -> None:
    texts = [["汤很咸"], ["汤很好"], ["饭很咸"], ["饭很好"]] * 3
    labels = np.array([0, 1, 0, 1] * 3)
    answers = simple_answers(TWO, texts, labels, [["面很咸"], ["面很好"]])
    assert answers["tfidf"].argmax(1).tolist() == [0, 1]
