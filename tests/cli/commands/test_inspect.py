from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command


def test_a_pair(tunesmith: Command, tiny_bert: Path) -> None:
    said = tunesmith("inspect", tiny_bert, "this one", "the second one")
    assert said.code == 0
    header, *rows = said.out.splitlines()
    assert header.split() == ["token", "input_ids", "token_type_ids", "attention_mask"]
    assert [row.split()[1] for row in rows] == [
        "[CLS]", "this", "one", "[SEP]", "the", "second", "one", "[SEP]",
    ]  # fmt: skip
    assert [row.split()[3] for row in rows] == list("00001111")
    assert "8 tokens of at most 64" in said.err


def test_a_row_of_data_and_what_is_cut(tunesmith: Command, tickets: Path, tiny_bert: Path) -> None:
    said = tunesmith(
        "inspect", tickets, "--model", tiny_bert, "--row", 3, "--max-length", 5, "--json"
    )
    assert said.code == 0 and "cut off: " in said.err
    (record,) = said.records
    assert len(record["input_ids"]) == 5 == record["max_length"]
    assert record["cut"][0]
    said = tunesmith("inspect", tickets, "--model", tiny_bert, "--row", 999)
    assert said.code == 3 and "D308" in said.err


def test_three_texts_are_too_many(tunesmith: Command, tiny_bert: Path) -> None:
    said = tunesmith("inspect", tiny_bert, "one", "two", "three")
    assert said.code == 2 and "R100" in said.err


def test_text_without_labels_and_a_recipe(
    tunesmith: Command, tiny_bert: Path, tickets: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("the soup is cold\nthe table is new\n")
    said = tunesmith("inspect", "notes.txt", "--model", tiny_bert, "--row", 1)
    assert said.code == 0 and "table" in said.out
    (tmp_path / "recipe.yaml").write_text(
        f"task: text-classification\nmodel: {tiny_bert}\n"
        f"data: {{train: {tickets}, text: body, label: queue}}\ntrain: {{max_length: 7}}\n"
    )
    said = tunesmith("inspect", "recipe.yaml", "--json")
    assert said.code == 0, said.err
    assert said.records[0]["max_length"] == 7


def test_an_empty_text_is_told(tunesmith: Command, tiny_bert: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": null, "label": "a"}\n')
    said = tunesmith("inspect", "rows.jsonl", "--text", "text", "--model", tiny_bert)
    assert said.code == 3 and "rows.jsonl" in said.err
