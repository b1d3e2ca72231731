from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ticket_rows
from tunesmith.data.findings import Finding
from tunesmith.data.open import open_splits
from tunesmith.data.readers.csv_reader import DelimitedFile
from tunesmith.data.readers.memory import Memory
from tunesmith.data.rows import Row, Source
from tunesmith.data.scan import Survey, content_of, verified_chunks
from tunesmith.errors import IntegrityError, Severity


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


def test_of_a_set_the_rarest_member_counts() -> None:
    """Sets are often unique; each would be a stratum of its own, of which nothing is drawn."""
    records = [{"text": f"row {i}", "label": f"all half{i % 2} {i}"} for i in range(6)]
    records += [{"text": "none", "label": ""}, {"text": "both", "label": "all half0"}]
    watch = Survey(
        Memory.of_records(records, "m"),
        columns=["text", "label"],
        text_columns=["text"],
        examine=lambda _row: None,
        stratum=lambda row: tuple(str(row.values["label"]).split()),
    )
    list(watch.rows())
    assert watch.strata.tolist() == list(range(8))
    *own, none, both = watch.split_strata.tolist()
    assert none == 0 and len({*own, none, both}) == 8
    assert watch.split_strata.max() == both == 8  # after the six of single rows and "half1"


def test_every_good_row_is_watched_with_its_normalized_text() -> None:
    seen: list[tuple[int, str]] = []
    watch = Survey(
        memory("Some  Text", "", "B"), columns=["text", "label"], text_columns=["text"],
        examine=lambda row: None if row.values["text"] else Finding("D310", "empty"),
        stratum=lambda row: str(row.values["label"]),
        watch=lambda row, text: seen.append((row.index, text)),
    )  # fmt: skip
    list(watch.rows())
    assert seen == [(0, "some text"), (2, "b")]


def test_unreadable_records_are_reported_with_the_bad_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\na,b\na,b,c\n,d\n")
    watch = survey(open_splits(str(tmp_path / "a.csv"))["train"])
    assert len(list(watch.rows())) == 1
    assert [p.code for p in watch.problems()] == ["D110", "D310"]
    assert [p.place.line for p in watch.problems() if p.place] == [3, 4]


COLUMNS = ("body", "queue")


def surveyed(path: Path) -> tuple[object, str, list[Row]]:
    source = open_splits(str(path))["train"]
    rows = [row for chunk in source.chunks(COLUMNS) for row in chunk]
    seen = hashlib.sha256()
    for row in rows:
        seen.update(content_of(row, COLUMNS))
    return source, seen.hexdigest(), rows


def read(source: object, digest: str) -> list[Row]:
    assert isinstance(source, DelimitedFile)
    return [row for chunk in verified_chunks(source, COLUMNS, digest) for row in chunk]


def test_the_same_rows_are_handed_on(tickets: Path) -> None:
    source, digest, rows = surveyed(tickets)
    assert read(source, digest) == rows
    assert len(rows) == 60


CHANGES: dict[str, Callable[[list[str]], list[str]]] = {
    "a letter": lambda lines: [*lines[:5], lines[5].replace("broken", "broker"), *lines[6:]],
    "a label": lambda lines: [*lines[:5], lines[5].replace("repair", "order"), *lines[6:]],
    "the order": lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
    "a row less": lambda lines: lines[:-1],
    "half the rows": lambda lines: lines[:30],
    "no row": lambda lines: lines[:1],
    "a row more": lambda lines: [*lines, lines[1]],
    "the last row twice": lambda lines: [*lines[:-2], lines[-1], lines[-1]],
    "nothing": lambda _lines: [],
    "no table": lambda _lines: ['"'],
    "a row of two fields": lambda lines: [*lines, "61,x"],
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_rows_are_not(change: str, tickets: Path) -> None:
    source, digest, _rows = surveyed(tickets)
    lines = tickets.read_text().splitlines()
    assert len(lines) == len(ticket_rows(60))
    tickets.write_text("".join(f"{line}\n" for line in CHANGES[change](lines)))
    with pytest.raises(IntegrityError, match="D160") as reported:
        read(source, digest)
    assert reported.value.exit_code == 6
    assert str(reported.value.problems[0].place) == str(tickets)


def test_bytes_that_are_no_text(tickets: Path) -> None:
    source, digest, _rows = surveyed(tickets)
    tickets.write_bytes(b"id,body,queue\n" + b"1,\xff\xfe,repair\n" * 60)
    with pytest.raises(IntegrityError, match="D160") as reported:
        read(source, digest)
    assert len(reported.value.problems[0].evidence) == 1


def test_a_file_that_is_gone(tickets: Path) -> None:
    source, digest, _rows = surveyed(tickets)
    tickets.unlink()
    with pytest.raises(IntegrityError, match="D160") as reported:
        read(source, digest)
    assert reported.value.problems[0].evidence != ()


def test_a_column_that_is_not_used_may_change(tickets: Path) -> None:
    source, digest, rows = surveyed(tickets)
    lines = tickets.read_text().splitlines()
    tickets.write_text("\n".join([lines[0], *(f"9{line}" for line in lines[1:])]) + "\n")
    assert read(source, digest) == rows


def test_whatever_a_reader_raises_is_the_same_error(tickets: Path) -> None:
    class Broken:
        name = "broken"

        def chunks(self, _columns: object) -> object:
            raise KeyError("body")

    with pytest.raises(IntegrityError, match="D160") as reported:
        list(verified_chunks(Broken(), COLUMNS, ""))  # type: ignore[arg-type]
    assert reported.value.problems[0].evidence == ("KeyError: 'body'",)
