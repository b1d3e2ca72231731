from __future__ import annotations

import gzip
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, DatasetDict

from tests.capabilities import needs
from tunesmith.data.open import detected, from_python, looks_like_a_file, open_splits
from tunesmith.data.readers.format import ReadingOptions
from tunesmith.data.rows import Source
from tunesmith.errors import DataError

RECORDS = [{"text": f"row {i}", "label": "ab"[i % 2]} for i in range(4)]
CSV = "text,label\n" + "".join(f"{r['text']},{r['label']}\n" for r in RECORDS)
LINES = "".join(json.dumps(r) + "\n" for r in RECORDS)


def rows(source: Source) -> list[dict[str, object]]:
    return [dict(row.values) for chunk in source.chunks() for row in chunk]


def write(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def every_format(folder: Path) -> list[Path]:
    paths = [
        write(folder / "a.csv", CSV),
        write(folder / "a.tsv", CSV.replace(",", "\t")),
        write(folder / "a.jsonl", LINES),
        write(folder / "a.json", json.dumps(RECORDS)),
        write(folder / "lines.json", LINES),
        write(folder / "no_suffix", CSV),
        write(folder / "no_suffix_lines", LINES),
    ]
    for path in list(paths):
        packed = path.with_name(path.name + ".gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        paths.append(packed)
    table = pa.Table.from_pylist(RECORDS)
    pq.write_table(table, folder / "a.parquet")
    with pa.ipc.new_file(folder / "a.arrow", table.schema) as writer:
        writer.write_table(table)
    return [*paths, folder / "a.parquet", folder / "a.arrow"]


def test_every_format_gives_the_same_rows(tmp_path: Path) -> None:
    paths = every_format(tmp_path)
    assert len(paths) == 16
    for path in paths:
        splits = open_splits(str(path))
        assert list(splits) == ["train"]
        assert rows(splits["train"]) == RECORDS, path.name


def test_several_files_are_one_table(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", CSV)
    second = write(tmp_path / "b.jsonl", LINES)
    joined = open_splits([str(first), str(second)])["train"]
    assert rows(joined) == RECORDS * 2
    assert str(joined.places([5])[5]) == f"{second}:2"


def test_several_files_must_have_the_same_columns(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", CSV)
    second = write(tmp_path / "b.csv", "text,lable\na,b\n")
    with pytest.raises(DataError, match="D306") as caught:
        open_splits([str(first), str(second)])
    assert '"lable"' in str(caught.value)


def test_a_folder_of_files_named_after_splits(tmp_path: Path) -> None:
    for name in ("train-00.csv", "train-01.csv", "dev.jsonl", "test.csv.gz", "notes.txt"):
        content = LINES if name.endswith("jsonl") else CSV
        data = gzip.compress(content.encode()) if name.endswith("gz") else content.encode()
        (tmp_path / name).write_bytes(data)
    splits = open_splits(str(tmp_path))
    assert list(splits) == ["train", "validation", "test"]
    assert len(rows(splits["train"])) == 8
    assert rows(splits["test"]) == RECORDS


def test_a_folder_without_training_rows(tmp_path: Path) -> None:
    write(tmp_path / "x.csv", CSV)
    with pytest.raises(DataError, match="no training file") as caught:
        open_splits(str(tmp_path))
    assert '"x.csv"' in str(caught.value)


def test_folders_of_save_to_disk(tmp_path: Path) -> None:
    made = Dataset.from_list(RECORDS)
    made.save_to_disk(str(tmp_path / "one"))
    DatasetDict({"train": made, "test": made}).save_to_disk(str(tmp_path / "both"))
    assert rows(open_splits(str(tmp_path / "one"))["train"]) == RECORDS
    assert list(open_splits(str(tmp_path / "both"))) == ["train", "test"]


def test_missing_files_name_the_nearest(tmp_path: Path) -> None:
    write(tmp_path / "tickets.csv", CSV)
    with pytest.raises(DataError, match="D105") as caught:
        open_splits(str(tmp_path / "tikcets.csv"))
    assert "tickets.csv" in str(caught.value)
    with pytest.raises(DataError, match="There is no folder"):
        open_splits(str(tmp_path / "no" / "x.csv"))
    with pytest.raises(DataError, match="The folder holds"):
        open_splits(str(tmp_path / "zzzzzzzz.parquet"))


@pytest.mark.parametrize(
    ("name", "is_file"),
    [
        ("glue/mrpc", False),
        ("owner/name", False),
        ("nyu-mll/glue/mrpc", False),
        ("imdb", False),
        ("tickets.csv", True),
        ("owner/name.jsonl.gz", True),
        ("./folder", True),
        ("/abs", True),
        ("a/b/c/d", True),
        ("with space", True),
        ("C:\\data", True),
    ],
)
def test_what_can_only_be_a_file(name: str, is_file: bool) -> None:
    assert looks_like_a_file(name) == is_file


def test_objects_of_python() -> None:
    made = Dataset.from_list(RECORDS)
    for data in (RECORDS, made, pd.DataFrame(RECORDS)):
        assert rows(from_python(data)["train"]) == RECORDS
    both = from_python(DatasetDict({"train": made, "test": made}))
    assert list(both) == ["train", "test"]
    assert list(from_python({"train": RECORDS, "dev": pd.DataFrame(RECORDS)})) == ["train", "dev"]
    with pytest.raises(DataError, match="D107"):
        from_python(object())


def test_encoding_and_delimiter_are_passed_on(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("文本;标签\n你好;x\n".encode("gb18030"))
    options = ReadingOptions(encoding="gb18030", delimiter=";")
    assert rows(open_splits(str(tmp_path / "a.csv"), options)["train"]) == [
        {"文本": "你好", "标签": "x"}
    ]


def test_embedded_sets_by_name() -> None:
    assert set(open_splits("embedded:tickets")) == {"train", "validation", "test"}


def test_what_was_detected_as_far_as_all_files_agree(tmp_path: Path) -> None:
    german = CSV.replace(",", ";").replace("row", "für").encode("cp1252")
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_bytes(german)
    auto = ReadingOptions(encoding="auto")
    one = open_splits(str(tmp_path / "a.csv"), auto)["train"]
    assert detected(one) == {"encoding": "cp1252", "delimiter": ";"}
    both = open_splits([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")], auto)["train"]
    assert detected(both) == {"encoding": "cp1252", "delimiter": ";"}
    write(tmp_path / "b.csv", CSV.replace(",", ";"))
    both = open_splits([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")], auto)["train"]
    assert detected(both) == {"delimiter": ";"}
    assert detected(open_splits(str(write(tmp_path / "c.csv", CSV)))["train"]) == {}
    assert detected(from_python(RECORDS)["train"]) == {}


@pytest.mark.parametrize(
    "where",
    ["~nobody-of-this-name/a.csv", pytest.param("/dev/null", marks=needs("/dev")), "a\0b.csv"],
)
def test_paths_that_are_none(where: str) -> None:
    with pytest.raises(DataError) as caught:
        open_splits(where)
    assert caught.value.problems[0].code in ("D105", "D123", "D130")


def test_frames_of_any_kind(tmp_path: Path) -> None:
    twice = pd.DataFrame([["a", 1, "x"], ["b", 2, "y"]], columns=["text", "n", "n"])
    source = from_python(twice)["train"]
    assert [(c.name, c.duplicates) for c in source.columns] == [("text", ()), ("n", (2, 3))]
    assert rows(source) == [{"text": "a", "n": 1}, {"text": "b", "n": 2}]
    mixed = pd.DataFrame({"text": ["a", 1, None, float("nan")], "n": [1, 2, 3, 4]})
    assert rows(from_python(mixed)["train"]) == [
        {"text": "a", "n": 1}, {"text": 1, "n": 2}, {"text": None, "n": 3}, {"text": None, "n": 4},
    ]  # fmt: skip
    numbered = pd.DataFrame([["a", "x"]])
    assert rows(from_python(numbered)["train"]) == [{"0": "a", "1": "x"}]


def test_keys_that_are_no_texts(tmp_path: Path) -> None:
    assert rows(from_python([{0: "a", "b": 1}])["train"]) == [{"0": "a", "b": 1}]


def test_half_a_character_in_python(tmp_path: Path) -> None:
    records = [{"text": "fine"}, {"text": "caf\udce9"}, {"text": ["\ud800"]}, {"text": "good"}]
    chunks = from_python(records)["train"].chunks()
    assert [(row.index, row.values["text"]) for row in next(chunks)] == [(0, "fine"), (3, "good")]
    with pytest.raises(DataError) as caught:
        next(chunks)
    (problem,) = caught.value.problems
    assert (problem.code, problem.count, str(problem.place)) == ("D142", 2, "data[1]")
    largest = {"n": 10**4000}
    assert rows(from_python([largest])["train"]) == [largest]
    with pytest.raises(DataError, match="D140"):
        rows(from_python([{"n": 10**4300}])["train"])


def test_a_pattern_names_all_files_that_fit(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "c.txt"):
        (tmp_path / name).write_text(f"text,label\n{name},x\n")
    source = open_splits(str(tmp_path / "*.csv"))["train"]
    texts = [row.values["text"] for chunk in source.chunks() for row in chunk]
    assert texts == ["a.csv", "b.csv"]
    with pytest.raises(DataError):
        open_splits(str(tmp_path / "*.parquet"))
