"""Labels that no training row has: what is said of them, and how many are looked up."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tunesmith.tasks import labeled_text
from tunesmith.tasks.labeled_text import UnknownLabels
from tunesmith.text import nearest


def test_of_unknown_labels_a_bounded_number_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    requested: list[str] = []

    def spy(word: str, known: Sequence[str]) -> list[str]:
        requested.append(word)
        return nearest(word, known)

    monkeypatch.setattr(labeled_text, "nearest", spy)
    unknown = UnknownLabels([f"class{i}" for i in range(100)])
    near = unknown.finding("clas17")
    assert (near.code, near.message) == ("D206", 'the label "clas17" is not in train')
    assert str(near.fix).startswith('did you mean "class17"?\nKnown classes: "class0", "class1"')
    assert unknown.finding("clas17") is near
    respelled = unknown.finding("CLASS\u200b17")
    assert respelled.message == 'the label "CLASS\\u200b17" is not in train'
    assert str(respelled.fix).startswith("Use --normalize-labels, or correct it.\nKnown classes: ")
    assert requested == ["clas17"]
    for i in range(200):
        last = unknown.finding(f"clazz{i}")
    assert len(requested) == 49  # fifty findings, one of them a matter of spelling
    assert last.fix == "Known classes: " + str(near.fix).partition("Known classes: ")[2]
