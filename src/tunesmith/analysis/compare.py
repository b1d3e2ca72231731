"""Two finished runs on the same rows: score by score, and row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.rows import Row
from tunesmith.errors import Place, RecipeError, Severity
from tunesmith.i18n import gettext as _
from tunesmith.metrics.differences import Difference, difference, mcnemar
from tunesmith.metrics.output_kinds import OutputKind, RowAnswers
from tunesmith.metrics.scores import Answers, choose_metrics
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.predictions import read_predictions
from tunesmith.storage import notices
from tunesmith.tasks import Task, task_from_json
from tunesmith.text import quoted, shortened

__all__ = ["Changes", "Comparison", "compare_runs"]


@dataclass(frozen=True, slots=True)
class Changes:
    """Rows that one model has right and the other wrong, by their number in the source.

    Attributes:
        fixed: right only by the second.
        broken: right only by the first.
        p_value: of McNemar's exact test.
    """

    fixed: Sequence[int]
    broken: Sequence[int]
    p_value: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs on one split.

    Attributes:
        rows: how many.
        scores: by name.
        changes: None for numbers, which are never simply right.
    """

    rows: int
    scores: Mapping[str, Difference]
    changes: Changes | None

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def compare_runs(first: RunFolder, second: RunFolder) -> dict[str, Comparison]:
    """Compare two runs on the splits that both scored, from their predictions.

    Empty where a run is not finished, or its task has no labels. A split of which the runs scored
    other rows, such as random validation rows after labels were corrected, is left out with a note.

    Raises:
        RecipeError: they learned other tasks or classes (R161), were scored on other rows in every
            split (R160), or have no predictions (R162).
        IntegrityError: predictions cannot be read (C132).
    """
    facts = [run.facts() for run in (first, second)]
    if not all(facts):
        return {}
    one, two = (task_from_json(each["task"]) for each in facts)
    if any(task.encode_answers(()) is None for task in (one, two)):
        return {}
    _refuse_other_labels(one, two, first, second)
    names = [name for name in facts[0]["metrics"] if name in facts[1]["metrics"]]
    metrics = choose_metrics(names, one.metrics, one.name)
    comparisons, refusals = {}, []
    for split in (name for name in facts[0]["scores"] if name in facts[1]["scores"]):
        tables = [
            _Scored.read(run, split, task, like=one) for run, task in ((first, one), (second, two))
        ]
        try:
            _refuse_other_rows(*tables)
        except RecipeError as error:
            refusals.append(error)
            continue
        answers = [replace(table.answers, metrics=metrics) for table in tables]
        comparisons[split] = Comparison(
            len(tables[0].rows), difference(*answers), _changes(one.output, *tables)
        )
    if refusals and not comparisons:
        raise refusals[0]
    for problem in (problem for refusal in refusals for problem in refusal.problems):
        notices.show_now(replace(problem, severity=Severity.NOTE))
    return comparisons


def _refuse_other_labels(one: Task, two: Task, first: RunFolder, second: RunFolder) -> None:
    """Raise unless both runs learned the same task with the same classes (R161)."""
    if type(one) is not type(two):
        message = _("{first} learned {one}, {second} learned {two}").format(
            first=first.name, second=second.name, one=one.name, two=two.name
        )
        raise RecipeError.of("R161", message, fix=_("Compare runs of one task."))
    if different := set(one.output.labels) ^ set(two.output.labels):
        raise RecipeError.of(
            "R161",
            _("the runs learned different classes: only one of them knows {names}").format(
                names=quoted(sorted(different))
            ),
            fix=_("Compare runs with the same classes."),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """A predictions file with its answers as numbers.

    Attributes:
        place: of the file.
        rows: numbers in the source.
        texts: of each row.
        labels: of each row.
        answers: without metrics.
    """

    place: str
    rows: NDArray[np.int64]
    texts: Sequence[tuple[object, ...]]
    labels: NDArray[Any]
    answers: Answers

    @classmethod
    def read(cls, run: RunFolder, split: str, task: Task, *, like: Task) -> _Scored:
        """The predictions of a run, with labels in the order of the task `like`."""
        place = str(run.predictions / f"{split}.parquet")
        records = read_predictions(run, split, task.roles.columns)
        if not records:
            raise RecipeError.of(
                "R162",
                _("there are no predictions to compare"),
                Place(place),
                fix=_("Compare other runs, or train it again with --restart."),
            )
        rows = [Row(record.row, record.values) for record in records]
        truth = like.output.aligned(task.targets(rows), task.output)
        predictions = like.encode_answers([record.answer for record in records])
        assert predictions is not None  # noqa: S101 - tasks without are not compared
        answers = like.score((), predictions, truth, None).answers
        assert answers is not None  # noqa: S101 - `compute` gives them
        texts = [task.texts_of(row) for row in rows]
        numbers = np.array([row.index for row in rows], dtype=np.int64)
        return cls(place, numbers, texts, _labels(truth, answers), answers)


def _labels(truth: NDArray[Any], answers: Answers) -> NDArray[Any]:
    """Return the labels of rows as they were scored, or as they are where groups were scored."""
    return answers.truth if answers.groups is None else truth


def _refuse_other_rows(one: _Scored, two: _Scored) -> None:
    """Raise unless both hold the same rows with the same labels in the same order (R160)."""
    fix = _("Runs are compared on the same rows: give both the same validation or test data.")
    if len(one.rows) != len(two.rows):
        message = _("scored on other rows: {one} here, {two} in {other}").format(
            one=len(one.rows), two=len(two.rows), other=two.place
        )
        raise RecipeError.of("R160", message, Place(one.place), fix=fix)
    labels = [each.labels.reshape(len(each.rows), -1) for each in (one, two)]
    for i, (row, text) in enumerate(zip(one.rows.tolist(), one.texts, strict=True)):
        same = row == two.rows[i] and text == two.texts[i]
        if same and (labels[0][i] == labels[1][i]).all():
            continue
        other = two.texts[i]
        message = (
            _('row {row} has another label in {other}: "{text}"')
            if same
            else _('scored on other rows: row {row} is "{text}" here, "{theirs}" in {other}')
        ).format(
            row=row, other=two.place, text=shortened(" | ".join(map(str, text))),
            theirs=shortened(" | ".join(map(str, other))),
        )  # fmt: skip
        raise RecipeError.of("R160", message, Place(one.place), fix=fix)


def _changes(kind: OutputKind, first: _Scored, second: _Scored) -> Changes | None:
    was, now = (
        kind.is_right(RowAnswers(table.answers.truth, table.answers.predicted))
        for table in (first, second)
    )
    if was is None or now is None:
        return None
    fixed, broken = first.rows[now & ~was].tolist(), first.rows[was & ~now].tolist()
    return Changes(fixed, broken, mcnemar(len(fixed), len(broken)))
