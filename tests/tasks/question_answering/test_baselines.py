from __future__ import annotations

from tunesmith.tasks.question_answering.baselines import nearest_sentences, sentences
from tunesmith.tasks.question_answering.rows import Asked

CONTEXT = "The tower is 330.5 m high. Anna built a boat! 它在巴黎。很高\nThe end"


def test_sentences_end_at_their_signs() -> None:
    parts = [CONTEXT[start:end] for start, end in sentences(CONTEXT)]
    assert parts == [
        "The tower is 330.5 m high.", "Anna built a boat!", "它在巴黎。", "很高", "The end",
    ]  # fmt: skip


def test_the_sentence_with_the_words_of_the_question_is_nearest() -> None:
    questions = ["Who built the boat?", "How high is the tower?", "在巴黎吗", "Why?"]
    rows = [Asked(question, CONTEXT) for question in questions]
    spans = nearest_sentences(rows, rows).tolist()
    assert [CONTEXT[s:e][:4] for s, e in spans] == ["Anna", "The ", "它在巴黎", "The "]


def test_contexts_without_words_are_answered_by_their_beginning() -> None:
    rows = [Asked("?", " ... !")]
    assert nearest_sentences(rows, rows).tolist() == [[1, 4]]
