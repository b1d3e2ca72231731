"""Corrections: a table of doubtful labels that a person fills in, and rows with what it says.

`tunesmith errors RUN --export FILE` writes the table, a spreadsheet opens it, `data.corrections`
applies its column `correct`: another label, or `remove`. The data itself is never changed. A row is
known by its number and a hash of its texts, so corrections never meet another row than their own.
"""

from __future__ import annotations

import csv
import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from tunesmith import commit
from tunesmith.data.profile import as_number
from tunesmith.data.rows import Column, Row, Source
from tunesmith.errors import DataError, Place, Problem, RecipeError, nearest, quoted
from tunesmith.language import gettext as _
from tunesmith.language import ngettext
from tunesmith.tasks import Task
from tunesmith.tasks.sequence import SequenceTask

__all__ = [
    "REMOVE",
    "Corrected",
    "Correction",
    "Doubt",
    "correct",
    "mark_of",
    "original_row",
    "read_corrections",
    "write_doubts",
]

REMOVE = "remove"
"""What stands in `correct` for a row to leave out; a class of this name is meant before that."""

_FORMULA = "=+-@\t\r＝＋－＠"
"""What a spreadsheet may take for the beginning of a formula."""

_ENCODING = "utf-8-sig"  # the byte-order mark tells Excel that it is UTF-8


@dataclass(frozen=True, slots=True)
class Doubt:
    """One line of the table, to be filled in.

    Attributes:
        split: whose source holds the row: "train", "validation" or "test".
        row: its number in this source, from 0.
        place: the same for people.
        text: of the row.
        text_pair: the second text of a pair, else empty.
        label: as given.
        suggested: what it may be instead.
        correct: what it is; empty until a person says so.
        mark: a hash of the texts.
    """

    split: str
    row: int
    place: str
    text: str
    text_pair: str
    label: str
    suggested: str
    correct: str
    mark: str


_COLUMNS = tuple(field.name for field in fields(Doubt))
_NEEDED = ("split", "row", "correct", "mark")


Change = Mapping[str, object] | None
"""The new values of a row's label columns; None to leave the row out."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What a person said of one row.

    Attributes:
        place: of the line that says it.
        split: whose source holds the row.
        row: its number there.
        mark: the hash of its texts.
        words: the right label, or `REMOVE`.
    """

    place: Place
    split: str
    row: int
    mark: str
    words: str


def mark_of(texts: Sequence[str]) -> str:
    """A hash of the texts of a row that no spreadsheet takes for a number."""
    content = "\x1f".join(texts).encode("utf-8", "surrogatepass")
    return "m" + hashlib.blake2b(content, digest_size=8).hexdigest()


def write_doubts(path: Path, doubts: Iterable[Doubt]) -> int:
    """Write the table; returns how many lines it has.

    Raises:
        ResourceError: the disk is full or cannot be written (C107).
    """
    count = 0
    with (
        commit.replace_file(path) as unfinished,
        unfinished.open("w", newline="", encoding=_ENCODING, errors="surrogatepass") as file,
    ):
        table = csv.writer(file)
        table.writerow(_COLUMNS)
        for doubt in doubts:
            table.writerow([_guarded(str(value)) for value in astuple(doubt)])
            count += 1
    return count


def _guarded(cell: str) -> str:
    """The cell with an apostrophe before what could be a formula; a number is none."""
    is_safe = not cell.startswith((*_FORMULA, "'")) or as_number(cell) is not None
    return cell if is_safe else f"'{cell}"


def _unguarded(cell: str) -> str:
    is_guarded = cell.startswith("'") and cell[1:].startswith((*_FORMULA, "'"))
    return cell[1:] if is_guarded else cell


def read_corrections(path: Path) -> list[Correction]:
    """The lines in which `correct` is filled in, and differs from the label.

    Raises:
        DataError: it cannot be read (D105), or it is no such table (R176).
    """
    found = []
    try:
        with path.open(newline="", encoding=_ENCODING, errors="surrogatepass") as file:
            table = csv.DictReader(file, delimiter=_delimiter(file.readline()))
            file.seek(0)
            missing = [name for name in _NEEDED if name not in (table.fieldnames or ())]
            if missing:
                raise DataError(_not_corrections(path, _("no column {names}").format(
                    names=quoted(missing))))  # fmt: skip
            line = table.line_num + 1
            for cells in table:
                if (correction := _as_correction(cells, Place(str(path), line))) is not None:
                    found.append(correction)
                line = table.line_num + 1
    except OSError as error:
        raise DataError(
            Problem(
                "D105",
                _("cannot read the file: {reason}").format(reason=error.strerror),
                Place(str(path)),
            )
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(_not_corrections(path, str(error))) from error
    return found


def _delimiter(header: str) -> str:
    """A comma, or what spreadsheets of other countries save instead."""
    return max(",;\t", key=header.count)


def _as_correction(cells: Mapping[str, str | None], place: Place) -> Correction | None:
    words = _unguarded((cells["correct"] or "").strip())
    if not words or words == _unguarded(cells.get("label") or ""):
        return None
    row = (cells["row"] or "").strip()
    if not row.isdecimal():
        raise DataError(_not_corrections(place, _('the row is "{text}"').format(text=row)))
    return Correction(place, cells["split"] or "", int(row), (cells["mark"] or "").strip(), words)


def _not_corrections(where: Path | Place, reason: str) -> Problem:
    return Problem(
        "R176",
        _("not a table of corrections: {reason}").format(reason=reason),
        where if isinstance(where, Place) else Place(str(where)),
        fix=_(
            "`tunesmith errors RUN --export FILE` writes one; save it as CSV (UTF-8) with all "
            "its columns."
        ),
    )


def correct(files: Sequence[str], task: Task, sources: Mapping[str, Source]) -> dict[str, Source]:
    """The sources, with what the files say of their rows; of two files the later one counts.

    Args:
        files: tables that `write_doubts` began.
        task: what is learnt; its columns hold the labels.
        sources: "train", and whichever of "validation" and "test" are sources of their own.

    Raises:
        DataError: a row or a label that does not exist (R177, R178), or a file (D105, R176).
        RecipeError: the task has no label of whole texts (R175).
    """
    if not files:
        return dict(sources)
    if not isinstance(task, SequenceTask):
        raise RecipeError(
            Problem(
                "R175",
                _("{task} has no label per text that could be corrected").format(task=task.name),
                Place("data.corrections"),
            )
        )
    known = _known_labels(task, sources["train"])
    changes: dict[str, dict[int, Change]] = {}
    notes: dict[str, list[str]] = {}
    problems: list[Problem] = []
    for name in files:
        by_split: dict[str, list[Correction]] = {}
        for correction in read_corrections(Path(name).expanduser()):
            by_split.setdefault(correction.split, []).append(correction)
        for split, corrections in by_split.items():
            if split not in sources:
                problems.append(_no_such_split(corrections[0], sources))
                continue
            found, wrong = _changes(corrections, sources[split], task, known)
            problems += wrong
            changes.setdefault(split, {}).update(found)
            notes.setdefault(split, []).append(f"{name}: {_in_words(found)}")
    if problems:
        raise DataError(problems)
    return {
        split: Corrected.of(source, changes[split], notes[split]) if split in changes else source
        for split, source in sources.items()
    }


def _known_labels(task: SequenceTask, train: Source) -> frozenset[str]:
    """The classes or labels that some training row bears."""
    return frozenset(
        name
        for chunk in train.chunks(task.roles.label_columns)
        for row in chunk
        for name in task.names_of(row)
    )


def _changes(
    corrections: Sequence[Correction], source: Source, task: SequenceTask, known: Collection[str]
) -> tuple[dict[int, Change], list[Problem]]:
    """What happens to each corrected row, and what is wrong with the corrections."""
    wanted = {correction.row for correction in corrections}
    rows = {
        row.index: row
        for chunk in source.chunks(task.roles.columns)
        for row in chunk
        if row.index in wanted
    }
    changes: dict[int, Change] = {}
    problems = []
    for correction in corrections:
        row = rows.get(correction.row)
        if row is None or mark_of(task.texts_of(row)) != correction.mark:
            problems.append(_another_row(correction, source))
            continue
        is_removed = correction.words == REMOVE and REMOVE not in known
        change = None if is_removed else task.as_columns(correction.words)
        if change is not None and (wrong := _wrong_label(correction, row, change, task, known)):
            problems.append(wrong)
        if changes.setdefault(row.index, change) != change:
            problems.append(_said_twice(correction))
    return changes, problems


def _wrong_label(
    correction: Correction,
    row: Row,
    change: Mapping[str, object],
    task: SequenceTask,
    known: Collection[str],
) -> Problem | None:
    unknown = [name for name in task.names_in(correction.words) if name not in known]
    finding = task.examine(Row(row.index, {**row.values, **change}))
    if not unknown and finding is None:
        return None
    message = _('no training row has the label "{label}"').format(label=(unknown or [""])[0])
    if not unknown and finding is not None:
        message = finding.message
    close = nearest(correction.words, [*known, REMOVE])
    fix = _("Write a label, `{remove}`, or nothing.").format(remove=REMOVE)
    if known:
        fix = _("Known classes: {names}.").format(names=quoted(sorted(known))) + "\n" + fix
    if close:
        fix = _('did you mean "{name}"?').format(name=close[0]) + "\n" + fix
    return Problem("R178", message, correction.place, fix=fix)


def _in_words(changes: Mapping[int, Change]) -> str:
    removed = sum(change is None for change in changes.values())
    changed = len(changes) - removed
    return ", ".join(
        (
            ngettext("{count} label changed", "{count} labels changed", changed).format(
                count=changed
            ),
            ngettext("{count} row left out", "{count} rows left out", removed).format(
                count=removed
            ),
        )
    )


def _another_row(correction: Correction, source: Source) -> Problem:
    return Problem(
        "R177",
        _("row {row} of {source} is not the one that was corrected").format(
            row=correction.row, source=source.name
        ),
        correction.place,
        fix=_("The data changed since the table was written; write it again from a newer run."),
    )


def _said_twice(correction: Correction) -> Problem:
    return Problem(
        "R177",
        _("row {row} is corrected twice, each time otherwise").format(row=correction.row),
        correction.place,
        fix=_("Leave one of both."),
    )


def _no_such_split(correction: Correction, sources: Mapping[str, Source]) -> Problem:
    return Problem(
        "R177",
        _('this recipe has no rows of their own for "{split}"').format(split=correction.split),
        correction.place,
        fix=_("Sources: {names}.").format(names=", ".join(sources)),
    )


@dataclass(frozen=True)
class Corrected:
    """A source with some labels changed and some rows left out; the others are numbered anew.

    Attributes:
        source: as it is.
        changes: for some of its rows the new values of the label columns.
        removed: the rows left out, in rising order.
        notes: those of the source, and what was corrected.
    """

    source: Source
    changes: Mapping[int, Mapping[str, object]]
    removed: tuple[int, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, source: Source, changes: Mapping[int, Change], notes: Sequence[str]) -> Corrected:
        """Apply changes, with a note for each file that they are from."""
        kept = {row: change for row, change in changes.items() if change is not None}
        removed = tuple(sorted(changes.keys() - kept.keys()))
        return cls(source, kept, removed, (*source.notes, *notes))

    @property
    def name(self) -> str:
        """That of the source."""
        return self.source.name

    @property
    def columns(self) -> tuple[Column, ...]:
        """Those of the source."""
        return self.source.columns

    @property
    def revision(self) -> str | None:
        """That of the source, if it came from the Hub."""
        return getattr(self.source, "revision", None)

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """The rows that are left, corrected."""
        for chunk in self.source.chunks(columns):
            yield [
                Row(row.index - bisect_left(self.removed, row.index), self._values(row, columns))
                for row in chunk
                if not self._is_removed(row.index)
            ]

    def places(self, indices: Collection[int]) -> dict[int, Place]:
        """Where the rows stand in the source."""
        originals = {self.original(index): index for index in indices}
        places = self.source.places(originals)
        return {originals[original]: place for original, place in places.items()}

    def original(self, index: int) -> int:
        """The number in the source of a row that is left."""
        shifted = [row - before for before, row in enumerate(self.removed)]
        return index + bisect_right(shifted, index)

    def _is_removed(self, index: int) -> bool:
        at = bisect_left(self.removed, index)
        return at < len(self.removed) and self.removed[at] == index

    def _values(self, row: Row, columns: Collection[str] | None) -> Mapping[str, object]:
        change = self.changes.get(row.index)
        if change is None:
            return row.values
        wanted = change if columns is None else {k: v for k, v in change.items() if k in columns}
        return {**row.values, **wanted}


def original_row(source: Source, index: int) -> int:
    """The number that a row of a source has in the data itself."""
    return source.original(index) if isinstance(source, Corrected) else index
