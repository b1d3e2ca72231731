"""From a file to a report with no further argument and without network, for files of each task."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Command, tunesmith
from tunesmith.runs.folder import RunFolder

__all__ = ["tunesmith"]  # the fixture

PLACES = ["London", "Paris", "Rome", "Oslo"]
COUNT = 20


def conll(path: Path) -> None:
    """Columns as in the files of CoNLL-2003."""
    sentences = [
        f"Ann NNP B-NP B-PER\nsaw VBD B-VP O\n{PLACES[i % 4]} NNP B-NP B-LOC\n{i} CD B-NP O\n"
        for i in range(COUNT)
    ]
    path.write_text("-DOCSTART- -X- -X- O\n\n" + "\n".join(sentences), encoding="utf-8")


def squad(path: Path) -> None:
    """An object as SQuAD 1.1 writes it."""
    paragraphs = []
    for i in range(COUNT):
        place = PLACES[i % 4]
        context = f"On day {i} Ann saw {place}."
        answers = [{"text": place, "answer_start": context.index(place)}]
        question = {"id": str(i), "question": f"What did Ann see on day {i}?", "answers": answers}
        paragraphs.append({"context": context, "qas": [question]})
    path.write_text(json.dumps({"version": "1.1", "data": [{"paragraphs": paragraphs}]}))


def swag(path: Path) -> None:
    """Columns as SWAG writes them."""
    endings = [f"ending{i}" for i in range(4)]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sent1", "sent2", *endings, "label"])
        for i in range(COUNT):
            texts = [f"saw {place} on day {i}." for place in PLACES]
            writer.writerow([f"Ann went to {PLACES[i % 4]}.", "She", *texts, i % 4])


@pytest.mark.parametrize(
    ("name", "write", "task"),
    [
        ("conll2003.txt", conll, "token-classification"),
        ("squad.json", squad, "question-answering"),
        ("swag.csv", swag, "multiple-choice"),
    ],
)
def test_a_file_alone_is_enough(
    name: str, write: Callable[[Path], None], task: str, tunesmith: Command, tmp_path: Path
) -> None:
    write(tmp_path / name)
    output = tunesmith("train", name)
    assert output.code == 0, output.err
    assert f"task = {task}" in output.err and "model = embedded:mini" in output.err
    run = RunFolder(tmp_path / "runs" / Path(name).stem)
    assert run.facts()["task"]["task"] == task
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert task in page and f"on {COUNT - 2} rows of {name}" in page
    assert output.table[0].split()[:3] == ["validation", "score", "95%"]
