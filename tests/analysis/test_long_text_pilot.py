"""A pilot finds that the end of long texts matters, and refuses where it could not tell."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest

from tests.cli.conftest import Command, tunesmith
from tests.conftest import WORDS, make_tiny_bert

__all__ = ["tunesmith"]  # the fixture


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Long texts whose class is their last word, short ones, and a model."""
    folder = tmp_path_factory.mktemp("pilot")
    make_tiny_bert(folder / "bert", layers=1)
    rows: list[tuple[str, object]] = []
    draw = random.Random(3)
    for i in range(220):
        words = draw.choices(WORDS[:20], k=3 + i % 3 if i % 2 else 24 + i % 17)
        end = draw.choice(("good", "bad"))
        rows.append((" ".join([*words, *[end] * 3]), "yes" if end == "good" else "no"))
    write(folder / "long.csv", rows)
    write(folder / "short.csv", [row for row in rows if len(row[0].split()) < 20])
    write(folder / "numbers.csv", [(text, i / 7) for i, (text, _label) in enumerate(rows)])
    return folder


def write(path: Path, rows: list[tuple[str, object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


SETTINGS = (
    "--max-length", 16, "--learning-rate", 3e-3, "--epochs", 3, "--device", "cpu", "--set",
    "train.dropout=0.0", "--pilot",
)  # fmt: skip


def test_it_finds_that_the_end_matters(desk: Path, tunesmith: Command) -> None:
    model = ("--model", desk / "bert")
    output = tunesmith("check", desk / "long.csv", *model, *SETTINGS, "--pilot-rows", 80, "--json")
    assert output.code == 0, output.err
    pilot = output.records[0]["pilot"]
    assert (pilot["train"], pilot["train_long"], pilot["scored"]) == (80, 40, 33)
    assert pilot["limit"] == 16 and pilot["best"] != "head"
    score = pilot["score"]
    ends, windows = (pilot["differences"][way][score] for way in ("head_tail", "windows"))
    assert ends["first"] == windows["first"] < min(ends["second"], windows["second"])
    assert ends["interval"]["low"] > 0
    assert pilot["tokens"]["head"] == pilot["tokens"]["head_tail"] < pilot["tokens"]["windows"]


@pytest.mark.slow
def test_it_is_shown(desk: Path, tunesmith: Command) -> None:
    model = ("--model", desk / "bert")
    output = tunesmith(
        "check", desk / "numbers.csv", *model, *SETTINGS, "--epochs", 1, "--pilot-rows", 60
    )
    assert output.code == 0, output.err
    assert "pilot: 30 rows of more than 16 tokens, learned from 60 others" in output.out
    assert "windows" in output.out.splitlines()[-2] and "head" in output.out.splitlines()[-1]


def test_what_cannot_be_tried_is_refused(desk: Path, tunesmith: Command) -> None:
    model = ("--model", desk / "bert")
    output = tunesmith("check", desk / "short.csv", *model, *SETTINGS)
    assert output.code == 2 and "R226" in output.err
    (desk / "lines.txt").write_text("".join(f"the soup is cold {i}\n" for i in range(40)))
    output = tunesmith("check", desk / "lines.txt", "--task", "masked-lm", *model, "--pilot")
    assert output.code == 2 and "R225" in output.err
