"""Rankings as text: runs of TREC, and a line of JSON for each query."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith.data.columns import Roles, plain_name
from tunesmith.data.rows import Row
from tunesmith.tasks.outputs import Answered
from tunesmith.tasks.text_ranking.queries import query_hash

__all__ = ["FORMATS", "ranked"]

FORMATS = ("jsonl", "trec")

_QUERY_IDS = ("queryid", "qid")
_PASSAGE_IDS = ("passageid", "docid", "documentid", "pid", "docno")
_TAG = "tunesmith"

Passages = list[tuple[Row, Mapping[str, Any]]]


def ranked(answered: Answered, roles: Roles, written_as: str) -> Iterator[str]:
    """Yield the passages of each query, the most relevant first; queries in their order.

    Rows that could not be answered are left out. Passages with equal scores stay in their order.
    """
    queries: dict[int, Passages] = {}
    for row, answer in answered:
        if answer["score"] is not None:
            queries.setdefault(query_hash(row.values[roles.text]), []).append((row, answer))
    for number, passages in enumerate(queries.values(), start=1):
        passages.sort(key=lambda one: -one[1]["score"])
        yield _trec(passages, number) if written_as == "trec" else _json(passages, roles)


def _trec(passages: Passages, number: int) -> str:
    """`qid Q0 docid rank score tag`, with numbers where rows have no ids."""
    lines = []
    for place, (row, answer) in enumerate(passages, start=1):
        names = {plain_name(name): name for name in reversed(list(row.values))}
        query = _id(row, names, _QUERY_IDS, number)
        passage = _id(row, names, _PASSAGE_IDS, row.index)
        lines.append(f"{query} Q0 {passage} {place} {answer['score']:.9g} {_TAG}\n")
    return "".join(lines)


def _id(row: Row, names: Mapping[str, str], known: tuple[str, ...], number: int) -> str:
    value = next((row.values[names[name]] for name in known if name in names), None)
    text = "" if value is None else "_".join(str(value).split())
    return text or str(number)


def _json(passages: Passages, roles: Roles) -> str:
    listed = [
        {"passage": row.values[str(roles.text_pair)], "score": answer["score"], "row": row.index}
        for row, answer in passages
    ]
    line = {"query": passages[0][0].values[roles.text], "passages": listed}
    return json.dumps(line, ensure_ascii=False) + "\n"
