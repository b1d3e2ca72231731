from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command
from tunesmith.models import load_tokenizer, locate


def test_train_tokenizer(tunesmith: Command, tickets: Path, tmp_path: Path) -> None:
    output = tunesmith(
        "tokenizer", "train", tickets, "--text", "body", "--vocab-size", 120, "--out", "mine"
    )
    assert output.code == 0
    assert "120 pieces  mine" in output.out
    assert "the printer 0 is broken again" in output.out
    assert len(load_tokenizer(locate_tokenizer(tmp_path / "mine"))) == 120


def locate_tokenizer(folder: Path):  # type: ignore[no-untyped-def]
    from tunesmith.models import ModelFiles

    return ModelFiles(str(folder), folder)


def test_train_tokenizer_from_another(tunesmith: Command, tickets: Path, tiny_bert: Path) -> None:
    output = tunesmith(
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
    assert output.code == 0
    (record,) = output.records
    old = load_tokenizer(locate(str(tiny_bert)))
    assert record["pieces"] == 150
    assert len(record["tokens"]) <= len(old.tokenize(record["example"]))


def test_errors(tunesmith: Command, tickets: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    output = tunesmith("tokenizer", "train", tickets, "--out", "there")
    assert output.code == 2 and "R115 there" in output.err and "--force" not in output.err
    output = tunesmith("tokenizer", "train", tickets, "--text", "bdy", "--out", "new")
    assert output.code == 3 and "columns: id, body, queue" in output.err
    assert not (tmp_path / "new").exists()
