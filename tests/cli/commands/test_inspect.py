from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command


def test_a_pair(tunesmith: Command, tiny_bert: Path) -> None:
    output = tunesmith("inspect", tiny_bert, "this one", "the second one")
    assert output.code == 0
    header, *rows = output.out.splitlines()
    assert header.split() == ["token", "input_ids", "token_type_ids", "attention_mask"]
    assert [row.split()[1] for row in rows] == [
        "[CLS]", "this", "one", "[SEP]", "the", "second", "one", "[SEP]",
    ]  # fmt: skip
    assert [row.split()[3] for row in rows] == list("00001111")
    assert "8 tokens of at most 64" in output.err


def test_a_row_of_data_and_what_is_cut(tunesmith: Command, tickets: Path, tiny_bert: Path) -> None:
    output = tunesmith(
        "inspect", tickets, "--model", tiny_bert, "--row", 3, "--max-length", 5, "--json"
    )
    assert output.code == 0 and "cut off: " in output.err
    (record,) = output.records
    assert len(record["input_ids"]) == 5 == record["max_length"]
    assert record["cut"][0]
    output = tunesmith("inspect", tickets, "--model", tiny_bert, "--row", 999)
    assert output.code == 3 and "D308" in output.err


def test_three_texts_are_too_many(tunesmith: Command, tiny_bert: Path) -> None:
    output = tunesmith("inspect", tiny_bert, "one", "two", "three")
    assert output.code == 2 and "R100" in output.err


def test_text_without_labels_and_a_recipe(
    tunesmith: Command, tiny_bert: Path, tickets: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("the soup is cold\nthe table is new\n")
    output = tunesmith("inspect", "notes.txt", "--model", tiny_bert, "--row", 1)
    assert output.code == 0 and "table" in output.out
    (tmp_path / "recipe.yaml").write_text(
        f"task: text-classification\nmodel: {tiny_bert}\n"
        f"data: {{train: {tickets}, text: body, label: queue}}\ntrain: {{max_length: 7}}\n"
    )
    output = tunesmith("inspect", "recipe.yaml", "--json")
    assert output.code == 0, output.err
    assert output.records[0]["max_length"] == 7
    with (tmp_path / "recipe.yaml").open("a") as file:
        file.write("options: {long: windows}\n")
    output = tunesmith("inspect", "recipe.yaml")
    assert output.code == 0 and "as options.long says: windows" in output.out + output.err


def test_empty_text_is_an_error(tunesmith: Command, tiny_bert: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": null, "label": "a"}\n')
    output = tunesmith("inspect", "rows.jsonl", "--text", "text", "--model", tiny_bert)
    assert output.code == 3 and "rows.jsonl" in output.err
