"""Corrections of labels. The data itself is never changed.

`data.corrections` names tables of label issues that were filled in. They are applied to the rows as
they are read, so labels, splits, hashes and caches follow from the corrected rows.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tunesmith.data.rows import Row, Source
from tunesmith.data.wrapped import WrappedSource
from tunesmith.errors import DataError, Place, Problem, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext
from tunesmith.inputs.corrections_table import REMOVE, Correction, mark_of, read_corrections
from tunesmith.tasks import Task
from tunesmith.text import nearest, quoted

__all__ = ["Corrected", "correct"]

Change = Mapping[str, object] | None
"""The new values of a row's label columns; None to leave the row out."""


def correct(files: Sequence[str], task: Task, sources: Mapping[str, Source]) -> dict[str, Source]:
    """Return the sources with the corrections of files; of two files the later one counts.

    Args:
        files: tables that `write_issues` began.
        task: its columns hold the labels.
        sources: "train", and those of "validation" and "test" that are separate sources.

    Raises:
        DataError: a row or a label that does not exist (R177, R178), or a file (D105, R176).
        RecipeError: the task has no label of whole texts (R175).
    """
    if not files:
        return dict(sources)
    if not task.needs_label:
        raise RecipeError.of(
            "R175",
            _("{task} has no label per text that could be corrected").format(task=task.name),
            Place("data.corrections"),
            fix=_("Remove data.corrections."),
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
                message = _('this recipe has no separate rows for "{split}"').format(split=split)
                fix = _("Sources: {names}.").format(names=", ".join(sources))
                problems.append(_refusal(corrections[0], message, fix))
                continue
            new, wrong = _changes(corrections, sources[split], task, known)
            problems += wrong
            changes.setdefault(split, {}).update(new)
            notes.setdefault(split, []).append(f"{name}: {_describe(new)}")
    if problems:
        raise DataError(problems)
    return {
        split: Corrected.of(source, changes[split], notes[split]) if split in changes else source
        for split, source in sources.items()
    }


def _known_labels(task: Task, train: Source) -> frozenset[str]:
    """Return the labels of the training rows."""
    return frozenset(
        name
        for chunk in train.chunks(task.roles.label_columns)
        for row in chunk
        for name in task.labels_of(row)
    )


def _changes(
    corrections: Sequence[Correction], source: Source, task: Task, known: Collection[str]
) -> tuple[dict[int, Change], list[Problem]]:
    """Return the change of each corrected row, and what is wrong with the corrections."""
    numbers = {correction.row for correction in corrections}
    rows = {
        row.index: row
        for chunk in source.chunks(task.roles.columns)
        for row in chunk
        if row.index in numbers
    }
    changes: dict[int, Change] = {}
    problems = []
    for correction in corrections:
        row = rows.get(correction.row)
        if row is None or mark_of(task.texts_of(row)) != correction.mark:
            message = _("row {row} of {source} is not the one that was corrected").format(
                row=correction.row, source=source.name
            )
            fix = _(
                "The data changed since the table was written; write it again from a newer run."
            )
            problems.append(_refusal(correction, message, fix))
            continue
        is_removed = correction.label == REMOVE and REMOVE not in known
        try:
            change = None if is_removed else task.corrected(row, correction.label)
        except RecipeError as error:
            problems += [replace(problem, place=correction.place) for problem in error.problems]
            continue
        if change is not None and (wrong := _wrong_label(correction, row, change, task, known)):
            problems.append(wrong)
        if changes.setdefault(row.index, change) != change:
            message = _("row {row} has two corrections that differ").format(row=correction.row)
            problems.append(_refusal(correction, message, _("Remove one of them.")))
    return changes, problems


def _wrong_label(
    correction: Correction,
    row: Row,
    change: Mapping[str, object],
    task: Task,
    known: Collection[str],
) -> Problem | None:
    names = task.parse_label(correction.label) if known else ()  # numbers have no names
    unknown = [name for name in names if name not in known]
    finding = task.validate_row(Row(row.index, {**row.values, **change}))
    if not unknown and finding is None:
        return None
    message = _('no training row has the label "{label}"').format(label=(unknown or [""])[0])
    if not unknown and finding is not None:
        message = finding.message
    close = nearest(correction.label, [*known, REMOVE])
    fix = _("Write a label, `{remove}`, or nothing.").format(remove=REMOVE)
    if known:
        fix = _("Known classes: {names}.").format(names=quoted(sorted(known))) + "\n" + fix
    if close:
        fix = _('did you mean "{name}"?').format(name=close[0]) + "\n" + fix
    return Problem("R178", message, correction.place, fix=fix)


def _describe(changes: Mapping[int, Change]) -> str:
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


def _refusal(correction: Correction, message: str, fix: str) -> Problem:
    return Problem("R177", message, correction.place, fix=fix)


@dataclass(frozen=True)
class Corrected(WrappedSource):
    """A source with some labels changed and some rows left out; the others are renumbered.

    Attributes:
        changes: for some of its rows the new values of the label columns.
        removed: the rows left out, in rising order.
    """

    changes: Mapping[int, Mapping[str, object]]
    removed: tuple[int, ...]

    @classmethod
    def of(cls, source: Source, changes: Mapping[int, Change], notes: Sequence[str]) -> Corrected:
        """Apply changes, with a note for each file that they are from."""
        changed = {row: change for row, change in changes.items() if change is not None}
        removed = tuple(sorted(changes.keys() - changed.keys()))
        return cls(source, changed, removed, own_notes=tuple(notes))

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """The rows that are left, corrected."""
        for chunk in self.source.chunks(columns):
            yield [
                Row(row.index - bisect_left(self.removed, row.index), self._values(row, columns))
                for row in chunk
                if not self._is_removed(row.index)
            ]

    def originals(self, indices: Collection[int]) -> Mapping[int, int]:
        """The numbers in the source of some rows that are left."""
        shifted = [row - before for before, row in enumerate(self.removed)]
        return {index: index + bisect_right(shifted, index) for index in indices}

    def _is_removed(self, index: int) -> bool:
        at = bisect_left(self.removed, index)
        return at < len(self.removed) and self.removed[at] == index

    def _values(self, row: Row, columns: Collection[str] | None) -> Mapping[str, object]:
        change = self.changes.get(row.index)
        if change is None:
            return row.values
        if columns is not None:
            change = {name: value for name, value in change.items() if name in columns}
        return {**row.values, **change}
