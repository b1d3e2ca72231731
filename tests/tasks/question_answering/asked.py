"""Small questions on contexts of several windows, some of them without an answer."""

from __future__ import annotations

from typing import Any

from tests.conftest import ticket_rows
from tunesmith.data.columns import Roles

ROLES = Roles("question", "context", "answers")


def asked_rows(count: int = 40) -> list[dict[str, Any]]:
    """Rows of which two in a row have the same context and every fifth no answer."""
    texts = [row[1] for row in ticket_rows(count)[1:]]
    rows: list[dict[str, Any]] = []
    for i in range(len(texts)):
        context = "! ".join(texts[i // 2 * 2 :][:6] or texts[:6])
        word = (
            context.split("! ")[i % 4 % context.count("! ")].split()[-1]
            if "! " in context
            else "the"
        )
        start = context.index(word)
        answers = [] if i % 5 == 4 else [{"text": word, "answer_start": start}]
        if i % 7 == 0 and answers:
            answers.append({"text": context[:9], "answer_start": 0})
        question = f"what is {i} of it?"
        rows.append({"question": question, "context": context, "answers": answers})
    return rows
