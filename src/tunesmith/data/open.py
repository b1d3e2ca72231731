"""From a name to rows: files, folders, Hub data sets, embedded sets and objects of Python."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.data.readers import hub_reader
from tunesmith.data.readers.class_folder import (
    SPLIT_WORDS,
    ClassFolder,
    class_folders,
    tables_beside_classes,
)
from tunesmith.data.readers.columnar import ArrowFile, HubSplit, Memory, ParquetFile
from tunesmith.data.readers.csv_reader import DelimitedFile
from tunesmith.data.readers.excel_reader import ExcelFile, refuse_other_spreadsheet
from tunesmith.data.readers.json_reader import JsonFile
from tunesmith.data.readers.read_errors import coded
from tunesmith.data.readers.text_file import TextFile, open_bytes
from tunesmith.data.readers.text_reader import LinesFile
from tunesmith.data.rows import Concatenated, Source, Splits
from tunesmith.data.wrapped import CustomSource, innermost
from tunesmith.errors import DataError, Place, Problem
from tunesmith.i18n import gettext as _
from tunesmith.text import nearest, quoted

__all__ = [
    "SUFFIXES",
    "Options",
    "detected",
    "from_python",
    "is_published",
    "looks_like_a_file",
    "open_splits",
    "refuse_header",
]

SUFFIXES = {
    ".csv": "CSV",
    ".tsv": "CSV",
    ".tab": "CSV",
    ".jsonl": "JSON",
    ".ndjson": "JSON",
    ".json": "JSON",
    ".txt": "text",
    ".parquet": "Parquet",
    ".arrow": "Arrow",
    ".feather": "Arrow",
    ".xlsx": "Excel",
    ".xlsm": "Excel",
}
_TEXT_FORMATS = ("CSV", "JSON", "text")
_OTHER_SPREADSHEETS = (".xls", ".xlsb", ".ods", ".numbers")
_OLE = b"\xd0\xcf\x11\xe0"
"""The first bytes of what Office wrote until 2007, and of what it encrypts."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to read what is named.

    Attributes:
        encoding: of text files; None for UTF-8 or what a byte-order mark says, "auto" to detect it.
        delimiter: between the fields of text tables; None or "auto" for what the suffix or the
            first lines say.
        config: configuration of a Hub data set.
        revision: branch, tag or commit of a Hub data set.
        header: names of the columns of text tables whose first line is a row; None: it names them.
        sheet: of Excel files; None for the first one.
    """

    encoding: str | None = None
    delimiter: str | None = None
    config: str | None = None
    revision: str | None = None
    header: tuple[str, ...] | None = None
    sheet: str | None = None


def open_splits(where: str | Sequence[str], options: Options = Options()) -> Splits:
    """Open a data set by name. A single file, or a list of files, is the split "train".

    Raises:
        DataError: there is no such thing, or it cannot be read, or it names its columns itself and
            `options` do so, too (D114).
        ResourceError: the Hub cannot be reached.
    """
    if not isinstance(where, str):
        parts = [_one_split(name, options) for name in where]
        return {"train": _concatenate(parts)}
    if where.startswith("embedded:"):
        from tunesmith.data.embedded import open_embedded

        refuse_header(where, options)
        return open_embedded(where.removeprefix("embedded:"))
    with coded(where, _("data"), (PermissionError, RuntimeError, ValueError)):
        path = Path(where).expanduser()
        if path.is_dir():
            return _open_folder(path, options)
        if path.exists():
            return {"train": open_file(path, options)}
    if looks_like_a_file(where):
        raise DataError(_no_such_file(path))
    refuse_header(where, options)
    return hub_reader.open_dataset(where, config=options.config, revision=options.revision)


def looks_like_a_file(where: str) -> bool:
    """Whether a name can only mean a file or folder of this machine, not a Hub data set."""
    plain = where.removesuffix(".gz")
    suffix = Path(plain).suffix.lower()
    if (
        suffix in SUFFIXES
        or suffix in _OTHER_SPREADSHEETS
        or where.startswith((".", "/", "~"))
        or "\\" in where
    ):
        return True
    return re.fullmatch(r"[\w.-]+(/[\w.-]+){0,2}", where) is None


def is_published(source: Source) -> bool:
    """Whether rows come as others published them, not from the person's own hands.

    Rows whose labels are corrected or respelt, and rows of which some are left out, still are.
    """
    data = innermost(source)
    if isinstance(data, Concatenated):
        return all(map(is_published, data.parts))
    is_of_the_hub = isinstance(data, HubSplit) and data.revision is not None
    return is_of_the_hub or data.name.startswith("embedded:")


def from_python(data: object, name: str = "data") -> Splits:
    """Wrap what a person already holds in Python.

    Args:
        data: a `datasets.Dataset` or `DatasetDict`, a list of dicts, a pandas frame, or a dict from
            split names to any of these.
        name: what messages call it.

    Raises:
        DataError: an object of another kind (D107).
    """
    if isinstance(data, Mapping):
        return {str(key): _one_object(value, f"{name}:{key}") for key, value in data.items()}
    return {"train": _one_object(data, name)}


def _one_object(data: Any, name: str) -> Source:
    if isinstance(data, list | tuple):
        return Memory.of_records(data, name)
    kind = f"{type(data).__module__.split('.')[0]}.{type(data).__name__}"
    if kind == "datasets.Dataset":
        return HubSplit.of(data, name)
    if kind == "pandas.DataFrame":
        return Memory.of_frame(data, name)
    if hasattr(data, "chunks") and hasattr(data, "places"):
        return data if kind.startswith("tunesmith.") else CustomSource(data)
    raise DataError(
        Problem(
            "D107",
            _("cannot read rows from {kind}").format(kind=kind),
            fix=_("Give a list of dicts, a pandas frame, a datasets.Dataset or DatasetDict."),
        )
    )


def open_file(path: Path, options: Options) -> Source:
    """Open one file by its content; the suffix only tells CSV, JSON and plain text apart.

    Raises:
        DataError: the content is not what the name says (D104), it cannot be read, or it is no
            text table and `options` name the columns of one (D114).
    """
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    named = SUFFIXES.get(suffix)
    with open_bytes(path) as file:
        head = file.read(512)
    actual = _format_of(head, suffix)
    if named is None and (kind := _unreadable_kind(head, suffix)):
        raise refuse_other_spreadsheet(path, kind)
    if actual is None or (named and named != actual and (named, actual) != ("CSV", "JSON")):
        raise DataError(_wrong_format(path, named, head))
    if actual != "CSV":
        refuse_header(str(path), options)
    if actual == "Excel":
        return ExcelFile.open(path, options.sheet)
    if options.sheet is not None:
        raise DataError(_no_sheets(path))
    if actual == "Parquet":
        return ParquetFile.open(path)
    if actual == "Arrow":
        return ArrowFile.open(path)
    text = TextFile.check(path, options.encoding)
    if actual == "text":
        return LinesFile.open(text)
    if actual == "JSON":
        return JsonFile.open(text)
    return DelimitedFile.open(text, options.delimiter, options.header)


def _format_of(head: bytes, suffix: str) -> str | None:
    """The format the first bytes show; None for what is no table."""
    if head.startswith(b"PAR1"):
        return "Parquet"
    if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return "Arrow"
    if head.startswith(b"PK\x03\x04"):
        return "Excel"
    if head.startswith((_OLE, b"%PDF", b"\x1f\x8b", b"\x89PNG")):
        return None
    if SUFFIXES.get(suffix) in _TEXT_FORMATS:
        return SUFFIXES[suffix]
    return "JSON" if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[") else "CSV"


def _unreadable_kind(head: bytes, suffix: str) -> str | None:
    """What a table is called that other programs write and nothing here reads."""
    if head.startswith(_OLE):
        return _("an old Excel workbook (.xls), or one with a password,")
    if suffix in _OTHER_SPREADSHEETS and head.lstrip()[:1] == b"<":
        return _("a web page that is called {suffix}").format(suffix=suffix)
    return None


def _no_sheets(path: Path) -> Problem:
    return Problem(
        "D119",
        _("--sheet is for Excel files; this has no sheets"),
        Place(str(path)),
        fix=_("Leave out --sheet (data.sheet)."),
    )


def detected(source: Source) -> dict[str, str]:
    """What was found out about the files of a source that nobody had said.

    Returns:
        "encoding" and "delimiter", as far as all files agree.
    """
    data = innermost(source)
    parts = data.parts if isinstance(data, Concatenated) else (data,)
    first, *others = [dict(getattr(innermost(part), "detected", {})) for part in parts]
    return {
        key: value
        for key, value in first.items()
        if all(other.get(key) == value for other in others)
    }


def refuse_header(where: str, options: Options) -> None:
    """Names were given for the columns of something that has its own.

    Raises:
        DataError: so it is (D114).
    """
    if options.header:
        raise DataError(
            Problem(
                "D114",
                _("--columns is for CSV and TSV files; this names its columns itself"),
                Place(where),
                fix=_("Leave out --columns (data.header)."),
            )
        )


def _wrong_format(path: Path, named: str | None, head: bytes) -> Problem:
    if head.startswith((b"PK\x03\x04", _OLE)):
        return Problem(
            "D104",
            _("this is an Excel file or another archive, not a table of text"),
            Place(str(path)),
            fix=_("Call it .xlsx if it is a workbook, or export it as CSV (UTF-8)."),
        )
    found = _format_of(head, "") or _("of an unknown kind")
    return Problem(
        "D104",
        _("the content is {found}, not {named}").format(
            found=_("text") if found in _TEXT_FORMATS else found, named=named or _("a table")
        ),
        Place(str(path)),
        fix=_(
            "Readable: CSV, TSV, JSON lines, JSON, plain text, each also as .gz; Parquet, Arrow, "
            "Excel (.xlsx)."
        ),
    )


def _open_folder(path: Path, options: Options) -> Splits:
    """A folder of `save_to_disk`, of files named after splits, or of classes."""
    if (path / "dataset_dict.json").is_file() or (path / "dataset_info.json").is_file():
        refuse_header(str(path), options)
        return hub_reader.open_saved(path)
    files = sorted(
        file
        for file in path.iterdir()
        if file.is_file() and Path(file.name.removesuffix(".gz")).suffix.lower() in SUFFIXES
    )
    named = {
        split: [file for file in files if re.split(r"[-_.]", file.name.lower())[0] in words]
        for split, words in SPLIT_WORDS.items()
    }
    if named["train"]:
        return {
            split: _concatenate([open_file(part, options) for part in parts])
            for split, parts in named.items()
            if parts
        }
    folders = class_folders(path)
    if not folders:
        raise DataError(_no_training_file(path, [file.name for file in files]))
    if tables := [file.name for file in files if file.suffix.lower() != ".txt"]:
        raise DataError(tables_beside_classes(path, tables, folders))
    refuse_header(str(path), options)
    return {split: ClassFolder.open(folder, options.encoding) for split, folder in folders.items()}


def _no_training_file(path: Path, names: Sequence[str]) -> Problem:
    found = "\n" + _("Found: {names}.").format(names=quoted(names)) if names else ""
    return Problem(
        "D105",
        _("the folder holds no training file"),
        Place(str(path)),
        fix=_(
            "Name files train.*, validation.* and test.*, give the files themselves, or put a "
            ".txt file for each text into a folder named after its class."
        )
        + found,
    )


def _one_split(where: str, options: Options) -> Source:
    splits = open_splits(where, options)
    return splits["train"] if "train" in splits else next(iter(splits.values()))


def _concatenate(parts: Sequence[Source]) -> Source:
    if len(parts) == 1:
        return parts[0]
    first = {column.name for column in parts[0].columns}
    problems = []
    for part in parts[1:]:
        names = {column.name for column in part.columns}
        if names != first:
            problems.append(
                Problem(
                    "D306",
                    _("its columns differ from those of {first}").format(first=parts[0].name),
                    Place(part.name),
                    evidence=(
                        _("only here: {names}").format(names=quoted(sorted(names - first)) or "-"),
                        _("only there: {names}").format(names=quoted(sorted(first - names)) or "-"),
                    ),
                )
            )
    if problems:
        raise DataError(problems)
    return Concatenated(tuple(parts))


def _no_such_file(path: Path) -> Problem:
    siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    close = nearest(path.name, siblings)
    if close:
        fix = _('Did you mean "{name}"?').format(name=path.parent / close[0])
    elif not path.parent.is_dir():
        fix = _("There is no folder {folder}.").format(folder=path.parent)
    else:
        fix = _("The folder holds {names}.").format(
            names=quoted(sorted(siblings), at_most=8) or "-"
        )
    return Problem("D105", _("no such file or folder"), Place(str(path)), fix=fix)
