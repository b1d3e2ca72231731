"""A few rows of each task, and of the toys, and a short run on them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ticket_rows
from tests.tasks import toys
from tests.tasks.short_runs import ShortRun
from tunesmith.tasks import TASKS

__all__ = ["NAMES", "SampleRun", "train_once"]

Rows = Sequence[Mapping[str, object]]
TEXTS = [row[1] for row in ticket_rows(36)[1:]]


def _each(column: str, values: Sequence[object]) -> Rows:
    return [{"text": text, column: value} for text, value in zip(TEXTS, values, strict=True)]


def _tag(word: str) -> str:
    return ("B-THING" if len(word) == 7 else "B-TIME") if len(word) > 5 else "O"


_KINDS = ["repair" if "broken" in text else "order" for text in TEXTS]
_LONG = ["long" if len(text) > 30 else "short" for text in TEXTS]
_FIRST = [i - i % 7 + 4 * (i % 7 > 3) for i in range(len(TEXTS))]
"""Of the four or three passages of a query the one that is relevant."""
_CHOICES = [TEXTS[i % 7 : i % 7 + 3] for i in range(len(TEXTS))]
_ROWS: Mapping[str, Rows] = {
    "text-classification": _each("label", _KINDS),
    "multi-label-classification": _each("labels", [*map(list, zip(_KINDS, _LONG, strict=True))]),
    "text-regression": _each("label", [3.0 * ("broken" in text) for text in TEXTS]),
    "masked-lm": [{"text": text} for text in TEXTS],
    "token-classification": [
        {"tokens": text.split(), "tags": [*map(_tag, text.split())]} for text in TEXTS
    ],
    "multiple-choice": [
        {"question": text, "choices": choices, "label": i % 2}
        for i, (text, choices) in enumerate(zip(TEXTS, _CHOICES, strict=True))
    ],
    "text-ranking": [
        {"query": f"find {TEXTS[first]}", "passage": text, "label": int(i == first)}
        for i, (text, first) in enumerate(zip(TEXTS, _FIRST, strict=True))
    ],
    "question-answering": [
        {
            "id": str(i),
            "question": f"what is {text.split()[-1]}?",
            "context": text,
            "answers": [{"text": text.split()[1], "answer_start": text.index(text.split()[1])}]
            * (i % 4 > 0),
        }
        for i, text in enumerate(TEXTS)
    ],
    "toy-tags": _each("label", [["OXY"[len(word) % 3] for word in t.split()] for t in TEXTS]),
    "toy-choice": [
        {"text": text, "label": i % 2, "pair": choices}
        for i, (text, choices) in enumerate(zip(TEXTS, _CHOICES, strict=True))
    ],
    "toy-windows": _each("label", _KINDS),
    "toy-text": _each("label", ["broken" if "broken" in text else "new one" for text in TEXTS]),
}
_NAMED = {"data.label": "label", "data.text": "text"}
_MORE: Mapping[str, Mapping[str, object]] = {
    **dict.fromkeys(toys.TOYS, _NAMED),
    "text-regression": _NAMED,
    "toy-choice": {**_NAMED, "data.text_pair": "pair"},
}
"""Settings without which a task would not be chosen, or other columns."""

NAMES = [*TASKS, *toys.TOYS]


@dataclass(frozen=True)
class SampleRun(ShortRun):
    """The rows of a task, and a run of the exact engine on them."""

    name: str
    data_name = "rows.jsonl"

    @property
    def columns(self) -> list[str]:
        return [*self.rows[0]]

    @property
    def more(self) -> dict[str, object]:
        return {"train.select_by": "loss", "task": self.name, **_MORE.get(self.name, {})}

    @property
    def rows(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.data.read_text().splitlines()]


def train_once(name: str, folder: Path) -> SampleRun:
    """Return the run of a task in a folder with a small model in `bert`; train it if it is new."""
    sample = SampleRun(folder / name, name)
    if not sample.folder.exists():
        sample.folder.mkdir()
        shutil.copytree(folder / "bert", sample.folder / "bert")
        sample.data.write_text("".join(json.dumps(row) + "\n" for row in _ROWS[name]))
        sample.train(sample.run.folder)
    return sample
