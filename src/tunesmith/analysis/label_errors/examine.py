"""A finished run examined: the answers for the rows of its splits, and a table of doubts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from tunesmith.analysis.label_errors.held_out import HeldOut, by_folds, by_the_model
from tunesmith.analysis.label_errors.ranking import (
    Confusion,
    RowError,
    confused,
    slices,
    suspect,
    worst,
)
from tunesmith.analysis.label_errors.slices import Slice
from tunesmith.data.wrapped import original_rows
from tunesmith.errors import (
    DataError,
    IntegrityError,
    Place,
    Problem,
    RecipeError,
    ResourceError,
    Severity,
)
from tunesmith.i18n import gettext as _
from tunesmith.inputs import Split, check, look
from tunesmith.inputs.corrections_table import LabelIssue, mark_of, write_doubts
from tunesmith.metrics.output_kinds import OutputKind
from tunesmith.recipe import gather
from tunesmith.runs.folder import RunFolder, refuse_unfinished
from tunesmith.runs.plan_file import learned_from
from tunesmith.tasks import task_from_json

__all__ = ["SPLITS", "TOO_MANY", "ErrorAnalysis", "examine"]

SPLITS = ("validation", "test", "train")
"""In the order in which they are looked at: first the rows that the model has not learnt."""

TOO_MANY = 0.1
"""The share of labels that look wrong above which it is rather the answers that are."""


@dataclass(frozen=True)
class ErrorAnalysis:
    """A run, and the answers for its labelled rows.

    Attributes:
        run: the run.
        answered: by split, in the order of `SPLITS`.
        warnings: why some rows or places are missing.
    """

    run: RunFolder
    answered: Mapping[str, HeldOut]
    warnings: Sequence[Problem]
    _data: Mapping[str, Split]

    @property
    def held_out(self) -> HeldOut:
        """The rows by which the model is judged: the first split that there is."""
        return next(iter(self.answered.values()))

    @property
    def kind(self) -> OutputKind:
        """What an answer is."""
        return self.held_out.kind

    def worst(self, top: int | None = None) -> list[RowError]:
        """The held-out rows with the highest loss."""
        return worst(self.held_out, top)

    def confused(self, top: int | None = None) -> list[Confusion]:
        """Which labels of held-out rows are taken for which, the most frequent first."""
        return confused(self.held_out, top)

    def slices(self) -> list[Slice]:
        """The score of held-out rows by class, length, language and file, the worst first."""
        return slices(self.held_out)

    def suspect(self, top: int | None = None) -> list[RowError]:
        """The rows whose labels are probably wrong, the most suspect first.

        Splits whose answers are too weak to tell are left out, if there is another.
        """
        known = {name: rows for name, rows in self._suspects.items() if name not in self._weak}
        found = [row for rows in (known or self._suspects).values() for row in rows]
        return sorted(found, key=lambda row: row.margin or 0.0)[:top]

    def weak_answers(self) -> list[Problem]:
        """A warning for each split in which too many labels look wrong to be wrong."""
        return [
            Problem(
                "D406",
                _(
                    "{count} of {rows} labels differ from the answers: these are too weak to tell "
                    "which are wrong"
                ).format(count=len(self._suspects[name]), rows=len(self.answered[name].rows)),
                Place(name),
                fix=_("At most the first rows of --suspect --split {split} deserve a look.").format(
                    split=name
                ),
                severity=Severity.WARNING,
            )
            for name in self._weak
        ]

    @cached_property
    def _suspects(self) -> Mapping[str, list[RowError]]:
        return {name: suspect(answered) for name, answered in self.answered.items()}

    @property
    def _weak(self) -> list[str]:
        return [
            name
            for name, rows in self._suspects.items()
            if len(rows) > TOO_MANY * len(self.answered[name].rows)
        ]

    def export(self, judged: Iterable[RowError], path: Path) -> int:
        """Write a table of doubtful rows for a person to fill in; returns how many these are.

        Raises:
            IntegrityError: the data of the run is not at hand (C131).
            ResourceError: the disk is full or cannot be written (C107).
        """
        if not self._data:
            raise IntegrityError([replace(w, severity=Severity.ERROR) for w in self.warnings])
        return write_doubts(path, self._doubts(list(judged)))

    def _doubts(self, judged: Sequence[RowError]) -> list[LabelIssue]:
        originals = {
            split: original_rows(found.source, {one.row for one in judged if one.split == split})
            for split, found in self._data.items()
        }
        return [self._doubt(one, originals[one.split]) for one in judged]

    def _doubt(self, judged: RowError, originals: Mapping[int, int]) -> LabelIssue:
        is_drawn = self._data[judged.split].source is self._data["train"].source
        texts = (*judged.texts, "")[:2]
        return LabelIssue(
            "train" if is_drawn else judged.split,
            originals[judged.row],
            str(judged.place),
            texts[0],
            texts[1],
            judged.gold,
            judged.suggested or judged.predicted,
            "",
            mark_of(judged.texts),
        )


def examine(run: RunFolder, split: str | None = None) -> ErrorAnalysis:
    """Find answers for the labelled rows of a finished run.

    Args:
        run: the run.
        split: one of `SPLITS`; None for all that there are.

    Raises:
        RecipeError: the run is not finished (C114), its task has no label per text (R175), or no
            such split has labels (R179).
        IntegrityError: its training rows are asked for and not at hand (C131), or its predictions
            cannot be read (C132).
    """
    refuse_unfinished(run)
    task = task_from_json(run.facts()["task"])
    if not task.needs_label:
        raise RecipeError(
            Problem(
                "R175",
                _("{task} has no label per text that could be wrong").format(task=task.name),
                Place(str(run.path)),
            )
        )
    data, warnings = _data_of(run)
    wanted = SPLITS if split is None else (split,)
    if warnings and split == "train":
        raise IntegrityError([replace(w, severity=Severity.ERROR) for w in warnings])
    answered = {}
    for name in wanted:
        if name == "train":
            found = by_folds(task, data[name]) if name in data else None
        else:
            found = by_the_model(run, task, name, data[name].source if name in data else None)
        if found is not None:
            answered[name] = found
    if not answered:
        raise RecipeError(_no_labels(run, split))
    return ErrorAnalysis(run, answered, warnings, data)


def _no_labels(run: RunFolder, split: str | None) -> Problem:
    return Problem(
        "R179",
        _("the run has no labelled rows in {split}").format(split=split or ", ".join(SPLITS)),
        Place(str(run.path)),
        fix=_("Name another split with --split: {names}.").format(names=", ".join(SPLITS)),
    )


def _data_of(run: RunFolder) -> tuple[Mapping[str, Split], list[Problem]]:
    """The rows that the run was trained on, none with a warning if they are not at hand."""
    try:
        checked = check(look(gather(file=run.recipe, environment={})))
    except (DataError, RecipeError, ResourceError) as error:
        return {}, [_not_at_hand(run, str(error.problems[0]))]
    before = learned_from(run)
    changed = [name for name, split in checked.splits.items() if before.get(name) != split.digest]
    if changed:
        reason = _("{splits} changed since the run began").format(splits=", ".join(changed))
        return {}, [_not_at_hand(run, reason)]
    return checked.splits, []


def _not_at_hand(run: RunFolder, reason: str) -> Problem:
    return Problem(
        "C131",
        _("the data of the run is not at hand; training rows and places are left out"),
        Place(str(run.path)),
        evidence=(reason,),
        fix=_("Call it from the folder where the run was started, with the data as it was."),
        severity=Severity.WARNING,
    )
