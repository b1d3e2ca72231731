from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command
from tunesmith.models import load_tokenizer, locate


def test_it_trains_on_a_file_and_shows_what_it_does(
    tunesmith: Command, tickets: Path, tmp_path: Path
) -> None:
    said = tunesmith(
        "tokenizer", "train", tickets, "--text", "body", "--vocab-size", 120, "--out", "mine"
    )
    assert said.code == 0
    assert "120 pieces  mine" in said.out
    assert "the printer 0 is broken again" in said.out
    assert len(load_tokenizer(locate_tokenizer(tmp_path / "mine"))) == 120


def locate_tokenizer(folder: Path):  # type: ignore[no-untyped-def]
    from tunesmith.models import ModelFiles

    return ModelFiles(str(folder), folder)


def test_it_takes_after_an_old_one(tunesmith: Command, tickets: Path, tiny_bert: Path) -> None:
    said = tunesmith(
        "tokenizer",
        "train",
        tickets,
        "--from",
        tiny_bert,
        "--vocab-size",
        150,
        "--out",
        "mine",
        "--json",
    )
    assert said.code == 0
    (record,) = said.records
    old = load_tokenizer(locate(str(tiny_bert)))
    assert record["pieces"] == 150
    assert len(record["tokens"]) <= len(old.tokenize(record["example"]))


def test_what_goes_wrong_is_told(tunesmith: Command, tickets: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    said = tunesmith("tokenizer", "train", tickets, "--out", "there")
    assert said.code == 2 and "R115 there" in said.err and "--force" not in said.err
    said = tunesmith("tokenizer", "train", tickets, "--text", "bdy", "--out", "new")
    assert said.code == 3 and "columns: id, body, queue" in said.err
    assert not (tmp_path / "new").exists()
