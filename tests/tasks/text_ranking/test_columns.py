"""Which data is recognized as that of a reranker, and which is not."""

from __future__ import annotations

from typing import Any

import pytest

from tunesmith.data.columns import Roles
from tunesmith.data.open import from_python
from tunesmith.data.profile import profile
from tunesmith.recipe import DataSettings
from tunesmith.tasks import match_task

Rows = list[dict[str, Any]]


def matched(rows: Rows, task: str | None = None, **named: Any) -> tuple[str, Roles]:
    source = from_python(rows)["train"]
    of, match = match_task(profile(source), DataSettings(train="x", **named), task)
    return of.name, match.roles


def rows(query: str, passage: str, label: str, values: tuple[Any, ...] = (1, 0)) -> Rows:
    """Three passages for each of eight queries."""
    return [
        {query: f"what is {i // 3}?", passage: f"it is {i}", label: values[i % len(values)]}
        for i in range(24)
    ]


@pytest.mark.parametrize(
    ("query", "passage", "label", "values"),
    [
        ("query", "passage", "label", (1, 0)),
        ("query", "document", "relevance", (0, 1, 2, 3)),
        ("query", "text", "score", (0.1, 0.9, 0.4)),
        ("Query", "doc", "relevant", (True, False)),
        ("查询", "段落", "相关性", ("1", "0")),
    ],
)
def test_queries_with_passages(query: str, passage: str, label: str, values: Any) -> None:
    made = rows(query, passage, label, values)
    assert matched(made) == ("text-ranking", Roles(query, passage, label))


@pytest.mark.parametrize(
    ("made", "task"),
    [
        (rows("sentence1", "sentence2", "label"), "text-classification"),
        (rows("question", "answer", "label"), "text-classification"),
        (rows("question", "passage", "label"), "text-classification"),
        (rows("query", "passage", "label", ("good", "bad")), "text-classification"),
        (rows("query", "title", "label"), "text-classification"),
        ([{**row, "query": f"q{i}"} for i, row in enumerate(rows("query", "text", "label"))],
         "text-classification"),
        (rows("query", "answer", "score", (0.25, 0.5, 1.5)), "text-regression"),
    ],
)  # fmt: skip
def test_other_pairs_stay_what_they_are(made: Rows, task: str) -> None:
    assert matched(made)[0] == task


def test_named_columns_and_tasks_come_first() -> None:
    made = rows("question", "answer", "label")
    roles = Roles("question", "answer", "label")
    named = {"text": "question", "text_pair": "answer"}
    assert matched(made, "text-ranking", **named) == ("text-ranking", roles)
    made = rows("query", "passage", "label")
    task, roles = matched(made, text="query", text_pair="passage", label="label")
    assert task == "text-classification"
    lists = [{"query": "a", "pos": [f"b{i}"], "neg": ["c"]} for i in range(5)]
    assert matched(lists) == ("text-ranking", Roles("query", "passage", "label"))
