from __future__ import annotations

import hashlib
import json
from collections import Counter

from tunesmith.data.embedded.entities import SIZES, TAGS, make_entities, make_spans
from tunesmith.data.open import open_splits

ROWS = make_entities()


def test_tags_are_proper_bio() -> None:
    seen: Counter[str] = Counter()
    assert {split: len(rows) for split, rows in ROWS.items()} == SIZES
    for row in (row for rows in ROWS.values() for row in rows):
        tokens, tags = row["tokens"], row["tags"]
        assert isinstance(tokens, list) and isinstance(tags, list)
        assert len(tokens) == len(tags)
        for before, tag in zip(["O", *tags], tags, strict=False):
            seen[tag] += 1
            if tag.startswith("I-"):
                assert before[2:] == tag[2:]
    assert set(seen) == set(TAGS)


def test_the_same_bytes_on_every_machine() -> None:
    text = json.dumps(ROWS, ensure_ascii=False, sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest() == (
        "a70f537350630ede82dbb139fadb7b0311515d96c051db391aaa30247d8b679d"
    )


def test_the_same_messages_as_texts() -> None:
    spans = make_spans()
    assert hashlib.sha256(
        json.dumps(spans, ensure_ascii=False, sort_keys=True).encode()
    ).hexdigest() == ("1d1238ed08edefb5de2b36fc99f9bfa1d39f5b29f5159e03df7fac67aff588b3")
    begun = 0
    for row, other in zip(spans["train"], ROWS["train"], strict=True):
        text, tags = str(row["text"]), other["tags"]
        assert isinstance(tags, list) and isinstance(row["entities"], list)
        assert "".join(text.split()).endswith("".join(map(str, other["tokens"])))  # type: ignore[call-overload]
        assert len(row["entities"]) == sum(tag.startswith("B-") for tag in tags)
        for entity in row["entities"]:
            part = text[entity["start"] : entity["end"]]
            assert part and part == part.strip()
        begun += ord(text[0]) > 0xFFFF
    assert 100 < begun < 400


def test_positions_of_texts_are_characters() -> None:
    source = open_splits("embedded:spans")["train"]
    assert source.notes == ()
    assert next(c.type for c in source.columns if c.name == "entities") == "entities"
