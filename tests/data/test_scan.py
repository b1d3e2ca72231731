from __future__ import annotations

from pathlib import Path

import numpy as np

from tunesmith.data.findings import Finding
from tunesmith.data.open import open_splits
from tunesmith.data.readers.columnar import Memory
from tunesmith.data.rows import Row, Source
from tunesmith.data.scan import Survey
from tunesmith.errors import Severity


def survey(source: Source, *, stratum: object = None) -> Survey:
    def examine(row: Row) -> Finding | None:
        if not row.values["text"]:
            return Finding("D310", "the text is empty")
        if row.values["text"] == "odd":
            return Finding("D312", "odd", severity=Severity.WARNING)
        return None

    return Survey(
        source,
        columns=["text", "label"],
        text_columns=["text"],
        examine=examine,
        stratum=lambda row: stratum or row.values["label"],  # type: ignore[arg-type, return-value]
    )


def memory(*texts: str) -> Memory:
    return Memory.of_records([{"text": t, "label": "ab"[i % 2]} for i, t in enumerate(texts)], "m")


def test_good_rows_pass_and_bad_ones_are_noted() -> None:
    watch = survey(memory("a", "", "odd", "b"))
    assert [row.index for row in watch.rows()] == [0, 2, 3]
    assert watch.num_rows == 4
    assert [p.code for p in watch.problems()] == ["D310", "D312"]
    assert len(watch.text_hashes) == len(watch.strata) == 3


def test_equal_texts_are_equal_but_for_case_and_spaces() -> None:
    watch = survey(memory("Hello  World", "hello world ", "hello world!"))
    list(watch.rows())
    first, second, third = watch.text_hashes
    assert first == second != third


def test_the_digest_is_of_content_not_of_form(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\nx,a\ny,b\n")
    (tmp_path / "b.jsonl").write_text(
        '{"text": "x", "label": "a"}\n{"label": "b", "other": 1, "text": "y"}\n'
    )
    digests = []
    for name in ("a.csv", "b.jsonl"):
        watch = survey(open_splits(str(tmp_path / name))["train"])
        list(watch.rows())
        digests.append(watch.digest)
    assert digests[0] == digests[1]
    watch = survey(memory("y", "x"))
    list(watch.rows())
    assert watch.digest != digests[0]


def test_numbers_are_binned() -> None:
    records = [{"text": str(i), "label": float(i)} for i in range(1000)]
    watch = survey(Memory.of_records(records, "m"))
    list(watch.rows())
    assert np.bincount(watch.strata).tolist() == [100] * 10
    assert watch.is_continuous
    assert watch.stratum_names == ()


def test_classes_are_numbered() -> None:
    watch = survey(memory("x", "y", "z"))
    list(watch.rows())
    assert watch.strata.tolist() == [0, 1, 0]
    assert watch.strata.itemsize == 4
    assert not watch.is_continuous
    assert watch.stratum_names == ("a", "b")


def test_every_good_row_is_watched_with_its_normalised_text() -> None:
    seen: list[tuple[int, str]] = []
    watch = Survey(
        memory("Some  Text", "", "B"), columns=["text", "label"], text_columns=["text"],
        examine=lambda row: None if row.values["text"] else Finding("D310", "empty"),
        stratum=lambda row: str(row.values["label"]),
        watch=lambda row, text: seen.append((row.index, text)),
    )  # fmt: skip
    list(watch.rows())
    assert seen == [(0, "some text"), (2, "b")]


def test_unreadable_records_are_told_with_the_bad_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\na,b\na,b,c\n,d\n")
    watch = survey(open_splits(str(tmp_path / "a.csv"))["train"])
    assert len(list(watch.rows())) == 1
    assert [p.code for p in watch.problems()] == ["D110", "D310"]
    assert [p.place.line for p in watch.problems() if p.place] == [3, 4]
