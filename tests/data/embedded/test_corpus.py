from __future__ import annotations

from itertools import islice

import pytest

from tunesmith.data.embedded import NAMES, corpus, open_embedded
from tunesmith.data.embedded.pairs import make_pairs
from tunesmith.data.rows import first_rows
from tunesmith.errors import DataError


def test_no_text_by_which_one_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "SIZES", {"train": 3000, "validation": 100})
    rows = corpus.make_corpus()
    texts = {str(text) for part in rows.values() for row in part for text in row.values()}
    judged = make_pairs()
    for split in ("validation", "test"):
        for row in judged[split]:
            assert texts.isdisjoint((str(row["sentence1"]), str(row["sentence2"])))
    both = [(row["text"], row["text_pair"]) for part in rows.values() for row in part]
    assert len(both) == len(set(both))


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
