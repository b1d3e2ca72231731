from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Command


def test_texts_in_their_order(tunesmith: Command, trained: Path) -> None:
    texts = ["the printer is broken again", "send me a new phone", "x"]
    said = tunesmith("predict", trained, *texts, "--json")
    assert said.code == 0
    assert [record["row"] for record in said.records] == [0, 1, 2]
    for record in said.records:
        assert record["label"] in ("order", "repair")
        assert record["score"] == max(record["scores"].values())
        assert sum(record["scores"].values()) == pytest.approx(1)
    lines = tunesmith("predict", trained / "model", *texts).out.splitlines()
    assert [line.split("\t")[2] for line in lines] == texts


def test_a_file_and_stdin_give_the_same(tunesmith: Command, trained: Path) -> None:
    texts = ["the printer is broken", "a new phone"]
    Path("new.csv").write_text("body\n" + "\n".join(texts) + "\n")
    by_file = tunesmith("predict", trained, "--file", "new.csv", "--json").records
    by_stdin = tunesmith("predict", trained, "--json", stdin="\n".join(texts) + "\n").records
    by_words = tunesmith("predict", trained, "--json", "--batch-size", "1", *texts).records
    for one, two, three in zip(by_file, by_stdin, by_words, strict=True):
        assert one["scores"] == pytest.approx(two["scores"], abs=1e-6)
        assert one["scores"] == pytest.approx(three["scores"], abs=1e-6)


def test_a_text_that_looks_like_an_option(tunesmith: Command, trained: Path) -> None:
    said = tunesmith("predict", trained, "--", "--json")
    assert said.code == 0
    assert said.out.rstrip().endswith("--json")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["text", "--file", "x.csv"], 2, "either texts or --file"),
        (["--file", "none.csv"], 3, "D105"),
        ([""], 3, "D310"),
        (["x", "--device", "cuda"], 4, "M117"),
        (["x", "--nonsense"], 2, "R100"),
    ],
)
def test_what_cannot_be_predicted(
    arguments: list[str], code: int, words: str, tunesmith: Command, trained: Path
) -> None:
    said = tunesmith("predict", trained, *arguments)
    assert said.code == code
    assert words in said.err


def test_no_such_model(tunesmith: Command, tiny_bert: Path) -> None:
    assert tunesmith("predict", "./none", "x").code == 2
    said = tunesmith("predict", tiny_bert, "x")
    assert said.code == 2
    assert "M114" in said.err


def test_other_columns(tunesmith: Command, trained: Path) -> None:
    Path("new.csv").write_text("message\nthe printer is broken\n")
    assert "D301" in tunesmith("predict", trained, "--file", "new.csv").err
    assert tunesmith("predict", trained, "--file", "new.csv", "--text", "message").code == 0


def test_a_table_without_a_header(tunesmith: Command, trained: Path) -> None:
    Path("new.csv").write_text("1,the printer is broken\n2,a new phone\n")
    said = tunesmith("predict", trained, "--file", "new.csv", "--no-header", "id,body", "--json")
    assert [record["row"] for record in said.records] == [0, 1]
