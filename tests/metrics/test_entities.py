"""Scores of entities: hand-checked cases, and those of seqeval on a thousand random sequences."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tests.metrics.tag_sequences import TYPES, Sequences, batch, drawn
from tunesmith.metrics.entities import (
    ENTITY_METRICS,
    Entity,
    Mistake,
    entities_of_tags,
    is_exactly_right,
    mistakes,
    score_columns,
    split_tag,
    word_tags,
)

SEQEVAL = [
    # f1, precision, recall, f1_macro, f1_strict, accuracy of the sequences drawn with each seed
    (0.6384039900, 0.6432160804, 0.6336633663, 0.6381886088, 0.6685082873, 0.6884272997),
    (0.6222222222, 0.6054054054, 0.6400000000, 0.6158048800, 0.6543209877, 0.6689419795),
    (0.6972972973, 0.6861702128, 0.7087912088, 0.6971164731, 0.7267267267, 0.7176870748),
    (0.6520681265, 0.6568627451, 0.6473429952, 0.6556339354, 0.6912928760, 0.6858006042),
    (0.6395939086, 0.6331658291, 0.6461538462, 0.6392281524, 0.6741573034, 0.6898550725),
    (0.5970873786, 0.5942028986, 0.6000000000, 0.5960811675, 0.6136986301, 0.6093750000),
    (0.6567164179, 0.6502463054, 0.6633165829, 0.6567164179, 0.6935483871, 0.6966966967),
    (0.5944584383, 0.5841584158, 0.6051282051, 0.5921166007, 0.6366197183, 0.6544342508),
    (0.6596194503, 0.6610169492, 0.6582278481, 0.6598915989, 0.6743119266, 0.6811989101),
    (0.6223404255, 0.6000000000, 0.6464088398, 0.6237446198, 0.6746268657, 0.6709677419),
    (0.6553398058, 0.6585365854, 0.6521739130, 0.6496422875, 0.6790450928, 0.6823899371),
    (0.6138107417, 0.6091370558, 0.6185567010, 0.6070943549, 0.6422535211, 0.6748466258),
    (0.6250000000, 0.6310679612, 0.6190476190, 0.6252695884, 0.6489361702, 0.6616314199),
    (0.6116207951, 0.5952380952, 0.6289308176, 0.6128381363, 0.6262626263, 0.6570397112),
    (0.6200607903, 0.6107784431, 0.6296296296, 0.6172413130, 0.6416382253, 0.6492537313),
    (0.6619718310, 0.6650943396, 0.6588785047, 0.6598346750, 0.6912928760, 0.6892655367),
    (0.6651053864, 0.6666666667, 0.6635514019, 0.6649922847, 0.6787564767, 0.6781609195),
    (0.6751918159, 0.6633165829, 0.6875000000, 0.6750011300, 0.7211267606, 0.7204968944),
    (0.6174142480, 0.5939086294, 0.6428571429, 0.6185165990, 0.6587537092, 0.6666666667),
    (0.5849056604, 0.5776397516, 0.5923566879, 0.5844185279, 0.6405693950, 0.6654135338),
]


def scores(
    truth: Sequences, predicted: Sequences, types: tuple[str, ...] = TYPES
) -> dict[str, float]:
    rows = [
        ([(i, i + 1) for i in range(len(tags))], entities_of_tags(tags), entities_of_tags(answers))
        for tags, answers in zip(truth, predicted, strict=True)
    ]
    columns = score_columns(types, rows)
    return {
        name: metric.function(columns, columns[:, -2], 1) for name, metric in ENTITY_METRICS.items()
    }


def tags(text: str) -> Sequences:
    return [part.split() for part in text.split("|")]


@pytest.mark.parametrize("seed", range(len(SEQEVAL)))
def test_scores_are_those_of_seqeval(seed: int) -> None:
    computed = scores(*batch(seed))
    order = ("f1", "precision", "recall", "f1_macro", "f1_strict", "accuracy")
    assert [computed[name] for name in order] == pytest.approx(SEQEVAL[seed], abs=1e-10)


@pytest.mark.parametrize(
    ("truth", "predicted", "expected"),
    [
        (
            "O O O B-MISC I-MISC I-MISC O | B-PER I-PER O",
            "O O B-MISC I-MISC I-MISC I-MISC O | B-PER I-PER O",
            {"f1": 0.5, "f1_macro": 0.5, "accuracy": 0.8},
        ),
        (
            "O O B-MISC I-MISC B-MISC O O | B-PER I-PER O",
            "O O B-MISC I-MISC B-MISC I-MISC O | B-PER I-PER O",
            {"f1": 2 / 3, "f1_macro": 0.75},
        ),
        ("B-A I-A", "I-A I-A", {"f1": 1.0, "f1_strict": 0.0, "accuracy": 0.5}),
        ("O O", "O O", {"f1": 0.0, "f1_macro": 0.0, "accuracy": 1.0}),
        ("B-A O", "O O", {"precision": 0.0, "recall": 0.0, "f1": 0.0}),
        ("B-A B-A", "B-A I-A", {"f1": 0.0, "accuracy": 0.5}),
    ],
)
def test_cases_that_can_be_checked_by_hand(
    truth: str, predicted: str, expected: dict[str, float]
) -> None:
    computed = scores(tags(truth), tags(predicted), ("A", "MISC", "PER"))
    assert {name: computed[name] for name in expected} == pytest.approx(expected)


def test_a_type_that_does_not_occur_counts_in_no_mean() -> None:
    assert scores([["B-PER"]], [["B-PER"]])["f1_macro"] == 1.0
    assert scores([["B-PER", "O"]], [["B-PER", "B-LOC"]])["f1_macro"] == 0.5


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("I-A I-A B-A O", [(0, 2, "A"), (2, 3, "A")]),  # IOB1
        ("B-A I-A E-A S-A", [(0, 3, "A"), (3, 4, "A")]),  # BIOES
        ("B-A I-A L-A U-B O", [(0, 3, "A"), (3, 4, "B")]),  # BILOU
        ("B-A M-A E-A S-B", [(0, 3, "A"), (3, 4, "B")]),  # BMES
        ("B I O B", [(0, 2, "ENTITY"), (3, 4, "ENTITY")]),
        ("person person O place", [(0, 2, "person"), (3, 4, "place")]),
        ("B-A I-B", [(0, 1, "A"), (1, 2, "B")]),
        ("", []),
    ],
)
def test_every_scheme_is_read(written: str, expected: list[tuple[int, int, str]]) -> None:
    assert [entity[:3] for entity in entities_of_tags(written.split())] == expected


def test_entities_give_tags_and_tags_entities() -> None:
    """Entities in IOB2 give their own tags back, whatever they were written in."""
    draw = random.Random(0)
    for _ in range(300):
        written = [tag.replace("B-", draw.choice(("B-", "S-", "E-"))) for tag in drawn(draw, 9)]
        words = [(i, i + 1) for i in range(9)]
        entities = [Entity(*entity[:3]) for entity in entities_of_tags(written)]
        assert entities_of_tags(word_tags(words, entities)) == entities


def test_an_entity_that_begins_inside_is_known() -> None:
    assert [entity.is_begun for entity in entities_of_tags("O I-A B-A S-A I-B".split())] == [
        False, True, True, False,
    ]  # fmt: skip
    assert split_tag("X-A") is None and split_tag("O") is None and split_tag("B-") is None


def test_words_have_the_tag_of_the_entity_that_they_touch() -> None:
    words = [(0, 3), (4, 7), (7, 7), (8, 12), (13, 15)]
    entities = [Entity(5, 10, "A"), Entity(13, 15, "B")]
    assert word_tags(words, entities) == ["O", "B-A", "I-A", "I-A", "B-B"]
    assert word_tags([(0, 0), (0, 3)], [Entity(0, 3, "A")]) == ["O", "B-A"]


def test_mistakes_by_kind() -> None:
    truth = [Entity(0, 2, "A"), Entity(3, 5, "A"), Entity(6, 8, "A"), Entity(9, 10, "B")]
    predicted = [Entity(0, 2, "B"), Entity(3, 6, "A"), Entity(9, 10, "B"), Entity(11, 12, "A")]
    by_kind = {kind: (true, marked) for kind, true, marked in mistakes(truth, predicted)}
    assert by_kind == {
        Mistake.TYPE: (truth[0], predicted[0]),
        Mistake.BORDER: (truth[1], predicted[1]),
        Mistake.MISSED: (truth[2], None),
        Mistake.SPURIOUS: (None, predicted[3]),
    }


def test_rows_without_mistake() -> None:
    one = Entity(0, 1, "PER")
    rows = [([(0, 1)], [one], [one]), ([(0, 1)], [one], []), ([], [], [])]
    columns = score_columns(TYPES, rows)
    assert is_exactly_right(columns).tolist() == [True, False, True]
    assert score_columns(TYPES, []).shape == (0, 18)
    assert np.isfinite(
        [metric.function(columns, columns, 1) for metric in ENTITY_METRICS.values()]
    ).all()
