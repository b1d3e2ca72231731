"""JSON lines and JSON arrays of objects, read by the standard library, strictly."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from tunesmith.data.findings import Finding, Findings
from tunesmith.data.rows import CHUNK_ROWS, BadRecordsError, Column, Rejected, Row
from tunesmith.data.textfile import TextFile
from tunesmith.errors import DataError, Place, Problem, nearest, shortened
from tunesmith.language import gettext as _

__all__ = ["JsonFile"]

_SAMPLE_ROWS = 1000
_TYPES = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "boolean",
    list: "list",
    dict: "object",
}


def _is_stray(key: str, keys: Counter[str], sample: list[Mapping[str, object]]) -> bool:
    """Whether a key is a slip of the pen: much like a more frequent one, and never beside it."""
    close = nearest(key, [other for other in keys if keys[other] > keys[key]])
    return bool(close) and not any(key in record and close[0] in record for record in sample)


@dataclass(frozen=True)
class _BadLine:
    """Stands in for a record that could not be read."""

    finding: Finding
    column: int | None = None


@dataclass(frozen=True)
class JsonFile:
    """A checked file of JSON objects.

    Attributes:
        text: the file.
        is_array: one array of objects instead of one object a line.
        columns: every key of the first thousand records, in order of appearance.
    """

    text: TextFile
    is_array: bool
    columns: tuple[Column, ...]

    @property
    def name(self) -> str:
        """The path."""
        return str(self.text.path)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth saying about the encoding."""
        return self.text.notes

    @classmethod
    def open(cls, text: TextFile) -> JsonFile:
        """Look at the first records.

        Raises:
            DataError: an array that is not JSON (D140) or holds something else than objects (D144).
        """
        with text.open_text() as file:
            start = ""
            while not start:
                piece = file.read(1024)
                if not piece:
                    raise DataError(Problem("D121", _("the file is empty"), Place(str(text.path))))
                start = piece.lstrip()
        found = cls(text, start[0] == "[", ())
        sample = [
            record
            for _line, record in islice(found._records(), _SAMPLE_ROWS)
            if isinstance(record, Mapping)
        ]
        types: dict[str, str] = {}
        for record in sample:
            for key, value in record.items():
                if value is not None:
                    types.setdefault(key, _TYPES.get(type(value), "text"))
        keys = Counter(key for record in sample for key in record)
        stray = {key for key in keys if _is_stray(key, keys, sample)}
        columns = tuple(Column(key, types.get(key, "text")) for key in keys if key not in stray)
        return cls(text, found.is_array, columns)

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """All rows; a `DataError` after them with every line that is not a good object."""
        findings = Findings(self)
        bad: list[Rejected] = []

        def refuse(index: int, line: int, finding: Finding) -> None:
            findings.add(index, finding)
            place = Place(self.name, row=index) if self.is_array else Place(self.name, line)
            bad.append(Rejected(place, finding.code, finding.message))

        wanted = [c.name for c in self.columns if columns is None or c.name in columns]
        chunk: list[Row] = []
        for index, (line, record) in enumerate(self._records()):
            if isinstance(record, _BadLine):
                refuse(index, line, record.finding)
                continue
            missing = [name for name in wanted if name not in record]
            if missing and (misspelt := self._misspelt(missing, record)):
                refuse(index, line, misspelt)
                continue
            chunk.append(Row(index, {name: record.get(name) for name in wanted}))
            if len(chunk) == CHUNK_ROWS:
                yield chunk
                chunk = []
        if chunk:
            yield chunk
        if findings:
            raise BadRecordsError(findings.problems(), bad)

    def places(self, indices: Collection[int]) -> dict[int, Place]:
        """The lines on which some rows stand; for an array their place in it."""
        wanted = set(indices)
        if self.is_array:
            return {index: Place(self.name, row=index) for index in wanted}
        found: dict[int, Place] = {}
        for index, (line, written, is_last) in enumerate(self._lines() if wanted else ()):
            if index in wanted:
                record = _parse(written, last=is_last)
                column = record.column if isinstance(record, _BadLine) else None
                found[index] = Place(self.name, line, column)
                if len(found) == len(wanted):
                    break
        return found

    def _misspelt(self, missing: list[str], record: Mapping[str, object]) -> Finding | None:
        """A record that lacks a key but has one much like it."""
        known = {column.name for column in self.columns}
        for name in missing:
            close = nearest(name, [key for key in record if key not in known])
            if close:
                return Finding(
                    "D305",
                    _('no "{name}" (has "{found}")').format(name=name, found=close[0]),
                    fix=_("Correct the key."),
                )
        return None

    def _records(self) -> Iterator[tuple[int, Mapping[str, object] | _BadLine]]:
        yield from self._from_array() if self.is_array else self._from_lines()

    def _from_lines(self) -> Iterator[tuple[int, Mapping[str, object] | _BadLine]]:
        for line, written, is_last in self._lines():
            yield line, _parse(written, last=is_last)

    def _lines(self) -> Iterator[tuple[int, str, bool]]:
        """Each line that is not blank with its number, and whether the file ends within it."""
        with self.text.open_text() as file:
            for line, written in enumerate(file, start=1):
                if not written.isspace():
                    yield line, written, not written.endswith(("\n", "\r"))

    def _from_array(self) -> Iterator[tuple[int, Mapping[str, object] | _BadLine]]:
        with self.text.open_text() as file:
            try:
                records = json.load(
                    file, object_pairs_hook=_unique, parse_constant=_refuse_constant
                )
            except (ValueError, RecursionError) as error:
                raise DataError(_array_problem(error, self.name)) from None
        for index, record in enumerate(records):
            if isinstance(record, dict):
                yield index, _without_surrogates(record)
            else:
                yield index, _BadLine(_not_an_object(record))


class _RefusedError(ValueError):
    """A record that is JSON but not acceptable."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def _parse(written: str, *, last: bool = False) -> Mapping[str, object] | _BadLine:
    try:
        record = _DECODER.decode(written)
    except _RefusedError as error:
        return _BadLine(error.finding)
    except json.JSONDecodeError as error:
        if last and (_is_at_end(error) or error.msg.startswith("Unterminated string")):
            return _BadLine(
                Finding("D141", _("the file is cut off here"), fix=_("Export it again."))
            )
        return _BadLine(
            Finding(
                "D140",
                _("not JSON at column {column}: {text}").format(
                    column=error.colno, text=shortened(written)
                ),
                fix=_("Each line is one object: {example}").format(
                    example='{"text": "…", "label": "…"}'
                ),
            ),
            error.colno,
        )
    except RecursionError:
        return _BadLine(Finding("D140", _("nested too deeply")))
    if not isinstance(record, dict):
        return _BadLine(_not_an_object(record))
    is_plain = written.isascii() and "\\u" not in written
    return record if is_plain else _without_surrogates(record)


def _not_an_object(value: object) -> Finding:
    return Finding(
        "D144",
        _("not an object with columns: {text}").format(text=shortened(json.dumps(value))),
        fix=_("Each record is one object: {example}").format(example='{"text": "…", "label": "…"}'),
    )


def _without_surrogates(record: dict[str, object]) -> Mapping[str, object] | _BadLine:
    """JSON can spell half of a character, and such a text cannot be encoded again."""
    for key, value in record.items():
        if isinstance(value, str):
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                return _BadLine(
                    Finding(
                        "D142",
                        _('half of a character (lone surrogate) in "{name}"').format(name=key),
                        fix=_("Complete or remove the row."),
                    )
                )
    return record


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise _RefusedError(
            Finding(
                "D143",
                _('the key "{name}" stands twice in one record').format(name=twice),
                fix=_("Keep one of them."),
            )
        )
    return record


def _refuse_constant(word: str) -> Any:
    raise _RefusedError(
        Finding(
            "D202", _("{word} is not a value").format(word=word), fix=_("Use null or a number.")
        )
    )


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
"""Made once: `json.loads` makes one for every line."""


def _is_at_end(error: json.JSONDecodeError) -> bool:
    return error.pos >= len(error.doc.rstrip()) - 1


def _array_problem(error: Exception, name: str) -> Problem:
    if isinstance(error, _RefusedError):
        return Problem(
            error.finding.code, error.finding.message, Place(name), fix=error.finding.fix
        )
    if isinstance(error, json.JSONDecodeError):
        cut = _is_at_end(error)
        code = "D141" if cut else "D140"
        message = (
            _("the file is cut off here")
            if cut
            else _("not JSON: {reason}").format(reason=error.msg)
        )
        return Problem(code, message, Place(name, error.lineno, error.colno))
    return Problem("D140", _("nested too deeply"), Place(name))
