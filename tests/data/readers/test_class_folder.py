from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.readers.test_encodings import SENTENCES
from tunesmith.data.open import open_splits
from tunesmith.data.readers.class_folder import ClassFolder
from tunesmith.data.readers.format import ReadingOptions
from tunesmith.data.rows import BadRecordsError
from tunesmith.errors import DataError


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def rows(source: ClassFolder, columns: list[str] | None = None) -> list[tuple[object, ...]]:
    return [tuple(row.values.values()) for chunk in source.chunks(columns) for row in chunk]


REVIEWS: dict[str, str | bytes] = {
    "pos/2.txt": "good",
    "pos/10.txt": "\ufeffbetter\n\n",
    "neg/0_1.txt": "bad\r\nworse",
}


def test_each_file_is_a_row_and_its_folder_the_label(tmp_path: Path) -> None:
    source = ClassFolder.open(write(tmp_path, REVIEWS))
    assert rows(source) == [("bad\r\nworse", "neg"), ("good", "pos"), ("better", "pos")]
    assert [(c.name, c.type) for c in source.columns] == [("text", "text"), ("label", "text")]
    assert source.places([2, 0]) == {
        2: source.places([2])[2],
        0: source.places([0])[0],
    }
    assert str(source.places([2])[2]) == str(tmp_path / "pos" / "10.txt")
    assert rows(source, ["label"]) == [("neg",), ("pos",), ("pos",)]
    assert source.notes == ()
    assert source.name == str(tmp_path)


def test_a_folder_of_classes_is_the_split_train(tmp_path: Path) -> None:
    splits = open_splits(str(write(tmp_path, REVIEWS)))
    assert list(splits) == ["train"]
    assert sum(len(chunk) for chunk in splits["train"].chunks()) == 3


def test_the_layout_of_acl_imdb(tmp_path: Path) -> None:
    write(tmp_path / "train", {**REVIEWS, "unsup/1.txt": "who knows", "urls_pos.txt": "http"})
    write(tmp_path / "test", REVIEWS)
    write(tmp_path, {"README": "read me", "imdb.vocab": "the", "imdbEr.txt": "0"})
    splits = open_splits(str(tmp_path))
    assert list(splits) == ["train", "test"]
    train = splits["train"]
    assert [row.values["label"] for chunk in train.chunks() for row in chunk] == [
        "neg", "pos", "pos",
    ]  # fmt: skip
    assert train.notes == (
        f"{tmp_path / 'train' / 'unsup'}: left out, its texts have no label",
        f'{tmp_path / "train"}: files next to the classes are left out: "urls_pos.txt"',
    )
    assert splits["test"].notes == ()


@pytest.mark.parametrize("name", ["train", "Training"])
def test_names_of_splits(name: str, tmp_path: Path) -> None:
    write(tmp_path / name, REVIEWS)
    write(tmp_path / "dev", REVIEWS)
    assert list(open_splits(str(tmp_path))) == ["train", "validation"]


def test_hidden_files_are_not_there(tmp_path: Path) -> None:
    write(tmp_path, {**REVIEWS, ".git/x.txt": "x", "pos/.DS_Store": "x", "neg/Thumbs.db": "x"})
    assert len(rows(ClassFolder.open(tmp_path))) == 3
    write(tmp_path, {"neg/.hidden.txt": "x", "pos/desktop.ini": "x", "desktop.ini": "x"})
    source = ClassFolder.open(tmp_path)
    assert len(rows(source)) == 3
    assert source.notes == ()


def test_files_without_a_suffix_are_texts(tmp_path: Path) -> None:
    source = ClassFolder.open(write(tmp_path, {"sci.med/49960": "a", "alt.atheism/9": "b"}))
    assert rows(source) == [("b", "alt.atheism"), ("a", "sci.med")]


@pytest.mark.parametrize(
    ("files", "code", "words"),
    [
        ({"pos/1.txt": "a"}, "D125", 'texts of one class only: "pos"'),
        ({"pos/1.txt": "a", "unsup/1.txt": "b"}, "D125", '"pos"'),
        ({**REVIEWS, "pos/a.pdf": "x"}, "D124", 'among the texts of a class: "a.pdf"'),
        ({**REVIEWS, "neg/deep/1.txt": "x"}, "D124", '"deep"'),
        ({**REVIEWS, "labels.csv": "a,b\n"}, "D124", 'tables ("labels.csv")'),
        ({"a.csv": "x"}, "D105", 'Found: "a.csv"'),
        ({"empty/.keep": ""}, "D105", "no training file"),
    ],
)
def test_what_is_no_folder_of_classes(
    files: dict[str, str | bytes], code: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        open_splits(str(write(tmp_path, files)))
    (problem,) = caught.value.problems
    assert problem.code == code
    assert words in str(problem)
    assert problem.fix


def test_a_training_file_comes_before_folders(tmp_path: Path) -> None:
    write(tmp_path, {**REVIEWS, "train.csv": "text,label\na,b\n"})
    assert [column.name for column in open_splits(str(tmp_path))["train"].columns] == [
        "text", "label",
    ]  # fmt: skip
    assert sum(len(chunk) for chunk in open_splits(str(tmp_path))["train"].chunks()) == 1


def test_files_that_cannot_be_read_are_reported_and_the_others_come(tmp_path: Path) -> None:
    bad: dict[str, str | bytes] = {
        "pos/3.txt": SENTENCES["german"].encode("cp1252"),
        "pos/4.txt": b"\x81\x8d\x90",
        "pos/5.txt": b"a\0b",
        "pos/6.txt": b"x" * 10_000_001,
    }
    source = ClassFolder.open(write(tmp_path, {**REVIEWS, **bad}))
    seen = []
    with pytest.raises(BadRecordsError) as caught:
        for chunk in source.chunks():
            seen += [(row.index, row.values["text"]) for row in chunk]
    assert [index for index, _text in seen] == [0, 1, 6]
    assert [(Path(str(r.place)).name, r.code) for r in caught.value.records] == [
        ("3.txt", "D101"), ("4.txt", "D101"), ("5.txt", "D103"), ("6.txt", "D150"),
    ]  # fmt: skip
    assert caught.value.records[0].reason == "not UTF-8; it looks like cp1252"
    assert {problem.code for problem in caught.value.problems} == {"D101", "D103", "D150"}
    assert rows(source, ["label"])[-1] == ("pos",)


def test_encodings(tmp_path: Path) -> None:
    write(tmp_path, {"a/1": "plain", "a/2": "é", "b/1": SENTENCES["german"].encode("cp1252")})
    with pytest.raises(BadRecordsError, match="D101"):
        rows(ClassFolder.open(tmp_path))
    detected = ClassFolder.open(tmp_path, "auto")
    assert rows(detected) == [("plain", "a"), ("é", "a"), (SENTENCES["german"], "b")]
    assert detected.notes == (f"{tmp_path} is read as cp1252 (detected)",)
    assert ClassFolder.open(write(tmp_path / "utf8", REVIEWS), "auto").notes == ()
    named = open_splits(str(tmp_path), ReadingOptions(encoding="cp1252"))["train"]
    assert rows(named)[2] == (SENTENCES["german"], "b")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="D106"):
        ClassFolder.open(tmp_path, "rot13")


def test_names_for_columns_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="D114"):
        open_splits(str(write(tmp_path, REVIEWS)), ReadingOptions(header=("a", "b")))


def test_many_files_come_in_chunks(tmp_path: Path) -> None:
    write(tmp_path, {f"{'ab'[i % 2]}/{i}.txt": f"text {i}" for i in range(1200)})
    chunks = list(ClassFolder.open(tmp_path).chunks())
    assert [len(chunk) for chunk in chunks] == [1000, 200]
    texts = [row.values["text"] for chunk in chunks for row in chunk]
    assert texts == [f"text {i}" for k in (0, 1) for i in range(k, 1200, 2)]
