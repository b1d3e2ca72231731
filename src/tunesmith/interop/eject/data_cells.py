"""How a script reads the rows, tried on the run's own data before it is written.

A candidate is used only if it gives exactly the rows and targets of the run. Where none does, as
for embedded data, the rows are written as JSON lines next to the script.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from tunesmith.data.readers.csv_reader import DelimitedFile
from tunesmith.data.readers.hub_reader import HubSplit, repository_and_config
from tunesmith.data.readers.json_reader import JsonFile
from tunesmith.data.readers.parquet_reader import ParquetFile
from tunesmith.data.readers.text_reader import LinesFile
from tunesmith.data.rows import Concatenated, Row, Source
from tunesmith.i18n import gettext as _
from tunesmith.inputs import Split
from tunesmith.interop.eject.cells import Cell, assignment, block, literal, stacked
from tunesmith.interop.eject.source_run import SourceRun
from tunesmith.interop.eject.target_cells import Batch, target_expression
from tunesmith.tasks import TargetExpression

__all__ = ["RowsCell", "rows_cell"]

Rows = Iterable[Mapping[str, Any]]
TextSource = DelimitedFile | JsonFile | LinesFile


@dataclass(frozen=True)
class RowsCell:
    """The code that reads the rows.

    Attributes:
        cell: defines `raw`, a DatasetDict, and COLUMNS.
        targets: the targets of a batch `rows`; None if the labels come from the text itself.
        text: the column of the text.
        text_pair: that of the second text of a pair.
        label: that of the label; None for several 0/1 columns, or none.
        files: lines of the files to write next to the script, by name.
    """

    cell: Cell
    targets: TargetExpression | None
    text: str
    text_pair: str | None
    label: str | None
    files: Mapping[str, Iterable[str]] = field(default_factory=dict)


def rows_cell(run: SourceRun, script: Path) -> RowsCell:
    """Return the shortest code that reads a run's rows.

    Args:
        run: whose rows.
        script: its path; files next to it are named after it.
    """
    roles = run.task.roles
    splits = {name: run.splits[name] for name in ("train", *run.scored)}
    sources = list({id(split.source): split.source for split in splits.values()}.values())
    readers = {
        name: reader for name, split in splits.items() if (reader := _reader(split.source, run))
    }
    if len(readers) < len(splits) or not _texts_are_text(sources, roles.text_columns):
        return _written_rows(run, splits, script)
    label = roles.label if isinstance(roles.label, str) else None
    targets = target_expression(run.parts, _batches(sources, run))
    if targets is None and run.parts.targets:
        return _written_rows(run, splits, script)
    constants, calls, notes, files = _calls(splits, readers, script)
    functions = list(dict.fromkeys(reader.function for reader in readers.values()))
    if any("csv." in function for function in functions):
        notes.append(_("Every field of a CSV file is text, whatever it looks like."))
    columns = assignment("COLUMNS", list(roles.labeled_columns))
    code = stacked(block(constants, columns), *functions, calls)
    cell = Cell(_("Rows"), code, notes)
    return RowsCell(cell, targets, roles.text, roles.text_pair, label, files)


def _texts_are_text(sources: Iterable[Source], columns: Sequence[str]) -> bool:
    """Whether every text is a string, and not a number to be written as one."""
    return all(
        isinstance(row.values[name], str)
        for source in sources
        for row in chain.from_iterable(source.chunks(columns))
        for name in columns
    )


def _batches(sources: Iterable[Source], run: SourceRun) -> Iterator[Batch]:
    """Return the labels of all rows: values of the label column, or tuples of several columns."""
    roles = run.task.roles
    for source in sources:
        for rows in source.chunks(roles.labeled_columns):
            labels = [tuple(row.values[name] for name in roles.label_columns) for row in rows]
            yield labels if isinstance(roles.label, tuple) else [one for (one,) in labels], rows


@dataclass(frozen=True, slots=True)
class _Reader:
    """Code that reads a source.

    Attributes:
        constant: name of the dict that holds its path or paths, or its split on the Hub.
        value: its entry there.
        call: the expression that reads it, with `{key}` for that entry.
        function: the definition that the expression calls.
        shared: constants of all splits.
    """

    constant: str
    value: object
    call: str
    function: str
    shared: tuple[str, ...] = ()


def _reader(source: Source, run: SourceRun) -> _Reader | None:
    """Return the code that reads a source, None if there is none that gives its rows."""
    columns = run.task.roles.labeled_columns
    if isinstance(source, Concatenated):
        parts = [_reader(part, run) for part in source.parts]
        files = [part for part in parts if part is not None and part.constant == "FILES"]
        if len(files) < len(parts) or len({part.function for part in files}) > 1:
            return None
        one = files[0].call.format(key="path")
        every = f"concatenate_datasets([{one} for path in {{key}}])"
        values = [part.value for part in files]
        return _Reader("FILES", values, every, files[0].function, files[0].shared)
    if isinstance(source, HubSplit):
        return _hub_reader(source, run)
    if isinstance(source, ParquetFile):
        function = block(
            "def read_parquet(path):", "    return Dataset.from_parquet(path, columns=COLUMNS)"
        )
        return _Reader("FILES", str(source.path), "read_parquet({key})", function)
    if isinstance(source, TextSource):
        return _text_reader(source, columns)
    return None


def _hub_reader(source: HubSplit, run: SourceRun) -> _Reader | None:
    data = run.recipe.data
    if source.revision is None or not isinstance(data.train, str):
        return None
    repository, config = repository_and_config(data.train, data.config)
    label, _colon, split = source.name.rpartition(":")
    if label != (f"{repository}/{config}" if config else repository):
        return None  # validation from another data set than train
    function = block(
        "def load(split):",
        "    return load_dataset(*DATASET, split=split, revision=COMMIT).select_columns(COLUMNS)",
    )
    shared = (
        assignment("DATASET", [name for name in (repository, config) if name]),
        assignment("COMMIT", source.revision),
    )
    return _Reader("SPLITS", split, "load({key})", function, shared)


def _text_reader(source: TextSource, columns: Sequence[str]) -> _Reader | None:
    name, loop, read = _parser(source)
    if not _gives_the_same(source, read, columns):
        return None
    opening = "open(path"
    if source.text.path.suffix == ".gz":
        name, opening = f"{name}_gz", 'gzip.open(path, "rt"'
    newline = ', newline=""' if isinstance(source, DelimitedFile) else ""
    function = block(
        f"def {name}(path):",
        f"    with {opening}, encoding={literal(source.text.encoding)}{newline}) as file:",
        f"        rows = {loop}",
        "        return Dataset.from_list([{name: row[name] for name in COLUMNS} for row in rows])",
    )
    shared: tuple[str, ...] = ()
    if isinstance(source, DelimitedFile) and not source.has_header:
        shared = (assignment("HEADER", [column.name for column in source.columns]),)
    return _Reader("FILES", str(source.text.path), f"{name}({{key}})", function, shared)


def _parser(source: TextSource) -> tuple[str, str, Callable[[Any], Rows]]:
    """Return the name of a reading function, its expression of an open file, and its equivalent."""
    if isinstance(source, DelimitedFile):
        delimiter = source.delimiter
        names = None if source.has_header else [column.name for column in source.columns]
        arguments = ["file"]
        if names is not None:
            arguments.append("HEADER")
        if delimiter != ",":
            arguments.append(f"delimiter={literal(delimiter)}")
        return (
            "read_csv",
            f"csv.DictReader({', '.join(arguments)})",
            lambda file: csv.DictReader(file, names, delimiter=delimiter),
        )
    if isinstance(source, LinesFile):
        return (
            "read_lines",
            '[{"text": line.strip()} for line in file if line.strip()]',
            lambda file: ({"text": line.strip()} for line in file if line.strip()),
        )
    if source.is_array:
        return "read_json", "json.load(file)", json.load
    return (
        "read_json_lines",
        "[json.loads(line) for line in file if line.strip()]",
        lambda file: (json.loads(line) for line in file if line.strip()),
    )


def _gives_the_same(
    source: TextSource, read: Callable[[Any], Rows], columns: Sequence[str]
) -> bool:
    """Whether a reader of the standard library gives the rows that the run read."""
    try:
        with source.text.open_text() as file:
            if not isinstance(source, DelimitedFile):
                file.reconfigure(newline=None)  # type: ignore[attr-defined]
            rows = chain.from_iterable(source.chunks(columns))
            for row, other in zip(rows, read(file), strict=True):
                if any(row.values[name] != other[name] for name in columns):
                    return False
    except (ValueError, KeyError, TypeError, csv.Error):
        return False
    return True


def _calls(
    splits: Mapping[str, Split], readers: Mapping[str, _Reader], script: Path
) -> tuple[list[str], str, list[str], dict[str, Iterable[str]]]:
    """Return constants, the code that defines `raw`, notes, and the file of row numbers."""
    values: dict[str, dict[str, object]] = {}
    constants: list[str] = []
    keys: dict[int, str] = {}
    lines: list[str] = []
    entries = {}
    for name, reader in readers.items():
        split = splits[name]
        if id(split.source) not in keys:
            keys[id(split.source)] = name
            values.setdefault(reader.constant, {})[name] = reader.value
            constants += [line for line in reader.shared if line not in constants]
            if split.places is not None:
                lines.append(f"every_row = {_called(reader, name)}")
        if split.places is None:
            entries[name] = _called(reader, keys[id(split.source)])
        else:
            entries[name] = f"every_row.select(drawn[{literal(name)}])"
    constants += [assignment(name, value) for name, value in values.items()]
    notes: list[str] = []
    files: dict[str, Iterable[str]] = {}
    drawn = {n: s.places.tolist() for n, s in splits.items() if s.places is not None}
    if drawn:
        file = f"{script.stem}.rows.json"
        files[file] = [json.dumps(drawn)]
        constants.append(assignment("ROW_NUMBERS", str(script.with_name(file))))
        lines = ["with open(ROW_NUMBERS) as file:", "    drawn = json.load(file)", *lines]
        note = _("{file} holds the row numbers of each split, which were drawn once.")
        notes.append(note.format(file=file))
    return constants, block(lines, _dataset_dict(entries)), notes, files


def _called(reader: _Reader, name: str) -> str:
    return reader.call.format(key=f"{reader.constant}[{literal(name)}]")


def _dataset_dict(entries: Mapping[str, str]) -> list[str]:
    inner = [f"        {literal(name)}: {value}," for name, value in entries.items()]
    return ["raw = DatasetDict(", "    {", *inner, "    }", ")"]


def _written_rows(run: SourceRun, splits: Mapping[str, Split], script: Path) -> RowsCell:
    """Write the rows of each split as JSON lines: texts as text, labels as the run read them."""
    files = {f"{script.stem}.{name}.jsonl": _lines(split, run) for name, split in splits.items()}
    paths = {name: str(script.with_name(file)) for name, file in zip(splits, files, strict=True)}
    pair = "text_pair" if run.task.roles.text_pair else None
    label = "label" if run.parts.targets else None
    read = block(
        "def read_json_lines(path):",
        '    with open(path, encoding="utf-8") as file:',
        "        return Dataset.from_list([json.loads(line) for line in file])",
    )
    calls = {name: f"read_json_lines(FILES[{literal(name)}])" for name in paths}
    constants = block(
        assignment("FILES", paths),
        assignment("COLUMNS", [name for name in ("text", pair, label) if name]),
    )
    code = stacked(constants, read, block(_dataset_dict(calls)))
    note = _("The rows are in files next to this script, as the run read them: {files}.")
    cell = Cell(_("Rows"), code, [note.format(files=", ".join(files))])
    targets = target_expression(run.parts, _written_batches(splits.values(), run))
    return RowsCell(cell, targets, "text", pair, label, files)


def _written_batches(splits: Iterable[Split], run: SourceRun) -> Iterator[Batch]:
    """Return the labels of all rows as they are written."""
    if run.parts.targets:
        for rows in chain.from_iterable(_chunks(split, run) for split in splits):
            yield [run.parts.targets.label_of(row) for row in rows], rows


def _chunks(split: Split, run: SourceRun) -> Iterator[Sequence[Row]]:
    rows = None if split.places is None else set(split.places.tolist())
    for chunk in split.source.chunks(run.task.roles.labeled_columns):
        yield chunk if rows is None else [row for row in chunk if row.index in rows]


def _lines(split: Split, run: SourceRun) -> Iterator[str]:
    roles = run.task.roles
    for row in chain.from_iterable(_chunks(split, run)):
        record: dict[str, object] = {"text": str(row.values[roles.text])}
        if run.parts.record is not None:
            record = dict(run.parts.record(row))
        elif roles.text_pair:
            record["text_pair"] = str(row.values[roles.text_pair])
        if run.parts.targets:
            record["label"] = run.parts.targets.label_of(row)
        yield json.dumps(record, ensure_ascii=False)
