"""What the page says: each function takes a part of the run and gives a section, or None."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.analysis.label_errors import RowError, Slice
from tunesmith.analysis.label_errors.held_out import HeldOut
from tunesmith.analysis.report.charts import (
    Line,
    confusion_chart,
    line_chart,
    reliability_chart,
    scatter_chart,
)
from tunesmith.analysis.report.page import Cell, Chart, Charts, Code, Listed, Section, Table, Words
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.i18n import split_name
from tunesmith.metrics.counts import ClassReport, class_reports
from tunesmith.metrics.temperature import calibration_error, reliability
from tunesmith.text import shell_quoted

__all__ = ["answers", "curves", "data", "mistakes", "origin", "scores", "slices", "suspects"]

_MOST_CLASSES = 16
_MOST_POINTS = 2000
_SHOWN_TEXT = 400
_BASELINES = {"constant": N_("always the same"), "tfidf": N_("TF-IDF")}


def scores(facts: Mapping[str, Any], splits: Sequence[str]) -> Section | None:
    """Every score of every split with its interval, beside what simple means score."""
    rows = []
    for split in splits:
        intervals = facts.get("intervals", {}).get(split, {})
        simple = facts.get("baselines", {}).get(split, {})
        for name, value in facts.get("scores", {}).get(split, {}).items():
            others = [_number(simple.get(key, {}).get(name)) for key in _BASELINES]
            rows.append(
                [Cell(split), Cell(name), _number(value), _ends(intervals.get(name)), *others]
            )
    if not rows:
        return None
    head = [_("split"), _("score"), _("value"), "95%", *map(_, _BASELINES.values())]
    words = Words(
        _(
            "95%: where the score on all rows of the same kind may be, if these rows are "
            "independent of each other. Training again with another seed adds to that."
        )
    )
    return Section(_("Scores"), [Table(head, rows), words])


def curves(
    events: Sequence[Mapping[str, Any]], facts: Mapping[str, Any], reading: Sequence[str]
) -> Section | None:
    """Losses over steps, the score that chose, and what they show."""
    steps = [e for e in events if e["event"] == "step" and e.get("loss") is not None]
    scored = [e for e in events if e["event"] == "evaluated"]
    train = Line(_("training loss"), "first", [(e["step"], e["loss"]) for e in steps])
    lines = [train, _scores_line(scored, "loss", _("validation loss"))]
    lines = [line for line in lines if line.points]
    if not lines:
        return None
    mark_at = facts.get("best_step") if scored else None
    chart = line_chart(lines, x_name=_("steps"), y_name=_("loss"), mark=mark_at)
    charts = [Chart(chart, _("The broken line marks the step that was kept.") if mark_at else "")]
    best = facts.get("best")
    if best and best != "loss":
        line = _scores_line(scored, best, best)
        if line.points:
            charts.append(Chart(line_chart([line], x_name=_("steps"), y_name=best, mark=mark_at)))
    words = [Listed(list(reading))] if reading else []
    return Section(_("Curves"), [*words, Charts(charts)])


def _scores_line(events: Sequence[Mapping[str, Any]], score: str, name: str) -> Line:
    points = [(e["step"], e["scores"][score]) for e in events if e["scores"].get(score) is not None]
    return Line(name, "second", points, dots=True)


def answers(answered: HeldOut) -> Section:
    """Where the model is right and where it is wrong."""
    about = Words(
        _("On the {rows} rows of {split}.").format(
            rows=f"{len(answered.rows):,}", split=split_name(answered.split)
        )
    )
    kind, rows = answered.kind, answered.answers
    if kind.column_type == "number":
        points = list(zip(rows.truth.tolist(), rows.predicted.tolist(), strict=True))
        chart = scatter_chart(points[:_MOST_POINTS], x_name=_("label"), y_name=_("predicted"))
        return Section(_("Answers"), [about, Charts([Chart(chart)])])
    labels = kind.label_kind
    if labels is None:
        return Section(_("Answers"), [about])
    parts: list[Any] = [about]
    counts = kind.confusion_matrix(rows)
    if counts is not None and len(labels.names) <= _MOST_CLASSES:
        chart = confusion_chart(
            counts.tolist(), labels.names, gold=_("label"), predicted=_("predicted")
        )
        parts.append(Charts([Chart(chart)]))
    truth, predicted = labels.indicators(rows.truth), labels.indicators(rows.predicted)
    table = _per_class(class_reports(labels.names, truth, predicted), counts)
    curve = _reliability(*labels.reliability_points(rows.probabilities, rows.truth))
    return Section(_("Answers"), [*parts, table, Charts([curve])])


def _per_class(reports: Mapping[str, ClassReport], counts: NDArray[np.int64] | None) -> Table:
    """Precision and recall of each class, and which other one it is most often taken for."""
    head = [_("class"), _("rows"), _("precision"), _("recall"), "F1"]
    rows = [
        [
            Cell(name),
            Cell(f"{one.rows:,}", "number"),
            *map(_number, (one.precision, one.recall, one.f1)),
        ]
        for name, one in reports.items()
    ]
    if counts is None:
        return Table(head, rows)
    names, others = list(reports), counts.copy()
    np.fill_diagonal(others, 0)
    for row, most, count in zip(rows, others.argmax(axis=1), others.max(axis=1), strict=True):
        row.append(Cell(f"{names[most]} ({count})" if count else "-"))
    return Table([*head, _("mostly taken for")], rows)


def _reliability(confidence: NDArray[np.float64], right: NDArray[Any]) -> Chart:
    bins = reliability(confidence, right)
    chart = reliability_chart(
        [(point.confidence, point.share, point.count) for point in bins],
        x_name=_("how sure the model is"),
        y_name=_("share right"),
    )
    return Chart(
        chart,
        _(
            "Below the broken line the model is surer than it is right; large dots are many "
            "answers. Calibration error {ece:.3f}."
        ).format(ece=calibration_error(bins)),
    )


def slices(found: Sequence[Slice], *, are_numbers: bool) -> Section | None:
    """The score of parts of the rows."""
    if not found:
        return None
    rows = [
        [*map(Cell, one.in_words()), Cell(f"{one.rows:,}", "number"), _number(one.score)]
        for one in found
    ]
    last = _("mean error") if are_numbers else _("share right")
    return Section(_("Parts of the rows"), [Table([_("by"), _("part"), _("rows"), last], rows)])


def mistakes(worst: Sequence[RowError], split: str) -> Section | None:
    """The rows it is most wrong about."""
    wrong = [row for row in worst if row.gold != row.predicted]
    if not wrong:
        return None
    words = _("Rows of {split} with the largest loss, the worst first.").format(
        split=split_name(split)
    )
    rows = [[*_row(one), Cell(one.predicted), _share_or_loss(one)] for one in wrong]
    last = _("loss") if wrong[0].share is None else _("chance of the label")
    head = [_("row"), _("text"), _("label"), _("predicted"), last]
    return Section(_("Mistakes"), [Words(words), Table(head, rows)])


def suspects(found: Sequence[RowError], run: str) -> Section | None:
    """The rows whose labels are probably wrong."""
    if not found:
        return None
    words = _(
        "Rows whose label is probably wrong: the model is sure of another one. Look before you "
        "believe it."
    )
    rows = [[*_row(one), Cell(one.suggested or "")] for one in found]
    table = Table([_("row"), _("text"), _("label"), _("rather")], rows)
    more: list[Any] = [
        Words(_("Training rows are judged, too, by:")),
        Code(f"tunesmith errors {shell_quoted(run)}"),
    ]
    return Section(_("Doubtful labels"), [Words(words), table, *more])


def _row(one: RowError) -> list[Cell]:
    shown = one.text if len(one.text) <= _SHOWN_TEXT else one.text[:_SHOWN_TEXT] + " …"
    return [Cell(str(one.row), "number"), Cell(shown, "long"), Cell(one.gold)]


def _share_or_loss(one: RowError) -> Cell:
    return _number(one.loss) if one.share is None else Cell(f"{one.share:.1%}", "number")


def data(plan: Mapping[str, Any], warnings: Sequence[str]) -> Section:
    """How many rows there were, and what was odd about them."""
    rows = [
        [
            Cell(name),
            Cell(str(split["source"])),
            Cell(f"{split['examples']:,}", "number"),
            Cell(f"{split['tokens'] / max(1, split['examples']):.0f}", "number"),
        ]
        for name, split in plan.get("data", {}).items()
    ]
    head = [_("split"), _("source"), _("rows"), _("tokens per row")]
    found = [Listed(list(warnings))] if warnings else []
    return Section(_("Data"), [Table(head, rows), *found])


def origin(plan: Mapping[str, Any], recipe: str, versions: Mapping[str, str]) -> Section:
    """How to make it again, and what its numbers depend on."""
    fingerprint = plan.get("fingerprint", {})
    went_in = {
        **fingerprint.get("data", {}),
        _("tokenizer"): fingerprint.get("tokenizer", "-"),
        _("model"): fingerprint.get("model", {}).get("config", "-"),
    }
    machine = [f"{name}: {value}" for name, value in fingerprint.get("machine", {}).items()]
    return Section(
        _("How to make it again"),
        [
            Words(_("Save this recipe as recipe.yaml and run:")),
            Code("tunesmith train recipe.yaml"),
            Code(recipe.rstrip()),
            Words(_("Hashes of what went in")),
            Code("\n".join(f"{name}  {value}" for name, value in went_in.items())),
            Words(
                _("Versions: {versions}.").format(
                    versions=", ".join(f"{name} {value}" for name, value in versions.items())
                )
            ),
            Words(_("Computed with {machine}.").format(machine=", ".join(machine))),
        ],
    )


def _number(value: Any) -> Cell:
    return Cell("-" if value is None else f"{value:.4f}", "number")


def _ends(interval: Sequence[float] | None) -> Cell:
    if interval is None:
        return Cell("-", "number")
    low, high = (f"{end:.4f}" for end in interval)
    return Cell(_("{low} to {high}").format(low=low, high=high), "number")
