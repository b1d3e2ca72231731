from __future__ import annotations

import re
from collections import Counter
from itertools import islice

import pytest

from tunesmith.data.embedded import NAMES, corpus, open_embedded
from tunesmith.data.embedded.pairs import make_pairs
from tunesmith.data.embedded.ratings import make_ratings
from tunesmith.data.embedded.tickets import make_tickets
from tunesmith.data.rows import first_rows
from tunesmith.errors import DataError


def bare(text: str) -> str:
    """Without ticks and numbers, and without the answer at its beginning."""
    text = re.sub(r" ?[✓✗①-⑨]", "", text)
    return re.sub(r"^(Right\. |Nearly\. |Partly\. |Wrong\. |[对差偏错]。)", "", text)


def test_no_text_by_which_one_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run keeps apart what the first one said."""
    sizes = {"train": 3000, "validation": 100}
    rows = corpus.make_corpus(sizes)
    both = [(str(row["text"]), str(row["text_pair"])) for part in rows.values() for row in part]
    assert len(both) == len(set(both))
    texts = {bare(text) for pair in both for text in pair}
    judged = {
        str(row[column])
        for splits, columns in (
            (make_pairs(), ("sentence1", "sentence2")),
            (make_tickets(), ("text",)),
            (make_ratings(), ("text",)),
        )
        for split in ("validation", "test")
        for row in splits[split]
        for column in columns
    }
    assert texts.isdisjoint(judged)
    some = {bare(text) for text in both[7] + both[30] + both[31] + both[32]}
    monkeypatch.setattr(corpus, "_held_out", lambda: judged | some)
    again = corpus.make_corpus(sizes)
    spared = {bare(str(t)) for part in again.values() for row in part for t in row.values()}
    assert spared.isdisjoint(some)


def test_ticks_tell_the_truth() -> None:
    """What is crossed out hardly ever is in the message: a pear may, in a pear pie."""
    sizes = {"train": 400, "validation": 1}
    crossed = named = 0
    for row in corpus.make_corpus(sizes)["train"]:
        text, pair = str(row["text"]).lower(), str(row["text_pair"])
        items = [item.rsplit(" ", 1) for item in pair.split(", ")]
        if not all(len(item) == 2 and item[1] in "✓✗" for item in items):
            continue  # no English list
        for words, tick in items:
            if tick == "✗":
                crossed += 1
                named += bool(re.search(rf"\b{re.escape(words)}\b", text))
    assert crossed > 50
    assert named < 0.05 * crossed


def test_a_note_counts_what_was_ordered() -> None:
    """Each number is next to one thing of the order; a cross is next to none of it."""
    rows = corpus.make_corpus({"train": 300}, kinds={"items counted": 1.0})["train"]
    english = [row for row in rows if str(row["text"]).isascii()]
    assert 100 < len(english) < 300
    same = crossed = 0
    for row in english:
        order = [item.rsplit(" ", 1) for item in str(row["text"]).split(", ")]
        counts = Counter(number for _words, number in order)
        ordered = {words: int(number) for words, number in order}
        for words, mark in (item.rsplit(" ", 1) for item in str(row["text_pair"]).split(", ")):
            if mark == "✗":
                crossed += 1
                assert words not in ordered
            else:
                number = 1 + "①②③④⑤⑥⑦⑧⑨".index(mark)
                assert counts[str(number)] > 0
                if words in ordered:  # else it is called otherwise
                    same += 1
                    assert ordered[words] == number
    assert same > 200 and crossed > 200


def test_words_ticked_end_with_a_tick_for_the_sentence() -> None:
    """Who denies a fact or turns it round may have named each thing rightly."""
    rows = corpus.make_corpus({"train": 400}, kinds={"words ticked": 1.0})["train"]
    sentences = [s for row in rows for s in re.split(r"[.。；;]", str(row["text_pair"])) if s]
    ended = [re.findall("[✓✗]", sentence) for sentence in sentences]
    all_right = [ticks[-1] for ticks in ended if len(ticks) > 1 and set(ticks[:-1]) == {"✓"}]
    assert {"✓", "✗"} == set(all_right)
    assert all("✗" in ticks[-1:] for ticks in ended if len(ticks) == 3 and "✗" in ticks[:2])


def test_every_answer_is_a_verdict() -> None:
    sizes = {"train": 2400, "validation": 1}
    first = Counter(
        str(row["text"]).split(".")[0].lower() for row in corpus.make_corpus(sizes)["train"]
    )
    assert {"right", "nearly", "partly", "wrong"} <= set(corpus.VERDICTS)
    assert first["right"] > first["nearly"] > 0 < first["wrong"]


@pytest.mark.parametrize("kind", ["one change answered", "one turn answered"])
def test_one_change_is_answered_nearly(kind: str) -> None:
    rows = corpus.make_corpus({"train": 300}, kinds={kind: 1.0})["train"]
    first = Counter(re.split(r"[.。]", str(row["text"]))[0] for row in rows)
    assert set(first) == {"Right", "Nearly", "对", "差"}
    assert 100 < first["Right"] + first["对"] < 200


def test_every_name_opens() -> None:
    for name in NAMES:
        if name == "corpus":  # large; the test above makes a small one
            continue
        splits = open_embedded(name)
        assert list(splits) == ["train", "validation", "test"]
        source = splits["train"]
        (row,) = islice(first_rows(source, 1), 1)
        assert list(row.values) == [column.name for column in source.columns]


def test_a_wrong_name_lists_the_right_ones() -> None:
    with pytest.raises(DataError, match=r"embedded:pairs, embedded:tickets") as caught:
        open_embedded("tikets")
    assert 'Did you mean "embedded:tickets"?' in str(caught.value)


def test_kinds_are_drawn_as_requested() -> None:
    rows = corpus.make_corpus({"train": 50}, seed=3, kinds={"items ticked": 1.0})["train"]
    assert all("✓" in str(row["text_pair"]) for row in rows)
    assert rows == corpus.make_corpus({"train": 50}, seed=3, kinds={"items ticked": 1.0})["train"]
