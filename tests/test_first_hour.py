"""The first hour of a new user: files as users have them, and errors whose advice works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest

from tests.cli.conftest import Command, tunesmith

__all__ = ["tunesmith"]  # the fixture, for this file

TEXTS = [f"the {'soup' if i % 2 else 'rice'} of table {i} is {'cold' * (i % 3)}" for i in range(60)]
GERMAN = ("Der Drucker ist wieder kaputt, schöne Grüße", "Bitte ein neues Telefon für das Büro")


def counts(said: str) -> list[str]:
    return re.findall(r"\d classes: (.*)", said) + re.findall(r"\d labels: (.*)", said)


def advised(said: str, word: str) -> list[str]:
    """The words of the command that a message says would work."""
    (line,) = [line.strip() for line in said.splitlines() if line.strip().startswith(word)]
    return shlex.split(line)


def test_a_table_as_pandas_writes_it(tunesmith: Command) -> None:
    """With its index as a first column without a name."""
    frame = pd.DataFrame({"text": TEXTS, "label": ["ab"[i % 2] for i in range(60)]})
    frame.to_csv("tickets.csv")
    said = tunesmith("check", "tickets.csv")
    assert said.code == 0
    assert counts(said.out) == ["a 30, b 30"]


def test_an_export_of_a_german_excel(tunesmith: Command) -> None:
    """`sep=;`, semicolons, decimal commas, Windows line ends, and no UTF-8."""
    rows = [f"{i};{GERMAN[i % 2]} {i};{('Technik', 'Einkauf')[i % 2]};{i},50" for i in range(60)]
    lines = ["sep=;", "Nr;Text;Abteilung;Preis", *rows]
    Path("export.csv").write_bytes("\r\n".join(lines).encode("cp1252"))
    refused = tunesmith("check", "export.csv")
    assert refused.code == 3
    assert "export.csv:3" in refused.out
    said = tunesmith(*advised(refused.out, "tunesmith check")[1:])
    assert said.code == 0
    assert counts(said.out) == ["Einkauf 30, Technik 30"]


def test_several_tags_in_one_field(tunesmith: Command) -> None:
    tags = ["delivery;price", "price", "quality;delivery", "quality"] * 15
    pd.DataFrame({"text": TEXTS, "tags": tags}).to_csv("tags.csv", index=False)
    refused = tunesmith("check", "tags.csv")
    assert refused.code == 3
    match = re.search(r"(--task multi-label-classification --label-separator \S+)", refused.out)
    assert match is not None
    said = tunesmith("check", "tags.csv", *shlex.split(match[1]))
    assert said.code == 0
    assert counts(said.out) == ["delivery 30, price 30, quality 30"]


def test_a_folder_of_texts_by_class(tunesmith: Command) -> None:
    for i, text in enumerate(TEXTS):
        folder = Path("reviews") / ("pos", "neg")[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i}_7.txt").write_text(text)
    said = tunesmith("check", "reviews")
    assert said.code == 0
    assert counts(said.out) == ["neg 30, pos 30"]


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["train", "tikets.csv"], 'Did you mean "tickets.csv"?'),
        (["train", "tickets.csv", "--lable", "label"], "--label"),
        (["train", "tickets.csv", "--label", "lable"], 'did you mean "label"?'),
        (["train", "tickets.csv", "--num-epochs", "2"], "--set train.epochs=2"),
        (["train", "tickets.csv", "--set", "train.epcohs=2"], 'did you mean "epochs"?'),
        (["train", "tickets.csv", "--model", "embeded:mini"], "embedded:mini"),
        (["train", "tickets.csv", "--task", "text-clasification"], "text-classification"),
        (["trian", "tickets.csv"], 'did you mean "train"?'),
        (["predict", "tickets", "x"], "M10"),
        (["errors", "tickets"], "C113"),
    ],
)
def test_what_is_misspelled_is_answered_with_what_was_meant(
    words: list[str],
    advice: str,
    tunesmith: Command,
) -> None:
    frame = pd.DataFrame({"text": TEXTS, "label": ["ab"[i % 2] for i in range(60)]})
    frame.to_csv("tickets.csv", index=False)
    said = tunesmith(*words)
    assert said.code in (2, 3, 4)
    assert advice in said.err
    assert "M000" not in said.err
    assert not Path("runs/tickets/recipe.yaml").exists()
