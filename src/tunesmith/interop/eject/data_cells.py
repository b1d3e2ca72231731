"""How a plain script reads the rows, tried out on the run's own data before it is written.

Each way of reading is a function and the code that says the same. A way that does not give the rows
and answers of the run to the letter is not taken; where none does, as for embedded data, the rows
are written as JSON lines beside the script.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunesmith.data.readers.columnar import HubSplit, ParquetFile
from tunesmith.data.readers.csv_reader import DelimitedFile
from tunesmith.data.readers.hub_reader import repository_and_config
from tunesmith.data.readers.json_reader import JsonFile
from tunesmith.data.readers.text_reader import LinesFile
from tunesmith.data.rows import Concatenated, Row, Source
from tunesmith.i18n import gettext as _
from tunesmith.inputs import Split
from tunesmith.interop.eject.cells import Cell, assignment, block, literal, stacked
from tunesmith.interop.eject.label_cells import Expression, answer_expression
from tunesmith.interop.eject.run_facts import Facts

__all__ = ["Reading", "read_plainly"]

Rows = Iterable[Mapping[str, Any]]
TextSource = DelimitedFile | JsonFile | LinesFile


@dataclass(frozen=True)
class Reading:
    """How a script gets at its rows.

    Attributes:
        cell: leaves them in `raw`, a DatasetDict.
        answers: the labels of a batch `rows`; None for a model that learns from text alone.
        text: the column of the text.
        text_pair: that of the second text of a pair.
        label: that of the label; None for several 0/1 columns, or none.
        beside: the lines of files that lie beside the script, by name.
    """

    cell: Cell
    answers: Expression | None
    text: str
    text_pair: str | None
    label: str | None
    beside: Mapping[str, Iterable[str]] = field(default_factory=dict)


def read_plainly(facts: Facts, target: Path) -> Reading:
    """Find the plainest way to read a run's rows.

    Args:
        facts: the run.
        target: where the script will lie; files beside it take its name.
    """
    splits = {name: facts.splits[name] for name in ("train", *facts.scored)}
    sources = list({id(split.source): split.source for split in splits.values()}.values())
    ways = {name: _way_of(split.source, facts) for name, split in splits.items()}
    plain = {name: way for name, way in ways.items() if way is not None}
    answers = answer_expression(facts.task, sources)
    if len(plain) < len(ways) or not _texts_are_text(sources, facts.task.roles.text_columns):
        return _written_beside(facts, splits, target)
    if answers is None and not facts.hides_words:
        return _written_beside(facts, splits, target)
    roles = facts.task.roles
    constants, calls, words, beside = _calls(splits, plain, target)
    functions = list(dict.fromkeys(way.function for way in plain.values()))
    if any("csv." in function for function in functions):
        words.append(_("Every field of a CSV file is text, whatever it looks like."))
    columns = assignment("COLUMNS", list(roles.columns))
    code = stacked(block(constants, columns), *functions, calls)
    label = roles.label if isinstance(roles.label, str) else None
    return Reading(
        Cell(_("Rows"), code, words), answers, roles.text, roles.text_pair, label, beside
    )


def _rows_of(source: Source, columns: Sequence[str]) -> Iterator[Row]:
    return (row for chunk in source.chunks(columns) for row in chunk)


def _texts_are_text(sources: Iterable[Source], columns: Sequence[str]) -> bool:
    """Whether every text is one already, and not a number to be written as one."""
    return all(
        isinstance(row.values[name], str)
        for source in sources
        for row in _rows_of(source, columns)
        for name in columns
    )


@dataclass(frozen=True, slots=True)
class _Way:
    """One way of reading a source.

    Attributes:
        constant: the name of what holds its path or paths, or its place on the Hub.
        value: its value for this source.
        call: the expression that reads it, with `{key}` for the key of `value` under `constant`.
        function: the definition that the expression calls.
        also: constants that all splits share.
    """

    constant: str
    value: object
    call: str
    function: str
    also: tuple[str, ...] = ()


def _way_of(source: Source, facts: Facts) -> _Way | None:
    """The plain way to read a source, None if there is none that gives its rows."""
    columns = facts.task.roles.columns
    if isinstance(source, Concatenated):
        parts = [_way_of(part, facts) for part in source.parts]
        plain = [part for part in parts if part is not None and part.constant == "FILES"]
        if len(plain) < len(parts) or len({part.function for part in plain}) > 1:
            return None
        one = plain[0].call.format(key="path")
        every = f"concatenate_datasets([{one} for path in {{key}}])"
        values = [part.value for part in plain]
        return _Way("FILES", values, every, plain[0].function, plain[0].also)
    if isinstance(source, HubSplit):
        return _from_hub(source, facts)
    if isinstance(source, ParquetFile):
        function = block(
            "def read_parquet(path):", "    return Dataset.from_parquet(path, columns=COLUMNS)"
        )
        return _Way("FILES", str(source.path), "read_parquet({key})", function)
    if isinstance(source, TextSource):
        return _from_text(source, columns)
    return None


def _from_hub(source: HubSplit, facts: Facts) -> _Way | None:
    data = facts.recipe.data
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
    also = (
        assignment("DATASET", [name for name in (repository, config) if name]),
        assignment("COMMIT", source.revision),
    )
    return _Way("SPLITS", split, "load({key})", function, also)


def _from_text(source: TextSource, columns: Sequence[str]) -> _Way | None:
    name, loop, rows = _parser(source)
    if not _gives_the_same(source, rows, columns):
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
    also: tuple[str, ...] = ()
    if isinstance(source, DelimitedFile) and not source.has_header:
        also = (assignment("HEADER", [column.name for column in source.columns]),)
    return _Way("FILES", str(source.text.path), f"{name}({{key}})", function, also)


def _parser(source: TextSource) -> tuple[str, str, Callable[[Any], Rows]]:
    """The name of a reading function, what it does with an open file, and the same to be called."""
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
    source: TextSource, rows: Callable[[Any], Rows], columns: Sequence[str]
) -> bool:
    """Whether plain reading gives the rows that the run read."""
    try:
        with source.text.open_text() as file:
            if not isinstance(source, DelimitedFile):
                file.reconfigure(newline=None)  # type: ignore[attr-defined]
            for row, other in zip(_rows_of(source, columns), rows(file), strict=True):
                if any(row.values[name] != other[name] for name in columns):
                    return False
    except (ValueError, KeyError, TypeError, csv.Error):
        return False
    return True


def _calls(
    splits: Mapping[str, Split], ways: Mapping[str, _Way], target: Path
) -> tuple[list[str], str, list[str], dict[str, Iterable[str]]]:
    """The constants, the code that makes `raw`, words on it, and the file of row numbers."""
    values: dict[str, dict[str, object]] = {}
    constants: list[str] = []
    keys: dict[int, str] = {}
    lines: list[str] = []
    entries = {}
    is_drawn = any(split.places is not None for split in splits.values())
    for name, way in ways.items():
        split = splits[name]
        if id(split.source) not in keys:
            keys[id(split.source)] = name
            values.setdefault(way.constant, {})[name] = way.value
            constants += [line for line in way.also if line not in constants]
            if split.places is not None:
                lines.append(f"every_row = {_called(way, name)}")
        if split.places is None:
            entries[name] = _called(way, keys[id(split.source)])
        else:
            entries[name] = f"every_row.select(drawn[{literal(name)}])"
    constants += [assignment(name, value) for name, value in values.items()]
    words: list[str] = []
    beside: dict[str, Iterable[str]] = {}
    if is_drawn:
        file = f"{target.stem}.rows.json"
        beside[file] = _numbers(splits)
        constants.append(assignment("ROW_NUMBERS", str(target.with_name(file))))
        lines = ["with open(ROW_NUMBERS) as file:", "    drawn = json.load(file)", *lines]
        words.append(
            _("{file} holds the row numbers of each split: they were drawn once.").format(file=file)
        )
    return constants, block(lines, _dataset_dict(entries)), words, beside


def _called(way: _Way, name: str) -> str:
    return way.call.format(key=f"{way.constant}[{literal(name)}]")


def _dataset_dict(entries: Mapping[str, str]) -> list[str]:
    inner = [f"        {literal(name)}: {value}," for name, value in entries.items()]
    return ["raw = DatasetDict(", "    {", *inner, "    }", ")"]


def _numbers(splits: Mapping[str, Split]) -> Iterator[str]:
    yield json.dumps({n: s.places.tolist() for n, s in splits.items() if s.places is not None})


def _written_beside(facts: Facts, splits: Mapping[str, Split], target: Path) -> Reading:
    """The rows of each split as JSON lines: texts as text, answers as the run understood them."""
    beside = {f"{target.stem}.{name}.jsonl": _lines(split, facts) for name, split in splits.items()}
    files = {name: str(target.with_name(file)) for name, file in zip(splits, beside, strict=True)}
    pair = "text_pair" if facts.task.roles.text_pair else None
    label = None if facts.hides_words else "label"
    read = block(
        "def read_json_lines(path):",
        '    with open(path, encoding="utf-8") as file:',
        "        return Dataset.from_list([json.loads(line) for line in file])",
    )
    calls = {name: f"read_json_lines(FILES[{literal(name)}])" for name in files}
    constants = block(
        assignment("FILES", files),
        assignment("COLUMNS", [name for name in ("text", pair, label) if name]),
    )
    code = stacked(constants, read, block(_dataset_dict(calls)))
    words = _("The rows lie beside this script, as the run read them: {files}.").format(
        files=", ".join(beside)
    )
    answers = answer_expression(facts.task, None)
    return Reading(Cell(_("Rows"), code, [words]), answers, "text", pair, label, beside)


def _lines(split: Split, facts: Facts) -> Iterator[str]:
    roles = facts.task.roles
    wanted = None if split.places is None else set(split.places.tolist())
    for row in _rows_of(split.source, roles.columns):
        if wanted is not None and row.index not in wanted:
            continue
        record: dict[str, object] = {"text": str(row.values[roles.text])}
        if roles.text_pair:
            record["text_pair"] = str(row.values[roles.text_pair])
        if not facts.hides_words:
            record["label"] = facts.task.stratum(row)
        yield json.dumps(record, ensure_ascii=False)
