"""What tags are: schemes of entities, types alone, or classes of words."""

from __future__ import annotations

import pytest

from tunesmith.tasks.token_classification.tag_counts import TagCounts, types_of_row


def counted(*rows: str) -> TagCounts:
    counts = TagCounts()
    for row in rows:
        counts.add(row.split())
    return counts


@pytest.mark.parametrize(
    ("rows", "note"),
    [
        (["I-A I-A O", "I-A B-A"], "IOB1"),
        (["B-A L-A O U-A"], "BILOU"),
        (["B-A M-A E-A"], "BMES"),
        (["B-A E-A S-A"], "BIOES"),
        (["B-A I-A", "O I-A"], "begin with I-: 1"),
        (["person O"], "without B- and I-"),
    ],
)
def test_other_schemes_are_named(rows: list[str], note: str) -> None:
    (said,) = counted(*rows).notes()
    assert note in said


def test_iob2_needs_no_note() -> None:
    counts = counted("B-A I-A O B-A B-A", "O O", "")
    assert not list(counts.notes()) and counts.learned() == {"A": 3} and not counts.are_classes
    assert counts.entities == {"A": 3} and counts.rows == 3


def test_every_word_has_a_class() -> None:
    counts = counted("NOUN VERB X", "DET NOUN")
    assert counts.are_classes and not list(counts.notes())
    assert counts.tokens["NOUN"] == 2


def test_tags_with_and_without_marks_are_refused() -> None:
    assert counted("B-A O", "NOUN VERB").problem() == (
        "D345", 'some tags have the mark of an entity, such as "B-A", others have none: "NOUN"',
        "Give every tag its mark, or none.",
    )  # fmt: skip


def test_types_of_a_row_are_named_once() -> None:
    assert types_of_row(["B-A", "O", "I-B", "B-A"]) == ("A", "B")
    assert types_of_row([{"start": 0, "end": 1, "label": "A"}]) == ("A",)
    assert types_of_row("B-A") == types_of_row(None) == ()


@pytest.mark.parametrize(
    ("tags", "shown"),
    [("B_LOC I_LOC O", "B_LOC"), ("o b-loc i-loc", "b-loc"), ("LOC-B LOC-I O", "LOC-B")],
)
def test_marks_in_another_form_are_no_types(tags: str, shown: str) -> None:
    problem = counted(tags).problem()
    assert problem is not None
    assert problem[:2] == ("D345", f'"{shown}" has its mark in another form than "B-PER"')


@pytest.mark.parametrize("tags", ["e-mail s-bahn O", "NOUN-B VERB", "O O"])
def test_names_with_dashes_are_types(tags: str) -> None:
    assert counted(tags).problem() is None


def test_words_are_no_tags() -> None:
    words = " ".join(f"word{i}" for i in range(60))
    problem = counted(words).problem()
    assert problem is not None and problem[1].startswith("60 different tags for 60 words")
    assert counted(*[words] * 6).problem() is None


def test_entities_themselves_are_counted() -> None:
    counts = TagCounts()
    counts.add([{"start": 0, "end": 1, "label": "A"}, {"start": 2, "end": 3, "label": "B"}])
    counts.add([])
    assert counts.entities == {"A": 1, "B": 1} and counts.rows == 2 and not counts.are_classes
