"""JSON lines and JSON arrays of objects, read by the standard library, strictly."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from tunesmith.data.findings import BadRecords, Finding, unwritable_in
from tunesmith.data.readers.format import Format
from tunesmith.data.readers.json_array import (
    ArrayError,
    ElementTooLongError,
    elements_of,
    is_cut_off,
)
from tunesmith.data.readers.read_errors import coded
from tunesmith.data.readers.text_file import TextFile, TextFileSource
from tunesmith.data.rows import (
    MARKED_ROWS,
    MAX_COLUMNS,
    Column,
    Marks,
    Row,
    in_chunks,
    selected,
    too_long,
    too_many_columns,
)
from tunesmith.errors import DataError, Place, Problem
from tunesmith.i18n import gettext as _
from tunesmith.text import nearest, shortened

__all__ = ["DECODER", "FORMAT", "JsonFile", "json_problem"]

_SAMPLE_ROWS, _SAMPLE_CHARACTERS = 1000, 32 << 20
_TYPES = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "boolean",
    list: "list",
    dict: "object",
}


_EXAMPLE = '{"text": "…", "label": "…"}'
_MAX_COMPARED_KEYS = 100
"""Among more keys none is compared with others: they are data, not names."""


def _stray_keys(sample: list[Mapping[str, object]]) -> set[str]:
    """Return the keys that are misspelled: similar to a more frequent one, and never with it."""
    keys = Counter(key for record in sample for key in record)
    if len(keys) > _MAX_COMPARED_KEYS:
        return set()
    stray = set()
    for key in keys:
        close = nearest(key, [other for other in keys if keys[other] > keys[key]])
        if close and not any(key in record and close[0] in record for record in sample):
            stray.add(key)
    return stray


@dataclass(frozen=True)
class _BadLine:
    """A record that could not be read."""

    finding: Finding
    column: int | None = None


@dataclass(frozen=True)
class JsonFile(TextFileSource):
    """A checked file of JSON objects.

    Attributes:
        is_array: whether it is one array of objects, not one object per line.
        columns: every key of the first thousand records, in order of appearance.
    """

    is_array: bool
    columns: tuple[Column, ...]

    @classmethod
    def open(cls, text: TextFile) -> JsonFile:
        """Read the first records.

        Raises:
            DataError: an array that is not JSON (D140), a line without end (D150), or too many keys
                (D116).
        """
        place = Place(str(text.path))
        with coded(str(text.path), "JSON"), text.open_text() as file:
            start = ""
            while not start:
                piece = file.read(1024)
                if not piece:
                    fix = _("Export it again, or name another file.")
                    raise DataError.of("D121", _("the file is empty"), place, fix=fix)
                start = piece.lstrip()
        is_array = start[0] == "["
        if not is_array and text.endless_line is not None:
            raise DataError(too_long(Place(str(text.path), text.endless_line)))
        sample = cls(text, is_array, ())._sample()
        types: dict[str, str] = {}
        for record in sample:
            for key, value in record.items():
                kind = "" if value is None else _TYPES.get(type(value), "text")
                types[key] = types.get(key) or kind
        if len(types) > MAX_COLUMNS:
            raise DataError(too_many_columns(len(types), place))
        stray = _stray_keys(sample)
        columns = tuple(Column(k, kind or "text") for k, kind in types.items() if k not in stray)
        return cls(text, is_array, columns)

    def _sample(self) -> list[Mapping[str, object]]:
        """Return the first good records."""
        sample: list[Mapping[str, object]] = []
        held = 0
        for _line, size, record in islice(self._records(), _SAMPLE_ROWS):
            if isinstance(record, Mapping):
                sample.append(record)
            held += size
            if held > _SAMPLE_CHARACTERS:
                break
        return sample

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """Yield all rows; then raise a `BadRecordsError` for records that are no good objects."""
        bad = BadRecords(self)
        yield from in_chunks(self._good_rows(columns, bad))
        bad.raise_if_any()

    def chunks_from(
        self,
        mark: tuple[int, ...],
        columns: Collection[str] | None = None,
        count: int | None = None,
    ) -> Iterator[Sequence[Row]]:
        """Yield the rows from a mark on, numbered from 0; otherwise as `chunks`."""
        bad = BadRecords(self)
        yield from in_chunks(self._good_rows(columns, bad, islice(self._from_lines(*mark), count)))
        bad.raise_if_any()

    @property
    def is_seekable(self) -> bool:
        """Whether it is one record per line, and not packed."""
        return not self.is_array and not self.text.is_packed

    def marks(self) -> Marks:
        """Read all lines once, and note where every 1,024th record begins; none is parsed."""
        rows, starts = 0, [0]
        marks: list[tuple[int, ...]] = [(0, 0)]
        with coded(self.name, "JSON"), self.text.open_text() as file:
            # `tell` needs a file that is read by `readline`
            for line, written in enumerate(iter(file.readline, ""), start=1):
                if not written.isspace():
                    rows += 1
                    if rows % MARKED_ROWS == 0:
                        starts.append(rows)
                        marks.append((file.tell(), line))
        return Marks(rows, starts, marks)

    def _good_rows(
        self,
        columns: Collection[str] | None,
        bad: BadRecords,
        records: Iterable[tuple[int, int, Mapping[str, object] | _BadLine]] | None = None,
    ) -> Iterator[tuple[Row, int]]:
        """Yield the good rows, each with its size; add the other records to `bad`."""
        names = selected(self.columns, columns)
        misspelled = _MisspelledKeys([column.name for column in self.columns])
        for index, (line, size, record) in enumerate(records or self._records()):
            finding = record.finding if isinstance(record, _BadLine) else None
            if not isinstance(record, _BadLine):
                missing = [name for name in names if name not in record]
                finding = misspelled.finding(missing, record) if missing else None
                if finding is None:
                    yield Row(index, {name: record.get(name) for name in names}), size
            if finding is not None:
                place = Place(self.name, row=index) if self.is_array else Place(self.name, line)
                bad.reject(index, finding, place)

    def places(self, indices: Collection[int]) -> dict[int, Place]:
        """Return the lines of some rows; for an array their numbers."""
        remaining = set(indices)
        if self.is_array:
            return {index: Place(self.name, row=index) for index in remaining}
        return self.places_from((0, 0), remaining)

    def places_from(self, mark: tuple[int, ...], indices: Collection[int]) -> dict[int, Place]:
        """Return the lines of some rows, numbered from a mark on."""
        remaining = set(indices)
        places: dict[int, Place] = {}
        for index, (line, written, is_last) in enumerate(self._lines(*mark) if remaining else ()):
            if index in remaining:
                record = _parse(written, last=is_last)
                column = record.column if isinstance(record, _BadLine) else None
                places[index] = Place(self.name, line, column)
                if len(places) == len(remaining):
                    break
        return places

    def _records(self) -> Iterator[tuple[int, int, Mapping[str, object] | _BadLine]]:
        """Yield each record with its line and its size."""
        yield from self._from_array() if self.is_array else self._from_lines()

    def _from_lines(
        self, position: int = 0, lines_before: int = 0
    ) -> Iterator[tuple[int, int, Mapping[str, object] | _BadLine]]:
        for line, written, is_last in self._lines(position, lines_before):
            yield line, len(written), _parse(written, last=is_last)

    def _lines(self, position: int = 0, lines_before: int = 0) -> Iterator[tuple[int, str, bool]]:
        """Yield each line that is not blank, its number, and whether the file ends within it."""
        with coded(self.name, "JSON"), self.text.open_text(position) as file:
            for line, written in enumerate(file, start=lines_before + 1):
                if not written.isspace():
                    yield line, written, not written.endswith(("\n", "\r"))

    def _from_array(self) -> Iterator[tuple[int, int, Mapping[str, object] | _BadLine]]:
        with coded(self.name, "JSON"), self.text.open_text() as file:
            try:
                for index, (record, size) in enumerate(elements_of(file, DECODER)):
                    named = _as_object(record)
                    if named is not None:
                        yield index, size, _without_surrogates(named)
                    else:
                        yield index, size, _BadLine(_not_an_object(record))
            except (ValueError, RecursionError) as error:
                raise DataError(json_problem(error, self.name)) from None


class _MisspelledKeys:
    """Finds records that lack a key but have a similar one."""

    def __init__(self, known: Sequence[str]) -> None:
        self._known = set(known) if len(known) <= _MAX_COMPARED_KEYS else set()
        self._meant: dict[str, str | None] = {}

    def finding(self, missing: Sequence[str], record: Mapping[str, object]) -> Finding | None:
        """Return what is wrong with a record that lacks some keys, None if nothing."""
        for key in record if self._known else ():
            if key not in self._known and self._meant_by(key) in missing:
                return Finding(
                    "D305",
                    _('no "{name}" (has "{key}")').format(name=self._meant[key], key=key),
                    fix=_("Correct the key."),
                )
        return None

    def _meant_by(self, key: str) -> str | None:
        if key not in self._meant and len(self._meant) < _MAX_COMPARED_KEYS:
            self._meant[key] = next(iter(nearest(key, self._known)), None)
        return self._meant.get(key)


class _RefusedError(ValueError):
    """A record that is JSON but has a repeated key or a NaN."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def _parse(written: str, *, last: bool = False) -> Mapping[str, object] | _BadLine:
    try:
        record = DECODER.decode(written)
    except _RefusedError as error:
        return _BadLine(error.finding)
    except json.JSONDecodeError as error:
        if last and is_cut_off(error):
            return _BadLine(_cut_off())
        message = _("not JSON at column {column}: {text}").format(
            column=error.colno, text=shortened(written[:1000])
        )
        fix = _("Each line is one object: {example}").format(example=_EXAMPLE)
        return _BadLine(Finding("D140", message, fix), error.colno)
    except (ValueError, RecursionError) as error:
        return _BadLine(_beyond_limits(error))
    if not isinstance(record, dict):
        return _BadLine(_not_an_object(record))
    return record if "\\u" not in written else _without_surrogates(record)


def _as_object(record: object) -> dict[str, object] | None:
    """Return a record with named values; a text with its annotations, as spaCy has it, as one."""
    if isinstance(record, dict):
        return record
    if isinstance(record, list) and len(record) == 2:
        text, annotations = record
        if isinstance(text, str) and isinstance(annotations, dict) and "text" not in annotations:
            return {"text": text, **annotations}
    return None


def _beyond_limits(error: Exception) -> Finding:
    """Return the finding of JSON that is nested too deeply or has too long a number."""
    if isinstance(error, RecursionError):
        return Finding("D140", _("nested too deeply"), fix=_("Keep only text and label."))
    fix = _("Write it as text, in quotes.")
    return Finding("D140", _("a number of thousands of digits"), fix)


def _cut_off() -> Finding:
    return Finding("D141", _("the file is cut off here"), _("Export it again."))


def _not_an_object(value: object) -> Finding:
    message = _("not an object with columns: {text}").format(text=shortened(json.dumps(value)))
    fix = _("Each record is one object: {example}").format(example=_EXAMPLE)
    return Finding("D144", message, fix)


def _without_surrogates(record: dict[str, object]) -> Mapping[str, object] | _BadLine:
    finding = unwritable_in(record)
    return record if finding is None else _BadLine(finding)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    record = dict(pairs)
    if len(record) < len(pairs):
        counts = Counter(name for name, _value in pairs)
        repeated = next(name for name, count in counts.items() if count > 1)
        message = _('the key "{name}" occurs twice in one record').format(name=repeated)
        raise _RefusedError(Finding("D143", message, _("Keep one of them.")))
    return record


def _refuse_constant(word: str) -> Any:
    message = _("{word} is not a value").format(word=word)
    raise _RefusedError(Finding("D202", message, _("Use null or a number.")))


DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
"""Strict; one for all lines: `json.loads` makes one for every line."""


def json_problem(error: Exception, name: str) -> Problem:
    """Return why a file that is one value of JSON cannot be read."""
    if isinstance(error, _RefusedError):
        finding, place = error.finding, Place(name)
    elif isinstance(error, ElementTooLongError):
        return too_long(Place(name, error.line))
    elif isinstance(error, ArrayError):
        place = Place(name, error.line, error.column)
        message = _("not JSON: {reason}").format(reason=error.message)
        finding = Finding("D140", message, _("Correct this place, or export the file again."))
        finding = _cut_off() if error.is_cut else finding
    else:
        finding, place = _beyond_limits(error), Place(name)
    return Problem(finding.code, finding.message, place, fix=finding.fix)


FORMAT = Format(
    "JSON",
    (".jsonl", ".ndjson", ".json"),
    lambda path, options: JsonFile.open(TextFile.check(path, options.encoding)),
)
