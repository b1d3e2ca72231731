"""Files that are small and become immense, or cost time without end: refused within bounds.

Each is read by `tunesmith check` in a child whose memory is measured. Limits are generous: they
tell a bomb from a file, not a fast machine from a slow one.
"""

from __future__ import annotations

import gzip
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.data.workbooks import cell, raw_workbook
from tests.faults import Case
from tests.faults.reading import answer_of

__all__ = ["BOMBS", "cases"]

_MOST_MB = 800
_MOST_SECONDS = 60.0
MEGABYTE = 1_000_000


def parquet_of_one_text(folder: Path) -> Path:
    """20,000 rows that share one text of a megabyte: 20 GB."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), ["x y " * 250_000])
    labels = pa.array(["a", "b"] * 10_000).dictionary_encode()
    pq.write_table(pa.table({"text": texts, "label": labels}), folder / "a.parquet")
    return folder / "a.parquet"


def parquet_of_many_groups(folder: Path) -> Path:
    """The same in groups of 100 rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 10_000, pa.int32()), ["x y " * 250_000])
    table = pa.table({"text": texts, "label": ["a", "b"] * 5_000})
    pq.write_table(table, folder / "a.parquet", row_group_size=100, compression="zstd")
    return folder / "a.parquet"


def parquet_of_lists(folder: Path) -> Path:
    """One row whose label lists one text of a megabyte 20,000 times."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), ["x" * MEGABYTE])
    lists = pa.ListArray.from_arrays(pa.array([0, 20_000], pa.int32()), texts)
    pq.write_table(pa.table({"text": ["a"], "label": lists}), folder / "a.parquet")
    return folder / "a.parquet"


def parquet_of_a_billion_rows(folder: Path) -> Path:
    """600 million rows of nothing, in runs."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("text", pa.null()), ("label", pa.null())])
    with pq.ParquetWriter(folder / "a.parquet", schema) as writer:
        part = pa.table({"text": pa.nulls(20_000_000), "label": pa.nulls(20_000_000)})
        for _turn in range(30):
            writer.write_table(part, row_group_size=20_000_000)
    return folder / "a.parquet"


def parquet_of_wide_table(folder: Path) -> Path:
    """20,000 columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({f"c{i}": [1] for i in range(20_000)}), folder / "a.parquet")
    return folder / "a.parquet"


def arrow_of_one_text(folder: Path) -> Path:
    """A dictionary with one text of a megabyte, named by 20,000 rows."""
    import pyarrow as pa

    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), ["x y " * 250_000])
    table = pa.table({"text": texts, "label": ["a", "b"] * 10_000})
    with pa.ipc.new_file(folder / "a.arrow", table.schema) as writer:
        writer.write_table(table)
    return folder / "a.arrow"


def arrow_of_packed_buffers(folder: Path) -> Path:
    """Four batches of 500 MB, packed into kilobytes."""
    import pyarrow as pa

    texts = pa.array(["x" * MEGABYTE] * 500)
    labels = pa.array(["a", "b"] * 250)
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    batch = pa.RecordBatch.from_arrays([texts, labels], names=["text", "label"])
    with pa.ipc.new_file(folder / "a.arrow", batch.schema, options=options) as writer:
        for _turn in range(4):
            writer.write_batch(batch)
    return folder / "a.arrow"


def json_line(folder: Path) -> Path:
    """One line of 40 MB."""
    path = folder / "a.jsonl"
    with path.open("w") as file:
        file.write('{"text": "good", "label": "a"}\n{"text": "')
        for _turn in range(40):
            file.write("x" * MEGABYTE)
        file.write('", "label": "b"}\n')
    return path


def json_array(folder: Path) -> Path:
    """An array of 200 MB whose second element never ends."""
    path = folder / "a.json"
    with path.open("w") as file:
        file.write('[{"text": "good", "label": "a"},\n{"text": [')
        for _turn in range(200):
            file.write('"x", ' * (MEGABYTE // 5))
    return path


def json_nested(folder: Path) -> Path:
    """Two million brackets."""
    path = folder / "a.json"
    path.write_text('[{"text": ' + "[" * 2_000_000)
    return path


def json_nested_line(folder: Path) -> Path:
    """The same in a line."""
    path = folder / "a.jsonl"
    path.write_text('{"text": ' + '{"a":' * 1_000_000 + "\n")
    return path


def json_keys(folder: Path) -> Path:
    """Two rows of 20,000 keys."""
    record = json.dumps({f"column number {i}": i for i in range(20_000)})
    path = folder / "a.jsonl"
    path.write_text(f"{record}\n{record}\n")
    return path


def json_repeated_keys(folder: Path) -> Path:
    """200,000 keys, the last of which is the first again."""
    path = folder / "a.jsonl"
    keys = ", ".join(f'"k{i}": 1' for i in range(200_000))
    path.write_text(f'{{{keys}, "k0": 2}}\n' + '{"text": "a", "label": "b"}\n' * 9)
    return path


def json_new_keys(folder: Path) -> Path:
    """20,000 rows, each with a key of its own that looks like the label's."""
    path = folder / "a.jsonl"
    path.write_text(
        "".join(f'{{"text": "good text {i}", "labe{i}": "a"}}\n' for i in range(20_000))
    )
    return path


def json_digits(folder: Path) -> Path:
    """A number of five million digits."""
    path = folder / "a.jsonl"
    path.write_text('{"text": "a", "label": ' + "9" * 5_000_000 + "}\n")
    return path


def gzip_of_text(folder: Path) -> Path:
    """A gigabyte of one letter in a megabyte."""
    path = folder / "a.csv.gz"
    with gzip.open(path, "wb", compresslevel=9) as file:
        file.write(b"text,label\n")
        for _turn in range(1000):
            file.write(b"x" * MEGABYTE)
    return path


def gzip_of_rows(folder: Path) -> Path:
    """The same in rows."""
    path = folder / "a.csv.gz"
    with gzip.open(path, "wb", compresslevel=9) as file:
        file.write(b"text,label\n")
        for _turn in range(500):
            file.write(b"good,a\n" * 150_000)
    return path


def workbook_of_blanks(folder: Path) -> Path:
    """A sheet of a gigabyte of spaces."""
    return raw_workbook(folder / "a.xlsx", (b" " * MEGABYTE for _turn in range(1000)))


def workbook_of_wide_rows(folder: Path) -> Path:
    """Rows whose only cell is the last that Excel has."""

    def rows() -> Iterator[bytes]:
        yield f'<row r="1">{cell("A1", "text")}{cell("B1", "label")}</row>'.encode()
        for start in range(2, 200_000, 1000):
            yield "".join(
                f'<row r="{i}"><c r="XFD{i}"/></row>' for i in range(start, start + 1000)
            ).encode()

    return raw_workbook(folder / "a.xlsx", rows(), 1)


def workbook_of_far_row(folder: Path) -> Path:
    """A row at the end of a sheet, and nothing before it."""
    last = f'<row r="1048576">{cell("A1048576", "good")}</row>'
    first = f'<row r="1">{cell("A1", "text")}{cell("B1", "label")}</row>'
    return raw_workbook(folder / "a.xlsx", [first.encode(), last.encode()])


def workbook_of_entities(folder: Path) -> Path:
    """A billion laughs."""
    path = workbook_of_far_row(folder)
    entities = '<!ENTITY a0 "lol">' + "".join(
        f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10)
    )
    laughing = folder / "b.xlsx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(laughing, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("sheet1.xml"):
                content = (
                    f"<?xml version='1.0'?><!DOCTYPE x [{entities}]>".encode()
                    + content.replace(b"good", b"&a9;")
                )
            new.writestr(name, content)
    return laughing


def csv_of_columns(folder: Path) -> Path:
    """100,000 columns."""
    path = folder / "a.csv"
    header = ",".join(f"column {i}" for i in range(100_000))
    path.write_text(f"{header}\n" + ("1," * 99_999 + "1\n") * 5)
    return path


def csv_of_many_columns(folder: Path) -> Path:
    """9,000 columns, which are read."""
    path = folder / "a.csv"
    header = "text,label," + ",".join(f"column {i}" for i in range(9_000))
    rows = "".join(
        f"a good text of row {i},{'ab'[i % 2]}" + ",1" * 9_000 + "\n" for i in range(200)
    )
    path.write_text(f"{header}\n{rows}")
    return path


def csv_of_long_rows(folder: Path) -> Path:
    """20 rows of 8 MB, which are read."""
    path = folder / "a.csv"
    with path.open("w") as file:
        file.write("text,label\n")
        for i in range(20):
            file.write(f"{f'word{i} ' * (8 * MEGABYTE // 7)},{'ab'[i % 2]}\n")
    return path


def csv_of_one_cell(folder: Path) -> Path:
    """A cell of 300 MB."""
    path = folder / "a.csv"
    with path.open("w") as file:
        file.write("text,label\n")
        for _turn in range(300):
            file.write("x" * MEGABYTE)
        file.write(",a\n")
    return path


def csv_of_open_quote(folder: Path) -> Path:
    """A quote that 3 million lines do not close."""
    path = folder / "a.csv"
    path.write_text('text,label\n"good,a\n' + "good text,a\n" * 3_000_000)
    return path


def csv_of_ragged_rows(folder: Path) -> Path:
    """A million rows of three fields under a header of two."""
    path = folder / "a.csv"
    path.write_text("text,label\n" + "a,b,c\n" * 1_000_000)
    return path


def text_of_one_line(folder: Path) -> Path:
    """A line of 300 MB."""
    path = folder / "a.txt"
    with path.open("w") as file:
        for _turn in range(300):
            file.write("x" * MEGABYTE)
    return path


def pipe(folder: Path) -> Path:
    """A pipe without a writer."""
    os.mkfifo(folder / "a.csv")
    return folder / "a.csv"


def pipe_as_parquet(folder: Path) -> Path:
    """The same as a binary file."""
    os.mkfifo(folder / "a.parquet")
    return folder / "a.parquet"


def zeros(folder: Path) -> Path:
    """A link to a device that never ends."""
    (folder / "a.csv").symlink_to("/dev/zero")
    return folder / "a.csv"


def class_of_pipes(folder: Path) -> Path:
    """A pipe and a file without end among the texts of a class."""
    for name in ("a", "b"):
        (folder / "root" / name).mkdir(parents=True)
        (folder / "root" / name / "1.txt").write_text("a text")
    os.mkfifo(folder / "root" / "a" / "2.txt")
    return folder / "root"


def class_of_zeros(folder: Path) -> Path:
    """A text that never ends."""
    root = class_of_pipes(folder)
    (root / "a" / "2.txt").unlink()
    (root / "a" / "2.txt").symlink_to("/dev/zero")
    return root


BOMBS: dict[Callable[[Path], Path], str | None] = {
    parquet_of_one_text: "D131",
    parquet_of_many_groups: "D131",
    parquet_of_lists: "D131",
    parquet_of_a_billion_rows: "D131",
    parquet_of_wide_table: "D116",
    arrow_of_one_text: "D131",
    arrow_of_packed_buffers: "D131",
    json_line: "D150",
    json_array: "D150",
    json_nested: "D140",
    json_nested_line: "D140",
    json_keys: "D116",
    json_repeated_keys: "D143",
    json_new_keys: None,
    json_digits: "D140",
    gzip_of_text: "D131",
    gzip_of_rows: "D131",
    workbook_of_blanks: "D131",
    workbook_of_wide_rows: "D131",
    workbook_of_far_row: None,
    workbook_of_entities: None,
    csv_of_columns: "D116",
    csv_of_many_columns: None,
    csv_of_long_rows: None,
    csv_of_one_cell: "D150",
    csv_of_open_quote: "D111",
    csv_of_ragged_rows: "D110",
    text_of_one_line: "D150",
    pipe: "D123",
    pipe_as_parquet: "D123",
    zeros: "D123",
    class_of_pipes: "D124",
    class_of_zeros: "D124",
}
"""The code reported for each; None where any result without a bug is right."""

_QUICK = {
    parquet_of_lists, json_nested_line, json_repeated_keys, workbook_of_far_row, csv_of_columns,
    pipe, pipe_as_parquet, zeros, class_of_pipes, class_of_zeros,
}  # fmt: skip


def cases() -> Iterator[Case]:
    """Every bomb, read by `check`."""
    for make, code in BOMBS.items():
        yield Case(
            make.__name__.replace("_", " "),
            lambda folder, make=make, code=code: _read(make(folder), code),  # type: ignore[misc]
            is_quick=make in _QUICK,
            seconds=2 * _MOST_SECONDS,
        )


def _read(path: Path, code: str | None) -> str:
    answer = answer_of("check", str(path), "--model", "embedded:mini").hold()
    assert code is None or code in answer.codes, answer.words[-800:]
    assert answer.peak_mb < _MOST_MB, answer
    assert answer.seconds < _MOST_SECONDS, answer
    return str(answer)
