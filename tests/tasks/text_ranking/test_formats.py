"""Rankings as runs of TREC and as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tunesmith.data.columns import Roles
from tunesmith.data.rows import Row
from tunesmith.tasks.text_ranking.formats import ranked

ROLES = Roles("query", "passage", "label")
SCORES = [0.25, 1.0 - 1e-9, 1.0, None, 0.25]
ROWS = [
    {"qid": "q 7", "query": "Up", "passage": "a", "docid": 3},
    {"qid": None, "query": "down", "passage": "b", "docid": 4},
    {"qid": None, "query": "down", "passage": "c", "docid": None},
    {"qid": None, "query": "down", "passage": None, "docid": 6},
    {"qid": "q 7", "query": "up ", "passage": "d", "docid": 5},
]


def answered(names: tuple[str, ...]) -> list[tuple[Row, Mapping[str, Any]]]:
    rows = [Row(i, {name: row[name] for name in names}) for i, row in enumerate(ROWS)]
    return [(row, {"score": score}) for row, score in zip(rows, SCORES, strict=True)]


def test_runs_of_trec() -> None:
    lines = "".join(ranked(answered(("qid", "query", "docid", "passage")), ROLES, "trec"))
    assert lines.splitlines() == [
        "q_7 Q0 3 1 0.25 tunesmith",
        "q_7 Q0 5 2 0.25 tunesmith",
        "2 Q0 2 1 1 tunesmith",
        "2 Q0 4 2 0.999999999 tunesmith",
    ]
    lines = "".join(ranked(answered(("query", "passage")), ROLES, "trec"))
    assert [line.split()[:3] for line in lines.splitlines()] == [
        ["1", "Q0", "0"], ["1", "Q0", "4"], ["2", "Q0", "2"], ["2", "Q0", "1"],
    ]  # fmt: skip


def test_lines_of_json() -> None:
    lines = list(ranked(answered(("query", "passage")), ROLES, "jsonl"))
    first, second = map(json.loads, lines)
    assert first["query"] == "Up"
    assert [one["passage"] for one in first["passages"]] == ["a", "d"]
    assert second["passages"][0] == {"passage": "c", "score": 1.0, "row": 2}
