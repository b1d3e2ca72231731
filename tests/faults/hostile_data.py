"""Data that is damaged, of the wrong type or in the wrong clothes, read by every reader.

Whatever the bytes, reading ends with rows or with a coded error; `check` and `predict` say so.
"""

from __future__ import annotations

import gzip
import io
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults import Case
from tests.faults.reading import answer_of
from tunesmith.data.open import from_python, open_splits
from tunesmith.data.readers.format import ReadingOptions
from tunesmith.data.readers.stdin_reader import rows_of_lines
from tunesmith.data.rows import Source
from tunesmith.errors import TunesmithError

__all__ = ["cases"]

_ROWS = 40
_FLIPS = 25
_RECORDS = [
    {"text": f'the printer "{i}" is broken, again é 打印机', "label": ("good", "bad")[i % 2]}
    for i in range(_ROWS)
]


def _table(delimiter: str) -> bytes:
    lines = [delimiter.join(("text", "label"))]
    for record in _RECORDS:
        quoted = record["text"].replace('"', '""')
        lines.append(f'"{quoted}"{delimiter}{record["label"]}')
    return ("\r\n".join(lines) + "\r\n").encode()


def _parquet(**settings: object) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    written = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(_RECORDS), written, **settings)
    return written.getvalue()


def _arrow(*, stream: bool, compression: str | None = None) -> bytes:
    import pyarrow as pa

    table = pa.Table.from_pylist(_RECORDS)
    written = io.BytesIO()
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with make(written, table.schema, options=options) as writer:
        writer.write_table(table)
    return written.getvalue()


def _workbook() -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    for row in (("text", "label"), *(tuple(record.values()) for record in _RECORDS)):
        book.active.append(row)
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


def _json_lines() -> bytes:
    return "".join(json.dumps(record) + "\n" for record in _RECORDS).encode()


FILES: dict[str, Callable[[], bytes]] = {
    "a.csv": lambda: _table(","),
    "a.tsv": lambda: _table("\t"),
    "a.jsonl": _json_lines,
    "a.json": lambda: json.dumps(_RECORDS, ensure_ascii=False, indent=1).encode(),
    "a.txt": lambda: "".join(f"{record['text']}\n" for record in _RECORDS).encode(),
    "a.csv.gz": lambda: gzip.compress(_table(",")),
    "a.jsonl.gz": lambda: gzip.compress(_json_lines()),
    "a.parquet": _parquet,
    "plain.parquet": lambda: _parquet(use_dictionary=False, compression="none"),
    "zstd.parquet": lambda: _parquet(compression="zstd", data_page_version="2.0"),
    "a.arrow": lambda: _arrow(stream=False),
    "stream.arrow": lambda: _arrow(stream=True),
    "packed.arrow": lambda: _arrow(stream=False, compression="zstd"),
    "a.xlsx": _workbook,
    "utf16.csv": lambda: _table(";").decode().encode("utf-16"),
}


def _flip(content: bytearray, draw: random.Random) -> None:
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)


def _cut(content: bytearray, draw: random.Random) -> None:
    del content[draw.randrange(1, len(content)) :]


def _zero(content: bytearray, draw: random.Random) -> None:
    start = draw.randrange(len(content))
    content[start : start + 16] = bytes(len(content[start : start + 16]))


def _repeat(content: bytearray, draw: random.Random) -> None:
    start = draw.randrange(len(content))
    content[start:start] = content[start : start + draw.randrange(1, 64)]


def _remove(content: bytearray, draw: random.Random) -> None:
    start = draw.randrange(len(content))
    del content[start : start + draw.randrange(1, 64)]


def _noise(content: bytearray, draw: random.Random) -> None:
    start = draw.randrange(len(content))
    content[start : start + 8] = draw.randbytes(8)


DAMAGES = {
    "bits flipped": _flip,
    "cut short": _cut,
    "blocks of zeros": _zero,
    "pieces repeated": _repeat,
    "pieces missing": _remove,
    "noise": _noise,
}


def _read(where: str, options: ReadingOptions = ReadingOptions()) -> str:  # noqa: B008
    """Open, read every row and look up every place; what came of it."""
    try:
        for source in open_splits(where, options).values():
            _read_source(source)
    except TunesmithError as error:
        assert error.problems
        assert all(p.code != "M000" and p.message and p.place for p in error.problems), error
        return error.problems[0].code
    return "read"


def _read_source(source: Source) -> None:
    indices = []
    try:
        for chunk in source.chunks():
            for row in chunk:
                indices.append(row.index)
                str(row.values).encode("utf-8")
    finally:
        places = source.places(indices[:5])
        assert set(places) == set(indices[:5])


def _damaged(
    name: str, damage: Callable[[bytearray, random.Random], None]
) -> Callable[[Path], str]:
    def run(folder: Path) -> str:
        whole = FILES[name]()
        draw = random.Random(name)
        seen = Counter[str]()
        for _turn in range(_FLIPS):
            content = bytearray(whole)
            damage(content, draw)
            (folder / name).write_bytes(content)
            seen[_read(str(folder / name))] += 1
        return " ".join(f"{code} {count}" for code, count in seen.most_common())

    return run


def _in_other_clothes(name: str) -> Callable[[Path], str]:
    """The content of one format under the name of every other."""

    def run(folder: Path) -> str:
        seen = Counter[str]()
        content = FILES[name]()
        for other in (*FILES, "a", "a.xls", "a.ods", "a.feather", "a.xlsx.gz", "a.parquet.gz"):
            (folder / other).write_bytes(content)
            seen[_read(str(folder / other))] += 1
        return " ".join(f"{code} {count}" for code, count in seen.most_common())

    return run


VALUES = {
    "null": "null", "true": "true", "a number": "1", "a fraction": "0.5", "a list": '["a"]',
    "an empty list": "[]", "a list of lists": '[["a"], ["b"]]', "a mixed list": '[1, "a", null]',
    "an object": '{"a": 1}', "not a number": "NaN", "infinity": "-Infinity", "1e999": "1e999",
    "5,000 digits": "9" * 5000, "an empty text": '""', "half a character": '"\\ud800"',
    "half a character in a list": '["\\udfff"]', "a control": '"\\u0000"',
    "a long text": '"' + "x" * 2_000_000 + '"', "deep lists": "[" * 500 + "]" * 500,
    "invisible": '"\\u200b\\ufeff"',
}  # fmt: skip


def _value(column: str, written: str) -> Callable[[Path], str]:
    def run(folder: Path) -> str:
        other = "label" if column == "text" else "text"
        lines = [json.dumps(record) for record in _RECORDS]
        lines[7] = f'{{"{column}": {written}, "{other}": "good"}}'
        (folder / "a.jsonl").write_text("\n".join(lines) + "\n")
        return str(_checked(folder / "a.jsonl"))

    return run


def _all_values(column: str, written: str) -> Callable[[Path], str]:
    def run(folder: Path) -> str:
        other = "label" if column == "text" else "text"
        lines = [
            f'{{"{column}": {written}, "{other}": {json.dumps(record[other])}}}'
            for record in _RECORDS
        ]
        (folder / "a.json").write_text("[" + ",".join(lines) + "]")
        return str(_checked(folder / "a.json"))

    return run


def _checked(path: Path, *arguments: str) -> object:
    columns = ("--text", "text", "--label", "label")
    return answer_of("check", str(path), *columns, "--model", "embedded:mini", *arguments).hold()


def _arrow_type(kind: str) -> Callable[[Path], str]:
    """A Parquet file whose label, and one whose text, is of an unusual type."""

    def run(folder: Path) -> str:
        import pyarrow as pa
        import pyarrow.parquet as pq

        made = _ARROW[kind](pa)
        seen = []
        for column, other in (("label", "text"), ("text", "label")):
            table = pa.table({column: made, other: [record[other] for record in _RECORDS]})
            pq.write_table(table, folder / "a.parquet")
            seen.append(str(_checked(folder / "a.parquet")))
        return "; ".join(seen)

    return run


_ARROW: dict[str, Callable[..., object]] = {
    "times beyond the year 9999": lambda pa: pa.array([2**62] * _ROWS, pa.timestamp("us")),
    "times before the year 1": lambda pa: pa.array([-(2**62)] * _ROWS, pa.timestamp("us")),
    "days beyond the year 9999": lambda pa: pa.array([2**30] * _ROWS, pa.int32()).view(pa.date32()),
    "durations": lambda pa: pa.array([2**62] * _ROWS, pa.duration("s")),
    "decimals": lambda pa: pa.array([10**30] * _ROWS, pa.decimal128(38, 0)),
    "bytes": lambda pa: pa.array([b"\xff\xfe"] * _ROWS),
    "nothing": lambda pa: pa.nulls(_ROWS),
    "structs": lambda pa: pa.array([{"a": [None, {"b": 1}]}] * _ROWS),
    "maps": lambda pa: pa.array([[("k", 1)]] * _ROWS, pa.map_(pa.string(), pa.int8())),
    "fixed lists": lambda pa: pa.array([[1.5, None]] * _ROWS, pa.list_(pa.float32(), 2)),
    "halves": lambda pa: pa.array([0.5] * _ROWS, pa.float32()).cast(pa.float16()),
    "large unsigned": lambda pa: pa.array([2**64 - 1] * _ROWS, pa.uint64()),
    "booleans": lambda pa: pa.array([True, False] * (_ROWS // 2)),
    "dictionaries of numbers": lambda pa: pa.array([1, 2] * (_ROWS // 2)).dictionary_encode(),
}


def _table_case(content: str | bytes, *arguments: str) -> Callable[[Path], str]:
    def run(folder: Path) -> str:
        data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
        (folder / "a.csv").write_bytes(data)
        return str(_checked(folder / "a.csv", *arguments))

    return run


_PLAIN = _table(",")
_MORE = "".join(f"a good text {i},good\nanother bad one {i},bad\n" for i in range(30))
TABLES: dict[str, Callable[[Path], str]] = {
    "an index of pandas": _table_case(",text,label\n" + "0,a text,good\n1,b text,bad\n" * 20),
    "no names at all": _table_case(",,,\n" + "a,b,c,d\n" * 20),
    "one name for all": _table_case("text,text,text\n" + "a,b,c\n" * 20),
    "one name twice, unused": _table_case("text,x,label,x\n" + "a text,1,good,2\nb,1,bad,2\n" * 9),
    "quotes of all kinds": _table_case("text,label\n" + '"a"b",good\n"a""b",bad\na"b,good\n' * 9),
    "an open quote": _table_case('text,label\n"a,good\n' + _MORE),
    "an open quote at the end": _table_case("text,label\n" + _MORE + '"a,good\n'),
    "only returns": _table_case(_PLAIN.replace(b"\r\n", b"\r")),
    "mixed line ends": _table_case("text,label\r" + _MORE.replace("\n", "\r\n", 7)),
    "every separator of Unicode": _table_case("text,label\n" + "a\u2028b\x85c\x0cd,good\n" * 20),
    "only a header": _table_case("text,label"),
    "only line ends": _table_case("\n\r\n\r"),
    "only sep": _table_case("sep=;"),
    "sep and nothing": _table_case("sep=;\r\n"),
    "sep of Excel": _table_case("sep=;\r\ntext;label\r\n" + "a text;good\r\nb text;bad\r\n" * 20),
    "a mark twice": _table_case(b"\xef\xbb\xbf\xef\xbb\xbf" + _PLAIN),
    "NUL": _table_case(_PLAIN + b"a\0b,good\n"),
    "not UTF-8": _table_case(_PLAIN + b"caf\xe9,good\n"),
    "surrogates as bytes": _table_case("text,label\n" + "\ud800,good\n" * 20),
    "half a character at the end": _table_case(_PLAIN + "打".encode()[:2]),
    "UTF-16 without a mark": _table_case(_PLAIN.decode().encode("utf-16-le")),
    "UTF-32": _table_case(_PLAIN.decode().encode("utf-32")),
    "cut UTF-16": _table_case(_PLAIN.decode().encode("utf-16")[:-1]),
    **{
        f"encoding {name!r}": _table_case(_PLAIN, "--encoding", name)
        for name in (
            "rot13", "base64", "undefined", "idna", "punycode", "utf-7", "unicode_escape", "mbcs",
            "utf-16", "utf-32-be", "cp037", "hz", "", "klingon", "a" * 300, "auto", "utf-8-sig",
        )
    },
    **{
        f"delimiter {name!r}": _table_case(_PLAIN, "--delimiter", name)
        for name in ("é", "\u2028", '"', "\n", "\r", "", ";;", "a", " ", "\\t", "auto", "\udce9")
    },
    "no header, too few names": _table_case(_PLAIN, "--columns", "text"),
    "no header, equal names": _table_case(_PLAIN, "--columns", "text,text"),
    "a sheet of a table": _table_case(_PLAIN, "--sheet", "S"),
}  # fmt: skip


def _folder_case(files: dict[str, bytes], *arguments: str) -> Callable[[Path], str]:
    def run(folder: Path) -> str:
        for name, content in files.items():
            path = folder / "root" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return str(_checked(folder / "root", *arguments))

    return run


_TEXTS = {f"{c}/{i}.txt": f"a text of {c} number {i}".encode() for c in "ab" for i in range(20)}
FOLDERS: dict[str, Callable[[Path], str]] = {
    "classes": _folder_case(_TEXTS),
    "classes with noise": _folder_case({**_TEXTS, "a/99.txt": b"\xff\xfe\x00"}),
    "classes with an empty text": _folder_case({**_TEXTS, "a/99.txt": b""}),
    "classes with NUL": _folder_case({**_TEXTS, "b/99.txt": b"a\0b"}),
    "classes with a picture": _folder_case({**_TEXTS, "b/99.png": b"\x89PNG"}),
    "classes in two encodings": _folder_case(
        {**_TEXTS, "b/99.txt": "schöne Grüße".encode("cp1252")}, "--encoding", "auto"
    ),
    "one class": _folder_case({"a/1.txt": b"x"}),
    "classes beside tables": _folder_case({**_TEXTS, "x.csv": _PLAIN}),
    "a folder that saved nothing": _folder_case({"dataset_info.json": b"{", "state.json": b"["}),
    "a dict that saved nothing": _folder_case({"dataset_dict.json": b'{"splits": [1]}'}),
    "an empty folder": _folder_case({"inner/.keep": b""}),
    "names that are hostile": _folder_case(
        {
            f"{c}/{'é打' * 20}\u202e{i}\n.txt": b"text" + bytes([65 + i])
            for c in "ab"
            for i in range(9)
        }
    ),
}


def _linked(folder: Path) -> str:
    for name, content in _TEXTS.items():
        path = folder / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "root" / "a" / "98.txt").symlink_to("nowhere")
    (folder / "root" / "a" / "99.txt").symlink_to("99.txt")
    return str(_checked(folder / "root"))


STDIN = {
    "not UTF-8": (b"fine\nM\xfcll\n", "utf-8"),
    "NUL": (b"a\0b\n", "utf-8"),
    "no end": (b"x" * 20_000_000, "utf-8"),
    "nothing": (b"", "utf-8"),
    "only blank lines": (b"\n\r\n \t\n", "utf-8"),
    "UTF-16": ("a\nb\n".encode("utf-16"), "utf-8"),
    "UTF-16 that is named": ("a\nb\n".encode("utf-16"), "utf-16"),
    "cut UTF-16": ("a\nb\n".encode("utf-16")[:-1], "utf-16"),
    "separators": ("a\u2028b\x85c\x0cd\x1ce\n".encode(), "utf-8"),
    "an encoding that is none": (b"a\n", "rot13"),
    "detected": ("schöne Grüße\n".encode("cp1252"), "auto"),
    "noise": (random.Random(0).randbytes(10_000), "auto"),
}


def _piped(content: bytes, encoding: str) -> Callable[[Path], str]:
    def run(_folder: Path) -> str:
        seen = []
        for columns in (["text"], ["one", "two"]):
            try:
                rows = list(rows_of_lines(io.BytesIO(content), columns, encoding))
                assert all(set(row) == set(columns) for row in rows)
                assert len(rows) <= content.count(b"\n") + 1
                seen.append(f"{len(rows)} rows")
            except TunesmithError as error:
                assert error.problems[0].place
                seen.append(error.problems[0].code)
        return ", ".join(seen)

    return run


def _python(data: Callable[[], object]) -> Callable[[Path], str]:
    def run(_folder: Path) -> str:
        try:
            for source in from_python(data()).values():
                _read_source(source)
        except TunesmithError as error:
            assert all(problem.code != "M000" for problem in error.problems)
            return error.problems[0].code
        return "read"

    return run


def _frame(columns: dict[str, list[object]]) -> Callable[[], object]:
    def make() -> object:
        import pandas

        return pandas.DataFrame(columns, dtype=object)

    return make


PYTHON: dict[str, Callable[[], object]] = {
    "nothing": list,
    "no dicts": lambda: [1, 2],
    "half a character": lambda: [{"text": "\ud800"}],
    "keys of all kinds": lambda: [{1: "a", None: "b", ("x",): "c"}],
    "endless numbers": lambda: [{"text": 10**5000}],
    "a mixed frame": _frame({"text": ["a", 1, None, [2]], "label": [b"x", 1.5, "y", {}]}),
    "a frame of halves": _frame({"text": ["\ud800", "b"]}),
    "a frame of objects": _frame({"text": [object(), object()]}),
    "a frame of huge numbers": _frame({"text": ["a"], "label": [2**200]}),
    "a generator": lambda: (record for record in _RECORDS),
}


def cases() -> Iterator[Case]:
    """Every damage of every file; every value, type, table and folder; stdin and Python."""
    for name in FILES:
        for words, damage in DAMAGES.items():
            is_quick = damage is _flip and name in ("a.csv.gz", "a.json", "a.arrow")
            yield Case(f"{name}: {words}", _damaged(name, damage), is_quick=is_quick)
        yield Case(f"{name}: under other names", _in_other_clothes(name), is_quick=name == "a.csv")
    for words, written in VALUES.items():
        for column in ("text", "label"):
            yield Case(f"JSON lines: {words} as a {column}", _value(column, written))
        yield Case(f"JSON: {words} as every label", _all_values("label", written))
    for kind in _ARROW:
        yield Case(f"Parquet: {kind}", _arrow_type(kind))
    for words, run in TABLES.items():
        yield Case(f"CSV: {words}", run)
    for words, run in FOLDERS.items():
        yield Case(f"folder: {words}", run)
    yield Case("folder: links that lead nowhere", _linked)
    for words, (content, encoding) in STDIN.items():
        yield Case(f"stdin: {words}", _piped(content, encoding), is_quick=words != "no end")
    for words, data in PYTHON.items():
        yield Case(f"Python: {words}", _python(data), is_quick="frame" not in words)
    yield Case("predict: stdin, arguments and files", _predicted, seconds=120)


def _small_run(folder: Path) -> str:
    """A finished run of two steps."""
    from tests.conftest import make_tiny_bert
    from tunesmith.api.train import train

    make_tiny_bert(folder / "bert")
    (folder / "train.csv").write_bytes(_table(","))
    quick = {"train.max_steps": 2, "train.engine": "exact", "train.preflight": False}
    train(
        str(folder / "train.csv"),
        model=str(folder / "bert"),
        settings={**quick, "data.text": "text", "data.label": "label"},
        out=str(folder / "run"),
    )
    return str(folder / "run")


def _predicted(folder: Path) -> str:
    """A small model answers every hostile input with answers or a code."""
    model = _small_run(folder)
    seen = Counter[str]()
    for content, encoding in STDIN.values():
        answer = answer_of("predict", model, "--encoding", encoding, stdin=content).hold()
        seen[str(answer.exit_code)] += 1
    for text in ("caf\udce9", "", "\u2028", "x" * 100_000):
        seen[str(answer_of("predict", model, text).hold().exit_code)] += 1
    for name, make in FILES.items():
        content = bytearray(make())
        for damage in (None, _flip, _cut):
            changed = bytearray(content)
            if damage:
                damage(changed, random.Random(name))
            (folder / name).write_bytes(changed)
            seen[str(answer_of("predict", model, "--file", name).hold().exit_code)] += 1
            (folder / name).unlink()
    return str(dict(seen))
