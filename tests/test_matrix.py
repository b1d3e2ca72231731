"""The matrix of bad inputs: what each kind of bad file is answered, before any model is loaded."""

from __future__ import annotations

import gzip
import io
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import Command, tunesmith

__all__ = ["tunesmith"]  # the fixture

Content = str | bytes
Pair = tuple[object, object]


@dataclass(frozen=True)
class Case:
    """One input and its answer.

    Attributes:
        number: the row of the matrix.
        what: as text.
        files: by name; the first is checked unless `arguments` name one.
        level: of the problem; None for a good input.
        code: of the problem.
        place: that it names.
        words: of message, evidence or fix.
        arguments: after `check`; what begins with a dash follows the first file.
    """

    number: int
    what: str
    files: Mapping[str, Content]
    level: str | None = None
    code: str = ""
    place: str = ""
    words: Sequence[str] = ()
    arguments: Sequence[str] = field(default=())

    @property
    def exit_code(self) -> int:
        return 3 if self.level == "error" else 0

    def __str__(self) -> str:
        return f"{self.number}-{self.what}".replace(" ", "_")


WORDS = "soup rice table tonight printer broken again please cold late good bad fine green".split()


def texts(count: int = 20, seed: int = 0) -> list[str]:
    draw = random.Random(seed)
    return [f"{' '.join(draw.choices(WORDS, k=8))} {i}" for i in range(count)]


def pairs(labels: Sequence[object] = "ab", count: int = 20, seed: int = 0) -> list[Pair]:
    return [(text, labels[i % len(labels)]) for i, text in enumerate(texts(count, seed))]


def table(rows: Sequence[Sequence[object]], header: str = "text,label") -> str:
    return header + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)


def lines(rows: Sequence[Pair]) -> str:
    return "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows)


def parquet(**columns: Sequence[object]) -> bytes:
    written = io.BytesIO()
    pq.write_table(pa.table({name: list(values) for name, values in columns.items()}), written)
    return written.getvalue()


def questions(choices: object, answer: str) -> str:
    """Lines of questions with choices, the last of which is given."""
    rows: list[dict[str, object]] = [
        {"question": text, "choices": [f"{text} a", f"{text} b"], "answer": "AB"[i % 2]}
        for i, text in enumerate(texts())
    ]
    rows.append({"question": "Where is it?", "choices": choices, "answer": answer})
    return "".join(json.dumps(row) + "\n" for row in rows)


def passages(**values: object) -> str:
    """Lines of queries with passages; the last one is as the others, but for these values."""
    rows: list[dict[str, object]] = [
        {"query": f"{text}?", "pos": [f"yes {text}"], "neg": [f"no {text}", "none"]}
        for text in texts(21)
    ]
    rows[-1] |= values
    return "".join(json.dumps(row) + "\n" for row in rows)


def judged(last: object, count: int = 20) -> str:
    """A table of queries with three passages each; the last label is given."""
    rows = [(f"{text}?", f"{j} {text}", int(not j)) for text in texts(count) for j in range(3)]
    return table([*rows, (*rows[-1][:1], "another one", last)], "query,passage,label")


ROME = {"text": ["Rome"], "answer_start": [9]}


def answered(count: int = 20, **values: object) -> str:
    """Lines of questions on contexts; the last one is as the others, but for these values."""
    rows: list[dict[str, object]] = [
        {"id": i, "question": f"{text}?", "context": f"It is in Rome, {text}", "answers": ROME}
        for i, text in enumerate(texts(count + 1))
    ]
    rows[-1] |= values
    return "".join(json.dumps(row) + "\n" for row in rows)


def squad(**values: object) -> str:
    """A file in the format of SQuAD on several lines; its last question has these values."""
    rows = [json.loads(line) for line in answered().splitlines()]
    answer = [{"text": "Rome", "answer_start": 9}]
    for row in rows:
        question = {"id": str(row["id"]), "question": row["question"], "answers": answer}
        row["qas"] = [question | (values if row is rows[-1] else {})]
    paragraphs = [{"context": row["context"], "qas": row["qas"]} for row in rows]
    return json.dumps({"version": "2.0", "data": [{"paragraphs": paragraphs}]}, indent=1)


def labeled(labels: Sequence[object], last: object = None) -> str:
    """Questions with two choices and these labels in turn."""
    values = [labels[i % len(labels)] for i in range(20)] + ([] if last is None else [last])
    return "".join(
        json.dumps({"question": f"{text}?", "choices": [f"{text} a", f"{text} b"], "label": value})
        + "\n"
        for text, value in zip(texts(21), values, strict=False)
    )


def race(answers: int) -> str:
    """Articles with two questions each, and so many answers in the last."""
    rows = [
        {"article": f"{text}.", "questions": [f"who {text}?", f"what {text}?"],
         "options": [["Ann", "Bo"], ["a cat", "a dog", "a bird"]], "answers": ["A", "B"]}
        for text in texts()
    ]  # fmt: skip
    rows[-1]["answers"] = ["A", "B"][:answers]
    return "".join(json.dumps(row) + "\n" for row in rows)


GOOD = table(pairs())
GOOD_LINES = lines(pairs())
CHINESE = "".join(f"打印机坏了请尽快派人来修理谢谢第{i}号,{'好坏'[i % 2]}\n" for i in range(20))
NUMBERS = table([(text, i / 3) for i, text in enumerate(texts())])
REGRESSION = ("--task", "text-regression")
OTHER = ("a.csv", "--validation", "v.csv")
TEST = ("a.csv", "--test", "t.csv")
PAIR = "text,text_pair,label"
MINI = ("--model", "embedded:mini")

LONDON = {"start": 3, "end": 9, "label": "PLACE", "text": "London"}
CONLL = "".join(f"in O\nLondon B-PLACE\n{i} O\n\n" for i in range(20))


def tagged(tokens: object, tags: object, others: Sequence[object] = ("O", "B-P", "O")) -> str:
    rows = [{"tokens": ["in", "London", str(i)], "tags": list(others)} for i in range(20)]
    return "".join(json.dumps(row) + "\n" for row in [*rows, {"tokens": tokens, "tags": tags}])


def marked(text: str, entities: object) -> str:
    rows = [{"text": f"in London {i}", "entities": [LONDON]} for i in range(200)]
    return "".join(json.dumps(row) + "\n" for row in [*rows, {"text": text, "entities": entities}])


def unnamed(start: int, end: int) -> str:
    """Entities without their text."""
    entities = [{"start": start, "end": end, "label": "PLACE"}]
    rows = [{"text": f"in London {i}", "entities": entities} for i in range(20)]
    return "".join(json.dumps(row) + "\n" for row in rows)


def studio(*ends: int) -> str:
    """Tasks of Label Studio; the last one was annotated with these ends."""

    def task(i: int, ends: Sequence[int]) -> Mapping[str, object]:
        values = [
            {"start": 3, "end": end, "text": "London"[: end - 3], "labels": ["P"]} for end in ends
        ]
        annotations = [{"result": [{"value": value}]} for value in values]
        return {"data": {"text": f"in London {i}"}, "annotations": annotations}

    return json.dumps([*(task(i, [9]) for i in range(20)), task(20, ends)])


CASES = [
    Case(1, "BOM", {"a.csv": b"\xef\xbb\xbf" + GOOD.encode()}),
    Case(2, "GBK", {"a.csv": ("text,label\n" + CHINESE).encode("gb18030")},
         "error", "D101", "a.csv:2", ["not UTF-8", "Use --encoding gb18030"]),
    Case(3, "UTF-16", {"a.csv": GOOD.encode("utf-16")}),
    Case(4, "Latin-1", {"a.csv": (GOOD + "café déjà vu,a\n").encode("latin-1")},
         "error", "D101", "a.csv:22", ["byte 0xe9", "looks like cp1252", "--encoding cp1252"]),
    Case(5, "two encodings",
         {"a.csv": (GOOD + "打印机坏了请尽快,a\n").encode() + CHINESE.encode("gb18030")},
         "error", "D102", "a.csv:23", ["UTF-8 on line 22", "Save both parts in UTF-8"]),
    Case(6, "NUL", {"a.csv": GOOD + "nul\0here,a\n"},
         "error", "D103", "a.csv:22", ["NUL byte", "UTF-8"]),
    Case(7, "extra field", {"a.csv": GOOD + "hello, world,a\n"},
         "error", "D110", "a.csv:22", ['3 fields, the header has 2: "hello, world,a"', "Quote"]),
    Case(8, "short row", {"a.csv": GOOD + "short\n"},
         "error", "D110", "a.csv:22", ["1 field, the header has 2", "Complete or remove"]),
    Case(9, "unclosed quote", {"a.csv": GOOD + '"open,a\n' + table(pairs(count=9))},
         "error", "D111", "a.csv:22", ["never closed (10 lines swallowed)", "Close it"]),
    Case(10, "semicolon", {"a.csv": GOOD.replace(",", ";")}),
    Case(10, "another delimiter is named", {"a.csv": GOOD.replace(",", ";")},
         "error", "D112", "a.csv:1", ['one column "text;label"', '--delimiter ";"'],
         ["--delimiter", ","]),
    Case(11, "no header", {"a.csv": GOOD.split("\n", 1)[1]},
         "error", "D113", "a.csv", ["is the header missing?", "Use --columns text,label"]),
    Case(11, "no header, with names", {"a.csv": GOOD.split("\n", 1)[1]},
         arguments=["--columns", "text,label"]),
    Case(11, "names for another width", {"a.csv": GOOD.split("\n", 1)[1]},
         "error", "D114", "a.csv:1", ["2 fields on the first line", "names 3"],
         ["--columns", "text,label,id"]),
    Case(11, "names for JSON lines", {"a.jsonl": GOOD_LINES},
         "error", "D114", "a.jsonl", ["for CSV and TSV files"], ["--columns", "text,label"]),
    Case(12, "duplicate column", {"a.csv": table([(*p, "b") for p in pairs()], "text,label,label")},
         "error", "D302", "a.csv", ['called "label": 2, 3', "name of its own"]),
    Case(13, "header only", {"a.csv": "text,label\n"}, "error", "D120", "a.csv", ["no rows"]),
    Case(14, "empty file", {"a.csv": ""}, "error", "D121", "a.csv", ["empty", "Export"]),
    Case(15, "missing file", {"tickets.csv": GOOD},
         "error", "D105", "ticket.csv", ['Did you mean "tickets.csv"?'], ["ticket.csv"]),
    Case(16, "Excel", {"a.csv": b"PK\x03\x04" + b"x" * 100},
         "error", "D104", "a.csv", ["Excel", "export it as CSV"]),
    Case(17, "CSV named Parquet", {"a.parquet": GOOD},
         "error", "D104", "a.parquet", ["the content is text, not Parquet"]),
    Case(18, "cut Parquet", {"a.parquet": parquet(text=texts(), label="ab" * 10)[:-40]},
         "error", "D130", "a.parquet", ["not a whole Parquet file", "cut off"]),
    Case(19, "cut gzip", {"a.csv.gz": gzip.compress((GOOD * 50).encode())[:-30]},
         "error", "D132", "a.csv.gz", ["cut off or damaged", "export it again"]),
    Case(20, "bomb", {"a.csv.gz": gzip.compress(b"text,label\n" + (b"a" * 99 + b"\n") * 400_000)},
         "error", "D131", "a.csv.gz", ["more than 20 times", "unpack it yourself"]),
    Case(21, "empty text", {"a.csv": GOOD + ",a\n"},
         "error", "D310", "a.csv:22", ["the text is empty", "remove the row"]),
    Case(22, "words for nothing as text", {"a.csv": GOOD + "NA,a\nnull,b\nNone,a\n"}),
    Case(23, "None as a class", {"a.csv": table(pairs(["None", "ok"]))},
         "warning", "D209", "a.csv", ['the class "None" looks like a missing label']),
    Case(24, "white space", {"a.csv": GOOD + "   ,a\n"},
         "error", "D311", "a.csv:22", ["only spaces"]),
    Case(25, "control characters", {"a.csv": GOOD + "\x01\x02\x03,a\n"},
         "warning", "D312", "a.csv:22", ["only control characters"]),
    Case(26, "missing label", {"a.csv": GOOD + "hello you,\n"},
         "error", "D201", "a.csv:22", ["the label is empty", "Label or remove"]),
    Case(27, "missing number", {"a.csv": table(pairs("01")) + "hello you,\n"},
         "error", "D201", "a.csv:22", ["the label is empty"]),
    Case(28, "NaN", {"a.jsonl": GOOD_LINES + '{"text": "x y", "label": NaN}\n'},
         "error", "D202", "a.jsonl:21", ["NaN", "Use null"]),
    Case(29, "labels by case", {"a.csv": table(pairs(["pos", "neg", "Pos", " pos"]))},
         "error", "D203", "a.csv", ['"pos" (5), "Pos" (5), " pos" (5)', "Spell them the same",
          "--normalize-labels"]),
    Case(29, "labels by case, normalised",
         {"a.csv": table(pairs(["pos", "neg", "Pos", " neg"]))}, arguments=["--normalize-labels"]),
    Case(30, "one class", {"a.csv": table(pairs("p", 8))},
         "error", "D204", "a.csv", ['all 8 rows are "p"', "--label"]),
    Case(31, "a class per row", {"a.csv": table([(t, f"n{i}") for i, t in enumerate(texts())])},
         "error", "D205", "a.csv", ["20 classes in 20 rows", "--label"]),
    Case(32, "1 and 2", {"a.csv": table(pairs("12"))}),
    Case(33, "-1 and 1", {"a.csv": table(pairs(["-1", "1"]))}),
    Case(34, "-100", {"a.csv": table(pairs(["-100", "1", "0"]))},
         "warning", "D212", "a.csv", ["-100"]),
    Case(35, "new label",
         {"a.csv": GOOD, "v.csv": table(pairs(count=6, seed=2)) + "what is this,neutral\n"},
         "error", "D206", "v.csv:8", ['"neutral" is not in train'], OTHER),
    Case(36, "absent class", {"a.csv": GOOD, "v.csv": table(pairs("a", 6, seed=2))},
         "warning", "D404", "v.csv", ['no validation row has the class "b"'], OTHER),
    Case(37, "single row of a class", {"a.csv": GOOD + "one of a kind,c\n"},
         "warning", "D405", "a.csv", ['the class "c"']),
    Case(38, "imbalance", {"a.csv": table(pairs(["bad"] + ["ok"] * 59, 120))},
         "warning", "D215", "a.csv", ['always predicting "ok" scores 98.3%', "f1_macro"]),
    Case(39, "truth values", {"a.jsonl": lines(pairs([True, False]))}),
    Case(40, "many numbers", {"a.csv": table(pairs(range(120), 240))},
         "warning", "D216", "a.csv", ["120 different numbers", "--task text-regression"],
         ["--task", "text-classification"]),
    Case(41, "infinite target", {"a.csv": NUMBERS + "hello you,inf\n"},
         "error", "D210", "a.csv:22", ["the target is inf"], REGRESSION),
    Case(42, "thousands", {"a.csv": NUMBERS + 'hello you,"1,234"\n'},
         "error", "D211", "a.csv:22", ['"1,234" is not a number', "thousands"], REGRESSION),
    Case(43, "constant target", {"a.csv": table(pairs("5"))},
         "error", "D204", "a.csv", ["all 20 targets are 5"], REGRESSION),
    Case(44, "numbers as text", {"a.csv": table([(i * 7, "ab"[i % 2]) for i in range(30)])},
         "warning", "D313", "a.csv", ['"text" holds only numbers'], ["--text", "text"]),
    Case(45, "type changes late",
         {"a.csv": table([(i, "ab"[i % 2]) for i in range(40)] + pairs())},
         arguments=["--text", "text"]),
    Case(46, "binary", {"a.parquet": parquet(text=[b"\0\1"] * 20, label="ab" * 10)},
         "error", "D303", "a.parquet[0]", ["binary", "--text"], ["--text", "text"]),
    Case(47, "object as text", {"a.jsonl": lines([({"a": t}, label) for t, label in pairs()])},
         "error", "D304", "a.jsonl:1", ["is an object", "--text"], ["--text", "text"]),
    Case(48, "no label column", {"a.csv": table(pairs(), "text,sentiment")},
         "error", "D301", "--label", ['no column "label"', "text, sentiment"],
         ["--label", "label"]),
    Case(49, "empty columns", {"a.csv": table([(*p, "", "") for p in pairs()], "text,label,,")}),
    Case(50, "broken line", {"a.jsonl": GOOD_LINES + '{"text": bad}\n' + GOOD_LINES},
         "error", "D140", "a.jsonl:21:10", ["not JSON at column 10", "Each line is one object"]),
    Case(51, "cut line", {"a.jsonl": GOOD_LINES + '{"text": "cut of'},
         "error", "D141", "a.jsonl:21", ["cut off", "Export it again"]),
    Case(52, "1 and a text of 1", {"a.jsonl": lines(pairs([1, "1", 0]))},
         "error", "D207", "a.jsonl", ["number (13), text (7)", "all labels as text"]),
    Case(53, "misspelt key", {"a.jsonl": GOOD_LINES + '{"text": "x y", "lable": "a"}\n'},
         "error", "D305", "a.jsonl:21", ['no "label" (has "lable")']),
    Case(54, "some lists", {"a.jsonl": GOOD_LINES + '{"text": "x y", "label": ["a", "b"]}\n'},
         "error", "D208", "a.jsonl:21", ["multi-label-classification"],
         ["--task", "text-classification"]),
    Case(55, "surrogate", {"a.jsonl": GOOD_LINES + '{"text": "x \\ud800", "label": "a"}\n'},
         "error", "D142", "a.jsonl:21", ["surrogate"]),
    Case(56, "key twice", {"a.jsonl": GOOD_LINES + '{"text": "x", "text": "z", "label": "a"}\n'},
         "error", "D143", "a.jsonl:21", ["occurs twice", "Keep one"]),
    Case(57, "array", {"a.json": "[" + GOOD_LINES.strip().replace("\n", ",") + "]"}),
    Case(58, "lines with BOM", {"a.jsonl": b"\xef\xbb\xbf" + GOOD_LINES.encode()}),
    Case(59, "CR", {"a.csv": GOOD.replace("\n", "\r")}),
    Case(60, "newline in quotes", {"a.csv": GOOD + '"line one\nline two",a\n'}),
    Case(61, "too long", {"a.csv": table([(text * 40, label) for text, label in pairs()])},
         "warning", "D320", "a.csv", ["longer than 256 tokens", "train.max_length"], MINI),
    Case(62, "huge row", {"a.csv": GOOD + "word " * 250_000 + ",a\n"},
         "warning", "D150", "a.csv:22", ["more than 1 million characters"]),
    Case(63, "bidi", {"a.csv": GOOD + "evil \u202etext,a\n"},
         "warning", "D321", "a.csv:22", ["\\u202e"]),
    Case(64, "emoji", {"a.csv": GOOD + "family 👩‍👩‍👧 é̂,a\n"}, arguments=MINI),
    Case(65, "unknown script",
         {"a.csv": table([("ภาษาไทย " * (i + 1), "ab"[i % 2]) for i in range(20)])},
         "warning", "D322", "a.csv", ["unknown to embedded:mini", "--model"], MINI),
    Case(66, "HTML", {"a.csv": GOOD + "<script>alert(1)</script>,a\n"}),
    Case(67, "formula", {"a.csv": GOOD + "=cmd|' /C calc'!A0,a\n"}),
    Case(68, "leak", {"a.csv": GOOD, "t.csv": table([*pairs(count=6, seed=2), pairs()[1]])},
         "error", "D401", "t.csv:8", ["1 of 7 test rows (14.29%)", "a.csv:3", "--allow-leak"],
         TEST),
    Case(69, "near leak",
         {"a.csv": GOOD, "t.csv": table([*pairs(count=6, seed=2), (texts()[1] + "!!! x", "a")])},
         "warning", "D402", "t.csv:8", ["1 of 7 test rows", "a.csv:3"], TEST),
    Case(70, "two labels", {"a.csv": GOOD + texts()[0] + ",b\n"},
         "warning", "D403", "a.csv:22", ["1 of 21 rows", "a.csv:2", "Decide"]),
    Case(73, "half a pair",
         {"a.csv": table([(t, t[::-1], label) for t, label in pairs()], PAIR) + "only one,,a\n"},
         "error", "D330", "a.csv:22", ['"text_pair" is empty']),
    Case(73, "swapped columns",
         {"a.csv": table([(t, t[:8], label) for t, label in pairs()], PAIR),
          "v.csv": table([(t[:8], t, label) for t, label in pairs(seed=5)], PAIR)},
         "warning", "D333", "v.csv", ["swapped", "swap the names"], OTHER),
    Case(80, "CoNLL", {"a.conll": CONLL, "a.txt": CONLL}),
    Case(80, "CoNLL by its content", {"a.txt": CONLL}),
    Case(80, "ragged CoNLL", {"a.conll": CONLL + "Paris\n"},
         "error", "D340", "a.conll:81", ['1 column, not 2: "Paris"', "a word and its tag"]),
    Case(81, "more tags than tokens", {"a.jsonl": tagged(["in", "Rome"], ["O", "B-P", "O"])},
         "error", "D341", "a.jsonl:21", ["2 tokens with 3 tags", "one tag"]),
    Case(82, "another text", {"a.jsonl": marked("in Paris now", [LONDON])},
         "error", "D342", "a.jsonl:201", ['3 to 9 are "Paris", the data says "London"']),
    Case(82, "another end in one row", {"a.jsonl": marked("in London", [{**LONDON, "end": 8}])},
         "error", "D342", "a.jsonl:201",
         ['are "Londo"', "fits if ends are those of the last character", "code points"]),
    Case(82, "UTF-16 and characters",
         {"a.jsonl": marked("in \U0001f600 London", [{**LONDON, "start": 6, "end": 12}])}),
    Case(83, "overlaps",
         {"a.jsonl": marked("in London", [LONDON, {"start": 6, "end": 9, "label": "X"}])},
         "error", "D343", "a.jsonl:201",
         ['overlap, such as "don" (X)', "overlaps=longest", "GLiNER"]),
    Case(83, "overlaps that are shortened",
         {"a.jsonl": marked("in London", [LONDON, {"start": 6, "end": 9, "label": "PLACE"}])},
         arguments=["--set", "options.overlaps=longest"]),
    Case(84, "outside the text",
         {"a.jsonl": marked("in", [{"start": 3, "end": 9, "label": "PLACE"}])},
         "error", "D344", "a.jsonl:201", ["3 to 9 are not in the text, which has 2", "Count"]),
    Case(85, "no scheme", {"a.jsonl": tagged(["in", "Rome"], ["O", "X-P"])},
         "error", "D345", "a.jsonl:21", ['"X-P" is no tag of IOB', "Write B- or I-"]),
    Case(85, "with and without marks", {"a.jsonl": tagged(["in", "Rome"], ["O", "P"])},
         "error", "D345", "a.jsonl", ['such as "B-P", others have none: "P"', "its mark"]),
    Case(80, "a tag without a word", {"a.conll": CONLL + "\tO\n"},
         "error", "D340", "a.conll:81", ['a tag without a word: "O"']),
    Case(80, "CoNLL with BOM and CR", {"a.conll": ("\ufeff" + CONLL).replace("\n", "\r\n")}),
    Case(80, "CoNLL in UTF-16", {"a.conll": CONLL.encode("utf-16")}),
    Case(80, "CoNLL with tabs, words with spaces",
         {"a.conll": CONLL.replace(" ", "\t") + "New York\tB-PLACE\n"}),
    Case(81, "all rows have a tag too few", {"a.jsonl": tagged(["in"], [], others=["B-P", "O"])},
         "error", "D341", "a.jsonl:1", ["3 tokens with 2 tags"]),
    Case(82, "positions from 1", {"a.jsonl": unnamed(4, 10)}),
    Case(82, "most positions cut a word", {"a.jsonl": unnamed(4, 8)},
         "error", "D342", "a.jsonl:1", ['"ondo", a part of a word', "--offsets characters"]),
    Case(82, "positions that are said to cut words", {"a.jsonl": unnamed(4, 8)},
         arguments=["--offsets", "characters"]),
    Case(84, "start and end are swapped", {"a.jsonl": marked("in London", [
         {"start": 9, "end": 3, "label": "PLACE"}])},
         "error", "D344", "a.jsonl:201", ["9 to 3 are not in the text"]),
    Case(84, "only spaces", {"a.jsonl": marked("in London", [
         {"start": 2, "end": 3, "label": "PLACE"}])},
         "error", "D344", "a.jsonl:201", ["2 to 3 are only spaces"]),
    Case(85, "numbers without names", {"a.jsonl": tagged(["in", "Rome"], [0, 1], others=[0, 1, 0])},
         "error", "D345", "a.jsonl:1", ["numbers without names, such as 0", "data.labels=[O"]),
    Case(85, "numbers in text", {"a.jsonl": tagged(["a", "b"], ["0", "1"], others=["0", "1", "0"])},
         "error", "D345", "a.jsonl:1", ["numbers without names"]),
    Case(85, "numbers with names",
         {"a.jsonl": tagged(["in", "Rome"], [0.0, 1.0], others=[0, 1, 0])},
         arguments=["--set", "data.labels=[O, B-P, I-P]"]),
    *(Case(85, f"{number} has no name",
           {"a.jsonl": tagged(["in", "Rome"], [number, 0], others=[0, 1, 0])},
           "error", "D345", "a.jsonl:21", [f"tag 1 is {number}; the names are numbered 0 to 2"],
           ["--set", "data.labels=[O, B-P, I-P]"]) for number in (-100, -1, 3)),
    Case(85, "no tag", {"a.jsonl": tagged(["in", "Rome"], [None, "O"])},
         "error", "D345", "a.jsonl:21", ["tag 1 is None, not text"]),
    Case(85, "marks in another form",
         {"a.jsonl": tagged(["in", "Rome"], ["O", "B_P"], others=["O", "B_P", "I_P"])},
         "error", "D345", "a.jsonl", ['"B_P" has its mark in another form', "Write B- or I-"]),
    Case(86, "annotators disagree", {"a.json": studio(9, 8)},
         "error", "D346", "a.json[20]", ["2 annotations of this text differ", "Agree on one"]),
    Case(86, "annotators agree", {"a.json": studio(9, 9)}),
    Case(87, "a token is missing", {"a.jsonl": tagged(["in", None], ["O", "O"])},
         "error", "D362", "a.jsonl:21", ["token 2 is None"]),
    Case(87, "a list of sentences", {"a.jsonl": tagged([["in", "Rome"]], [["O", "B-P"]])},
         "error", "D362", "a.jsonl:21", ["token 1 is ['in', 'Rome'], not text"]),
    Case(87, "an entity without a word", {"a.jsonl": tagged(["in", "\u200b"], ["O", "B-P"])},
         "error", "D362", "a.jsonl:21", ['token 2 is empty and has the tag "B-P"']),
    Case(88, "places that are not whole numbers",
         {"a.jsonl": marked("in London", [{**LONDON, "start": 3.0}])},
         "error", "D363", "a.jsonl:201", ["not an entity: {'start': 3.0"]),
    Case(88, "a place that is a truth value",
         {"a.jsonl": marked("in London", [{**LONDON, "start": True}])},
         "error", "D363", "a.jsonl:201", ["not an entity: {'start': True"]),
    Case(88, "entities as Python writes them", {"a.csv": 'text,entities\n' + "".join(
        f'in London {i},"[(3, 9, \'PLACE\')]"\n' for i in range(20))}),
    Case(88, "no entities", {"a.jsonl": marked("in London", ["London"])},
         "error", "D363", "a.jsonl:201", ["not an entity: London", '{"start": 0']),
    Case(91, "choices", {"a.jsonl": questions(["up", "down"], "B")}),
    Case(91, "choices in columns", {"a.csv": "question,A,B,C,answer\n" + "".join(
        f"{text}?,{text} a,{text} b,{'' if i % 2 else text},{'AB'[i % 2]}\n"
        for i, text in enumerate(texts()))}),
    Case(92, "a key that is none of the choices", {"a.jsonl": questions(["up", "down"], "C")},
         "error", "D356", "a.jsonl:21", ['is "C"; the choices are "A", "B"', "Correct"]),
    *(Case(92, f"label {values[0]!r}", {"a.jsonl": labeled(values)})
      for values in ([0.0, 1.0], ["0.0", "1.0"], [[0], [1]], [[1, 0], [0, 1]])),
    *(Case(92, f"no key: {value}", {"a.jsonl": labeled([0, 1], value)},
           "error", "D356", "a.jsonl:21", [f'is "{value}"; the choices are']) for value in (
               1.5, True, [0, 1, 1], 2)),
    Case(92, "several right choices", {"a.jsonl": labeled([[1, 1]])},
         "error", "D356", "a.jsonl:1", ['is "[1, 1]"']),
    Case(93, "equal choices", {"a.jsonl": questions(["up", "down", " up"], "A")},
         "error", "D357", "a.jsonl:21", ['choices A and C are both "up"']),
    Case(93, "one choice", {"a.jsonl": questions(["up"], "A")},
         "error", "D357", "a.jsonl:21", ["1 choice", "two choices or more"]),
    Case(94, "no choices", {"a.jsonl": questions(None, "A")},
         "error", "D368", "a.jsonl:21", ["not a list of choices", '["red", "green"]']),
    Case(94, "an empty choice", {"a.jsonl": questions(["up", ""], "A")},
         "error", "D368", "a.jsonl:21", ["choice B is ''"]),
    Case(94, "more choices than keys", {"a.jsonl": questions(
         {"text": ["up", "down", "left"], "label": ["A", "B"]}, "A")},
         "error", "D368", "a.jsonl:21", ["3 choices with 2 keys"]),
    Case(94, "a list of lists", {"a.jsonl": questions([["up", "down"]], "A")},
         "error", "D368", "a.jsonl:21", ["choice A is ['up', 'down'], not text"]),
    Case(94, "RACE", {"a.jsonl": race(2)}),
    Case(94, "RACE with an answer too few", {"a.jsonl": race(1)},
         "error", "D368", "a.jsonl:20", ["2 questions with choices for 2 and answers to 1"]),
    Case(110, "queries with passages", {"a.jsonl": passages()}),
    Case(110, "judged passages", {"a.csv": judged(0)}),
    Case(111, "a passage that is a number", {"a.jsonl": passages(neg=["no", 3])},
         "error", "D370", "a.jsonl:21", ["a passage is 3, not text"]),
    Case(111, "no list of passages", {"a.jsonl": passages(pos={"a": "b"})},
         "error", "D370", "a.jsonl:21", ['"pos" holds no passages', '["a passage", "another"]']),
    Case(112, "a query with one kind of passages", {"a.jsonl": passages(neg=[])},
         "warning", "D371", "a.jsonl", ["1 of 21 queries have only relevant passages"]),
    Case(113, "a passage of both kinds", {"a.jsonl": passages(neg=["up", "down"], pos=["up"])},
         "error", "D372", "a.jsonl:21", ['both relevant and not: "up"']),
    Case(114, "a label of words", {"a.csv": judged("good")},
         "error", "D373", "a.csv:62", ['"good", not a number from 0']),
    Case(114, "a negative label", {"a.csv": judged(-1)},
         "error", "D373", "a.csv:62", ['"-1", not a number from 0']),
    Case(115, "a query without passages", {"a.jsonl": passages(pos=[], neg=[])},
         "error", "D374", "a.jsonl:21", ["the query has no passage"]),
    Case(115, "an empty query", {"a.jsonl": passages(query=" ")},
         "error", "D330", "a.jsonl:21", ['"query" is empty']),
    Case(116, "a query in two splits", {"a.csv": judged(0), "b.csv": judged(0)},
         "error", "D401", "b.csv:2", ["61 of 61 validation rows"],
         ["a.csv", "--validation", "b.csv"]),
    Case(116, "other passages of a query in two splits",
         {"a.csv": judged(0), "b.csv": judged(0).replace("?,", "?,so ").replace("another", "one")},
         "error", "D412", "b.csv:2", ['61 of 61 validation rows have the "query"', "--allow-leak"],
         ["a.csv", "--validation", "b.csv"]),
    Case(117, "only relevant passages",
         {"a.csv": table([(f"q {i // 2}", f"p {i}", 1) for i in range(20)], "query,passage,label")},
         "error", "D204", "a.csv", ["all 20 passages are relevant"],
         ["a.csv", "--task", "text-ranking"]),
    Case(95, "no answer to a question", {"a.jsonl": questions(["up", "down"], "-1")},
         "error", "D201", "a.jsonl:21", ["the label is empty"]),
    Case(101, "SQuAD", {"a.json": squad()}),
    Case(101, "answers in a table", {"a.csv": "question,context,answer\n" + "".join(
        f"{text}?,It is in Rome {text},Rome\n" for text in texts())}),
    Case(102, "answers without a context",
         {"a.csv": table([(f"{text}?", f"in {text}") for text in texts()], "question,answer")},
         "error", "D350", "a.csv", ["no column has the texts", "such as context", "generation"]),
    Case(102, "a question without its context", {"a.jsonl": answered(context=" ")},
         "error", "D350", "a.jsonl:21", ["no context that could hold an answer"]),
    Case(103, "an answer at another place",
         {"a.jsonl": answered(200, answers={"text": ["Rome"], "answer_start": [11]})},
         "error", "D351", "a.jsonl:201",
         ['question 200: the answer "Rome" is not at 11 but at 9 (-2)', "code points"]),
    Case(103, "bytes in the one row that tells",
         {"a.jsonl": answered(200, context="C\u2019est \u00e0 Rome",
                              answers={"text": ["Rome"], "answer_start": [11]})}),
    Case(103, "a question of SQuAD at another place",
         {"a.json": squad(answers=[{"text": "Rome", "answer_start": 8}])},
         "error", "D351", "a.json:310", ["question 20: the answer", "not at 8 but at 9 (+1)"]),
    Case(104, "an answer that is not there",
         {"a.jsonl": answered(answers={"text": ["rome"], "answer_start": [9]})},
         "error", "D352", "a.jsonl:21", ['is not in the context, which has "Rome"', "Copy"]),
    Case(105, "an answer to an impossible question", {"a.jsonl": answered(is_impossible=True)},
         "error", "D353", "a.jsonl:21", ['according to "is_impossible", and the answer "Rome"']),
    Case(106, "no list of answers", {"a.jsonl": answered(answers={"a": 3})},
         "error", "D365", "a.jsonl:21", ["not a list of answers", '"answer_start": 3']),
    Case(106, "no question", {"a.json": squad().replace('"qas": [', '"qas": ["x",', 1)},
         "error", "D365", "a.json:6", ["not a question: x", '"answers": []']),
    Case(107, "an answer at two places",
         {"a.csv": "question,context,answer\n" + "".join(
             f"{text}?,In Rome {text},Rome\n" for text in texts()) + "W?,Rome or Rome,Rome\n"},
         "warning", "D366", "a.csv:22", ['"Rome" is at 2 places', "answer_start"]),
    Case(108, "a question without a known answer", {"a.jsonl": answered(answers=None)},
         "error", "D201", "a.jsonl:21", ["the label is empty"]),
]  # fmt: skip
"""Rows 71 and 72 are of tasks on tokens, which do not exist yet."""


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_answer(case: Case, tunesmith: Command, tmp_path: Path) -> None:
    for name, content in case.files.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    arguments = list(case.arguments)
    if not arguments or arguments[0].startswith("-"):
        arguments = [next(iter(case.files)), *arguments]
    said = tunesmith("check", *arguments, "--json")
    (record,) = said.records
    assert said.code == case.exit_code, record
    by_code = {problem["code"]: problem for problem in record["problems"]}
    if case.level is None:
        assert not record["counts"]["error"] and not record["counts"]["warning"], by_code
        return
    problem = by_code[case.code]
    assert problem["severity"] == case.level
    assert problem["place"] == case.place
    words = "\n".join((problem["message"], *problem["evidence"], problem["fix"]))
    for part in case.words:
        assert part in words


def test_warnings_fail_if_asked(tunesmith: Command, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(GOOD + texts()[0] + ",b\n")
    assert tunesmith("check", "a.csv").code == 0
    assert tunesmith("check", "a.csv", "--strict").code == 3
