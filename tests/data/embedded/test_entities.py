from __future__ import annotations

import hashlib
import json
from collections import Counter

from tunesmith.data.embedded.entities import SIZES, TAGS, make_entities

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
