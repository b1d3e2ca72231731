"""Formats that no task trains yet are named, not read as classification."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from tunesmith.data.columns import Roles
from tunesmith.data.profile import profile
from tunesmith.data.readers.memory import Memory
from tunesmith.errors import DataError, RecipeError
from tunesmith.recipe import DataSettings
from tunesmith.tasks import match_task

CHAT = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
SHARE_GPT = [{"from": "human", "value": "你好"}, {"from": "gpt", "value": "您好"}]
CHOICES = {"text": ["up", "down"], "label": ["A", "B"]}

FORMATS: dict[str, list[dict[str, object]]] = {
    "conversations": [
        {"messages": CHAT},
        {"conversations": SHARE_GPT, "id": "1", "source": "web"},
        {"conversation": CHAT, "category": "a"},
        {"messages": json.dumps(CHAT), "label": "good"},
        {"system": "Be brief.", "Messages": CHAT},
        {"对话": SHARE_GPT},
        {"消息": CHAT, "类别": "闲聊"},
    ],
    "instructions with responses": [
        {"instruction": "Sum up.", "input": "A long text", "output": "Short"},
        {"Instruction": "Sum up.", "Output": "Short"},
        {"instruction": "Sum up.", "input": "", "output": "Short", "text": "Below is ..."},
        {"instruction": "Why?", "context": "", "response": "So.", "category": "open_qa"},
        {"prompt": "Once upon", "completion": " a time"},
        {"prompt": "Once upon", "completion": " a time", "label": True},
        {"prompt": "Once upon", "response": "a time", "topic": "tales"},
        {"human": "Hello there", "assistant": "Hi, how are you?"},
        {"指令": "翻译下面的句子", "输入": "你好", "输出": "Hello"},
        {"指令": "写一首诗", "回答": "春眠不觉晓"},
        {"提示词": "写一首诗", "回复": "春眠不觉晓"},
    ],
    "preferences between responses": [
        {"prompt": "Why?", "chosen": "So.", "rejected": "No."},
        {"chosen": CHAT, "rejected": CHAT},
    ],
    "a word with its tag in each row": [
        {"Sentence #": "1", "Word": "Ann", "POS": "NNP", "Tag": "B-PER"},
    ],
    "questions with answers that are not parts of their context": [
        {"question": "Where is it?", "context": "In France.", "answer": "To the west of it."},
        {"question": "Where is it?", "passage": "In France.", "answers": ["To the west."]},
        {"问题": "在哪里？", "上下文": "在法国。", "答案": "德国的西边"},
    ],
    "texts to be turned into other texts, such as translations or summaries": [
        {"source": "Good morning", "target": "Guten Morgen"},
        {"src": "Good morning", "tgt": "Guten Morgen", "id": 3},
        {"input_text": "Good morning", "target_text": "Guten Morgen"},
        {"translation": {"en": "Good morning", "de": "Guten Morgen"}},
        {"en": "Good morning", "zh": "早上好"},
        {"document": "A long text", "summary": "Short"},
        {"article": "A long text", "highlights": "Short", "id": "1"},
        {"dialogue": "A: hi B: hi", "summary": "They greet.", "topic": "greeting each other"},
        {"原文": "早上好", "译文": "Good morning"},
        {"文章": "很长的文章", "摘要": "很短"},
        {"输入": "早上好", "输出": "Good morning"},
    ],
    "texts with similar and different ones, for embeddings": [
        {"anchor": "A cat", "positive": "A kitten", "negative": "A car"},
        {"anchor": "cat", "pos": ["A kitten"], "neg": ["A car"]},
    ],
}


def numbered(value: object, i: int, *, alike: bool) -> object:
    """The value with a number in each text of prose."""
    if alike or not isinstance(value, str):
        return value
    is_prose = " " in value or (len(value) > 2 and not value.isascii())
    return f"{value} {i}" if is_prose else value


@pytest.mark.parametrize("alike", [False, True])
@pytest.mark.parametrize(
    ("description", "record"),
    [(name, record) for name, records in FORMATS.items() for record in records],
)
def test_the_format_is_named(description: str, record: Mapping[str, object], alike: bool) -> None:
    records = [
        {name: numbered(value, i, alike=alike) for name, value in record.items()} for i in range(30)
    ]
    columns = profile(Memory.of_records(records, "data.jsonl"))
    with pytest.raises(RecipeError) as caught:
        match_task(columns, DataSettings(train="x"))
    (problem,) = caught.value.problems
    assert problem.code == "R203"
    assert f"looks like {description} (" in problem.message
    assert "no task here trains on it yet" in problem.message
    assert all(flag in str(problem.fix) for flag in ("--text", "--label", "--task"))
    text, label = (next(iter(record)), list(record)[-1])
    if text != label:  # named columns are taken as they are
        _task, match = match_task(columns, DataSettings(train="x", text=text, label=label))
        assert match.roles == Roles(text, None, label)


@pytest.mark.parametrize(
    "record",
    [
        {"question": "Where is it?", "answer": "In France"},
        {"question": "Where is it?", "answers": {"text": ["In France"], "answer_start": [3]}},
        {"问题": "在哪里？", "答案": "在法国。"},
    ],
)
def test_answers_without_a_context_are_refused(record: Mapping[str, object]) -> None:
    records = [
        {name: numbered(value, i, alike=False) for name, value in record.items()} for i in range(30)
    ]
    columns = profile(Memory.of_records(records, "data.jsonl"))
    with pytest.raises(DataError) as caught:
        match_task(columns, DataSettings(train="x"))
    (problem,) = caught.value.problems
    assert problem.code == "D350"
    assert "no column has the texts they are from" in problem.message
    _task, match = match_task(columns, DataSettings(train="x"), "question-answering")
    question, answers = record
    assert match.roles == Roles(question, None, answers)


@pytest.mark.parametrize(
    ("record", "task"),
    [
        ({"instruction": "Sum up {}", "output": "Short {}"}, "masked-lm"),
        ({"sent1": "She opens {}", "sent2": "it {}", "ending0": "a", "ending1": "b", "label": 1},
         "text-classification"),
    ],
)  # fmt: skip
def test_a_named_task_is_not_refused(record: Mapping[str, object], task: str) -> None:
    records = [{name: str(value).format(i) for name, value in record.items()} for i in range(30)]
    named, _match = match_task(
        profile(Memory.of_records(records, "m")), DataSettings(train="x"), task
    )
    assert named.name == task


@pytest.mark.parametrize(
    "record",
    [
        {"text": "A message {}", "label": "a", "entities": [{"start": 0}]},
        {"text": "A message {}", "labels": '["a", "b"]'},
        {"headline": "A message {}", "content": "More of it {}", "category": "a"},
        {"source": "web", "text": "A message {}", "target": 1},
        {"user": "u{}", "model": "m1", "text": "A message {}", "rating": 3},
        {"分词": "一条 消息 {}", "标签": "体育"},
        {"prompt": "A message {}", "label": "a"},
        {"question": "What {}?", "context": "This {}.", "label": "a"},
    ],
)
def test_labeled_texts_are_not_read_as_a_format(record: Mapping[str, object]) -> None:
    records: list[dict[str, object]] = []
    for i in range(30):
        row = {n: v.format(i) if isinstance(v, str) and "{}" in v else v for n, v in record.items()}
        records.append(row)
    for row in records[::2]:
        for name in ("label", "target", "category", "rating", "标签"):
            if name in row:
                row[name] = 2 if isinstance(row[name], int) else "b"
    task, match = match_task(profile(Memory.of_records(records, "m")), DataSettings(train="x"))
    assert task.name in ("text-classification", "multi-label-classification")
    assert match.roles.label in ("label", "labels", "target", "category", "rating", "标签")


@pytest.mark.parametrize(
    ("record", "label"),
    [
        ({"question": "What {}?", "answer": "This {}.", "label": "a"}, "label"),
        ({"source": "web", "target": "a", "text": "A message {}"}, "target"),
        ({"question": "Is it {}?", "passage": "It is {}.", "answer": True}, "answer"),
    ],
)
def test_three_rows_are_enough(record: Mapping[str, object], label: str) -> None:
    records = [
        {n: v.format(i) if isinstance(v, str) else v for n, v in record.items()} for i in range(3)
    ]
    records[1][label] = "b" if isinstance(record[label], str) else False
    _task, match = match_task(profile(Memory.of_records(records, "m")), DataSettings(train="x"))
    assert match.roles.label == label


def test_words_without_their_sentences_may_be_written_as_conll() -> None:
    records = [{"token": "London", "tag": "B-LOC"}, {"token": "is", "tag": "O"}] * 10
    with pytest.raises(RecipeError, match="R203") as caught:
        match_task(profile(Memory.of_records(records, "a.tsv")), DataSettings(train="x"))
    fix = str(caught.value.problems[0].fix)
    assert "a column sentence_id, or save it as CoNLL" in fix and "--task TASK" in fix
