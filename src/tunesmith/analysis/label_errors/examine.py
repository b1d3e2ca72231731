"""Error analysis of a finished run: answers to the rows of its splits, and a table of issues."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from tunesmith.analysis.label_errors.held_out import HeldOut, by_folds, by_the_model
from tunesmith.analysis.label_errors.ranking import (
    Confusion,
    RowError,
    Slice,
    confused,
    slices,
    suspect,
    worst,
)
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
from tunesmith.inputs import Split, resolve_inputs, validate_inputs
from tunesmith.inputs.corrections_table import LabelIssue, mark_of, write_issues
from tunesmith.metrics.output_kinds import OutputKind
from tunesmith.recipe import gather
from tunesmith.runs.folder import RunFolder, refuse_unfinished
from tunesmith.runs.plan_file import learned_from
from tunesmith.tasks import task_from_json

__all__ = ["SPLITS", "TOO_MANY", "ErrorAnalysis", "examine"]

SPLITS = ("validation", "test", "train")
"""In the order of the analysis: first the rows that the model has not learned."""

TOO_MANY = 0.1
"""The fraction of labels that look wrong above which the answers are to blame."""


@dataclass(frozen=True)
class ErrorAnalysis:
    """A run, and the answers to its labeled rows.

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
        """The rows that the model is judged by: those of the first split."""
        return next(iter(self.answered.values()))

    @property
    def kind(self) -> OutputKind:
        """What an answer is."""
        return self.held_out.kind

    @property
    def finds_label_errors(self) -> bool:
        """Whether answers of this kind show which labels are probably wrong."""
        return self.kind.suspects(self.held_out.answers) is not None

    def worst(self, top: int | None = None) -> list[RowError]:
        """The held-out rows with the highest loss."""
        return worst(self.held_out, top)

    def confused(self, top: int | None = None) -> list[Confusion]:
        """Which labels of held-out rows are confused, the most frequent first."""
        return confused(self.held_out, top)

    def slices(self) -> list[Slice]:
        """The score of held-out rows by class, length, language and file, the worst first."""
        return slices(self.held_out)

    def suspect(self, top: int | None = None) -> list[RowError]:
        """The rows whose labels are probably wrong, the most suspect first.

        Splits with answers that are too weak are left out, if there is another.
        """
        strong = {name: rows for name, rows in self._suspects.items() if name not in self._weak}
        suspects = [row for rows in (strong or self._suspects).values() for row in rows]
        return sorted(suspects, key=lambda row: row.margin or 0.0)[:top]

    def weak_answers(self) -> list[Problem]:
        """Return a warning for each split in which too many labels look wrong."""
        return [
            Problem(
                "D406",
                _(
                    "{count} of {rows} labels differ from the answers: the model is too weak to "
                    "show which labels are wrong"
                ).format(count=len(self._suspects[name]), rows=len(self.answered[name].rows)),
                Place(name),
                fix=_("Check at most the first rows of --suspect --split {split}.").format(
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

    def export(self, errors: Iterable[RowError], path: Path) -> int:
        """Write a table of label issues for the user to fill in; return the number of rows.

        Raises:
            IntegrityError: the data of the run is not available (C131).
            ResourceError: the disk is full or cannot be written (C107).
        """
        if not self._data:
            raise IntegrityError([replace(w, severity=Severity.ERROR) for w in self.warnings])
        errors = list(errors)
        originals = {
            name: original_rows(split.source, {row.row for row in errors if row.split == name})
            for name, split in self._data.items()
        }
        return write_issues(path, [self._issue(row, originals[row.split]) for row in errors])

    def _issue(self, row: RowError, originals: Mapping[int, int]) -> LabelIssue:
        is_drawn = self._data[row.split].source is self._data["train"].source
        texts = (*row.texts, "")[:2]
        return LabelIssue(
            "train" if is_drawn else row.split,
            originals[row.row],
            str(row.place),
            texts[0],
            texts[1],
            row.cells["label"],
            row.cells["suggested"],
            "",
            mark_of(row.texts),
        )


def examine(run: RunFolder, split: str | None = None) -> ErrorAnalysis:
    """Return answers to the labeled rows of a finished run.

    Args:
        run: the run.
        split: one of `SPLITS`; None for all.

    Raises:
        RecipeError: the run is not finished (C114), its task has no label per text (R175), or no
            such split has labels (R179).
        IntegrityError: its training rows are requested and not available (C131), or its
            predictions cannot be read (C132).
    """
    refuse_unfinished(run)
    task = task_from_json(run.facts()["task"])
    if not task.needs_label:
        raise RecipeError.of(
            "R175",
            _("{task} has no label per text that could be wrong").format(task=task.name),
            Place(str(run.path)),
            fix=_("Name a run of a task with labels."),
        )
    data, warnings = _data_of(run)
    if warnings and split == "train":
        raise IntegrityError([replace(w, severity=Severity.ERROR) for w in warnings])
    answered = {}
    for name in SPLITS if split is None else (split,):
        if name == "train":
            held_out = by_folds(task, data[name]) if name in data else None
        else:
            source = data[name].source if name in data else None
            held_out = by_the_model(run, task, name, source)
        if held_out is not None:
            answered[name] = held_out
    if not answered:
        raise RecipeError.of(
            "R179",
            _(
                "no labeled rows of {split} have answers of a model that has not learned them"
            ).format(split=split or ", ".join(SPLITS)),
            Place(str(run.path)),
            fix=_("Name another split with --split: {names}.").format(
                names=", ".join(name for name in SPLITS if name != split)
            ),
        )
    return ErrorAnalysis(run, answered, warnings, data)


def _data_of(run: RunFolder) -> tuple[Mapping[str, Split], list[Problem]]:
    """Return the rows that the run was trained on, none with a warning if not available."""
    try:
        checked = validate_inputs(resolve_inputs(gather(file=run.recipe, environment={})))
    except (DataError, RecipeError, ResourceError) as error:
        return {}, [_unavailable(run, str(error.problems[0]))]
    before = learned_from(run)
    changed = [name for name, split in checked.splits.items() if before.get(name) != split.digest]
    if changed:
        reason = _("{splits} changed since the run began").format(splits=", ".join(changed))
        return {}, [_unavailable(run, reason)]
    return checked.splits, []


def _unavailable(run: RunFolder, reason: str) -> Problem:
    return Problem(
        "C131",
        _("the data of the run is not available; training rows and places are left out"),
        Place(str(run.path)),
        evidence=(reason,),
        fix=_("Start from the folder where the run was started, with the data unchanged."),
        severity=Severity.WARNING,
    )
