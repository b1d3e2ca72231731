from __future__ import annotations

import hashlib
import json
from collections import Counter

from tunesmith.data.embedded.tickets import CLASSES, SIZES, faults, make_tickets

ROWS = make_tickets()


def test_sizes_classes_and_languages() -> None:
    assert {split: len(rows) for split, rows in ROWS.items()} == SIZES
    counts = Counter(str(row["label"]) for row in ROWS["train"])
    assert set(counts) == set(CLASSES)
    assert counts.most_common()[0][1] > 4 * counts.most_common()[-1][1]  # unequal on purpose
    assert {row["language"] for row in ROWS["train"]} == {"en", "zh"}


def test_the_faults_are_where_they_are_said_to_be() -> None:
    kinds = Counter(fault.kind for fault in faults())
    assert kinds == {
        "wrong label": 18,
        "duplicate": 8,
        "near duplicate": 4,
        "conflict": 3,
        "leak": 2,
    }
    for fault in faults():
        row = ROWS[fault.split][fault.row]
        twin = ROWS["train"][fault.twin] if fault.twin is not None else None
        if fault.kind in ("duplicate", "leak"):
            assert row == twin
        elif fault.kind == "near duplicate":
            assert twin is not None and row["text"] != twin["text"]
            assert "".join(str(row["text"]).lower().split()) == "".join(
                str(twin["text"]).lower().split()
            )
        elif fault.kind == "conflict":
            assert (
                twin is not None and row["text"] == twin["text"] and row["label"] != twin["label"]
            )
        else:
            assert row["label"] != fault.right_label and fault.right_label in CLASSES


def test_nothing_else_is_repeated() -> None:
    bad = {(fault.split, fault.row) for fault in faults() if fault.twin is not None}
    texts = [
        row["text"]
        for split, rows in ROWS.items()
        for i, row in enumerate(rows)
        if (split, i) not in bad
    ]
    assert len(texts) == len(set(texts))


def test_the_same_bytes_on_every_machine() -> None:
    text = json.dumps(ROWS, ensure_ascii=False, sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest() == (
        "1bf528dc01e45d6b934afdbd80233c61a08d44c3a364e843b167a45ef7966065"
    )
