"""Training rows whose entities are probably wrong: planted faults are listed, once per row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tunesmith.data.columns import Roles
from tunesmith.data.open import open_splits
from tunesmith.data.rows import Row
from tunesmith.metrics.entities import entities_of_tags
from tunesmith.tasks.token_classification.label_errors import judged
from tunesmith.tasks.token_classification.rows import MarkedText
from tunesmith.tasks.token_classification.task import TokenClassification

ROLES = Roles("tokens", None, "tags")


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    source = open_splits("embedded:entities")["train"]
    return [row for chunk in source.chunks(("tokens", "tags")) for row in chunk][:600]


def parts_of(count: int) -> list[np.ndarray]:
    return np.array_split(np.random.default_rng(0).permutation(count), 5)


def test_planted_faults_are_the_most_suspect(rows: list[Row]) -> None:
    task = TokenClassification(ROLES).fit(rows)
    random = np.random.default_rng(1)
    faults = set()
    texts = [task.read(row) for row in rows]
    for i in random.permutation(len(texts)):
        if len(faults) < 20 and texts[i].entities:
            first, *rest = texts[i].entities
            other = random.choice([name for name in task.types if name != first.label])
            entities = (first._replace(label=str(other)), *rest)
            texts[i] = replace(texts[i], entities=entities if i % 2 else tuple(rest))
            faults.add(int(i))
    answers = judged(texts, task.types, parts_of(len(texts)), are_plain=False)
    assert answers.suspects is not None
    listed = answers.suspects.order.tolist()
    assert len(set(listed)) == len(listed)
    assert len(faults & set(listed[:20])) >= 12
    for i in faults & set(listed[:20]):
        suggested = answers.suspects.suggested[i]
        assert suggested != texts[i].entities
        assert all(one.text == texts[i].text[one.start : one.end] for one in suggested)
    right = [i for i in range(len(texts)) if not answers.suspects.is_suspect[i]]
    for i in right[:50]:
        assert answers.suspects.suggested[i] == tuple(texts[i].entities)
    assert task.output.suspects(answers) is answers.suspects


def test_neighbors_of_one_type_stay_two_entities() -> None:
    tags = ["B-A", "B-A", "O", "B-B"]
    spans = [(0, 1), (2, 3), (4, 5), (6, 7)]
    entities = tuple(one._replace(start=2 * one.start, end=2 * one.end - 1) for one in
                     entities_of_tags(tags))  # fmt: skip
    texts = [MarkedText("a b c d", spans, entities, has_tokens=True)] * 10
    answers = judged(texts, ["A", "B"], parts_of(10), are_plain=False)
    assert answers.suspects is not None and not answers.suspects.is_suspect.any()
    assert answers.suspects.suggested[0] == entities


def test_classes_of_words_are_judged_likewise() -> None:
    rows = [Row(i, {"tokens": ["the", "dog", "runs"], "tags": ["D", "N", "V"]}) for i in range(40)]
    rows[7] = Row(7, {"tokens": ["the", "dog", "runs"], "tags": ["D", "V", "V"]})
    task = TokenClassification(ROLES).fit(rows)
    answers = task.judge(rows, parts_of(40))
    assert answers.suspects is not None and answers.suspects.order.tolist() == [7]
    (suggested,) = answers.suspects.suggested[7:8]
    assert [one.label for one in suggested] == ["D", "N", "V"]
    assert (answers.scores is not None) and answers.scores.min() > 0.5
