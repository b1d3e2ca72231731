"""The sections of the page: each function turns a part of the run into a section, or None."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from tunesmith.analysis.label_errors import RowError, Slice
from tunesmith.analysis.label_errors.held_out import HeldOut
from tunesmith.analysis.report.charts import Line, line_chart, reliability_chart, scatter_chart
from tunesmith.analysis.report.page import Cell, Charts, Listed, Section, Table, Words
from tunesmith.i18n import gettext as _
from tunesmith.i18n import split_name
from tunesmith.metrics.counts import ClassReport, class_reports
from tunesmith.metrics.headline import Headline
from tunesmith.metrics.output_kinds import Pieces
from tunesmith.metrics.score_table import as_score, numeric_titles, score_tables
from tunesmith.metrics.shortfall import shortfalls_of
from tunesmith.metrics.temperature import calibration_error, reliability
from tunesmith.runs.public_names import public_name
from tunesmith.text import shell_quoted

__all__ = [
    "curves",
    "data",
    "label_errors",
    "mistakes",
    "origin",
    "predictions",
    "scores",
    "slices",
]

_MOST_CLASSES = 16
_MOST_POINTS = 2000
_SHOWN_TEXT = 400


def scores(metadata: Mapping[str, Any], judged: Headline) -> Section | None:
    """A table per split: scores with their intervals, and those of the baselines."""
    tables = [
        _table(rows, [*numeric_titles(), "95%"])
        for _split, rows in sorted(score_tables(metadata), key=lambda table: table[0] != "test")
        if rows
    ]
    if not tables:
        return None
    others = [
        f"{verdict.code} {split_name(split)}: {verdict.sentence()}"
        for split, verdict in shortfalls_of(metadata).items()
        if split != judged.split
    ]
    about = _(
        "95%: the interval of the score on other rows of the same kind, if rows are independent of "
        "each other. Training again with another seed adds to it."
    )
    return Section(_("Scores"), [*_listed(others), *tables, Words(about)])


def _table(rows: Sequence[Mapping[str, str]], numeric: Iterable[str]) -> Table:
    """Rows with the same keys."""
    right = set(numeric)
    cells = [
        [Cell(value, "number" if title in right else "") for title, value in row.items()]
        for row in rows
    ]
    return Table(list(rows[0]), cells)


def _listed(lines: Sequence[str]) -> list[Listed]:
    return [Listed(lines)] if lines else []


def curves(
    events: Sequence[Mapping[str, Any]], metadata: Mapping[str, Any], lines: Sequence[str]
) -> Section | None:
    """Losses over steps, the score that chose the model, and what the curves show.

    Args:
        events: of the run.
        metadata: "best" and "best_step".
        lines: what the curves show, a sentence each.
    """
    steps = [e for e in events if e["event"] == "step" and e.get("loss") is not None]
    evaluated = [e for e in events if e["event"] == "evaluated"]
    best = metadata.get("best")
    losses = [
        Line(_("training loss"), "first", [(e["step"], e["loss"]) for e in steps]),
        _score_line(evaluated, "loss", _("validation loss")),
    ]
    chosen = [_score_line(evaluated, best, best)] if best and best != "loss" else []
    mark = metadata.get("best_step") if evaluated else None
    charts, single = [], list[str]()
    for name, group in ((_("loss"), losses), (str(best), chosen)):
        chart = line_chart(group, x_name=_("steps"), y_name=name, mark=mark)
        if chart is not None:
            charts.append(chart)
        else:
            single += [
                _("{name}: {value:.4g} at step {step}, the only one recorded").format(
                    name=line.name, value=line.points[-1][1], step=line.points[-1][0]
                )
                for line in group
                if line.points
            ]
    if not charts and not single:
        return None
    parts: list[Any] = _listed([*lines, *single])
    if charts:
        note = _("The dashed line marks step {step}, which was kept.").format(step=mark)
        parts.append(Charts(charts, "" if mark is None else note))
    return Section(_("Curves"), parts)


def _score_line(events: Sequence[Mapping[str, Any]], score: str, name: str) -> Line:
    points = [(e["step"], e["scores"][score]) for e in events if e["scores"].get(score) is not None]
    return Line(name, "second", points, dots=True)


def predictions(held_out: HeldOut) -> Section:
    """Where the model is right and where it is wrong."""
    about = Words(
        _("On the {rows} rows of {split}.").format(
            rows=f"{len(held_out.rows):,}", split=split_name(held_out.split)
        )
    )
    kind, rows = held_out.kind, held_out.answers
    counted = kind.counted(rows)
    if kind.column_type == "number" and not counted:
        points = list(zip(rows.truth.tolist(), rows.predicted.tolist(), strict=True))
        chart = scatter_chart(points[:_MOST_POINTS], x_name=_("label"), y_name=_("predicted"))
        return Section(_("Predictions"), [about, *_charts(chart, _("All labels are the same."))])
    labels, known = kind.label_kind, kind.reliability(rows)
    curve = [] if known is None or not len(known[0]) else _reliability(*known)
    if labels is None:
        table = [_counted(counted)] if counted else []
        return Section(_("Predictions"), [about, *table, *curve])
    parts: list[Any] = [about]
    counts = kind.confusion_matrix(rows)
    if counts is not None and len(labels.names) <= _MOST_CLASSES:
        parts.append(_confusion_matrix(counts, labels.names))
    if not kind.names_are_places:
        truth, predicted = labels.indicators(rows.truth), labels.indicators(rows.predicted)
        parts.append(_per_class(class_reports(labels.names, truth, predicted), counts))
    return Section(_("Predictions"), [*parts, *curve])


def _counted(rows: Sequence[Mapping[str, str | int | float]]) -> Table:
    """What is right and wrong, a row for each label."""
    cells = [
        [
            Cell(value)
            if isinstance(value, str)
            else Cell(f"{value:,}", "number")
            if isinstance(value, int)
            else _number(value)
            for value in row.values()
        ]
        for row in rows
    ]
    return Table(list(rows[0]), cells)


def _charts(chart: Markup | None, otherwise: str, caption: str = "") -> list[Charts | Words]:
    """A chart, or a line where there is nothing to draw."""
    return [Words(otherwise)] if chart is None else [Charts([chart], caption)]


def _confusion_matrix(counts: NDArray[np.int64], names: Sequence[str]) -> Table:
    """How often each label (down) got each prediction (across), shaded by fraction of the row."""
    rows = []
    for i, (name, row) in enumerate(zip(names, counts.tolist(), strict=True)):
        cells = [
            Cell(
                str(count) if count else "·",
                f"{'right' if i == j else 'wrong'} d{math.ceil(5 * count / (sum(row) or 1))}",
            )
            for j, count in enumerate(row)
        ]
        rows.append([Cell(name, "head"), *cells])
    caption = "{} ↓ {} →".format(_("label"), _("predicted"))
    return Table(["", *names], rows, caption, "confusion")


def _per_class(reports: Mapping[str, ClassReport], counts: NDArray[np.int64] | None) -> Table:
    """Precision and recall of each class, and the other one it is most often confused with."""
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
    return Table([*head, _("most confused with")], rows)


def _reliability(confidence: NDArray[np.float64], right: NDArray[Any]) -> list[Charts | Words]:
    bins = reliability(confidence, right)
    chart = reliability_chart(
        [(point.confidence, point.share, point.count) for point in bins],
        x_name=_("confidence"),
        y_name=_("fraction right"),
    )
    caption = _(
        "Below the dashed line the model is overconfident; large dots are many predictions. "
        "Calibration error {ece:.3f}."
    ).format(ece=calibration_error(bins))
    alike = _("All predictions are equally confident. Calibration error {ece:.3f}.").format(
        ece=calibration_error(bins)
    )
    return _charts(chart, alike, caption)


def slices(parts: Sequence[Slice], *, are_numbers: bool) -> Section | None:
    """The score of parts of the rows, the worst first."""
    if not parts:
        return None
    rows = [
        [*map(Cell, part.describe()), Cell(f"{part.rows:,}", "number"), _number(part.score)]
        for part in parts
    ]
    last = _("mean error") if are_numbers else _("fraction right")
    return Section(_("Slices"), [Table([_("by"), _("slice"), _("rows"), last], rows)])


def mistakes(worst: Sequence[RowError], split: str) -> Section | None:
    """The rows with the largest losses whose predictions are wrong."""
    wrong = [row for row in worst if row.gold != row.predicted]
    if not wrong:
        return None
    about = _("Rows of {split} with the largest loss, the worst first.").format(
        split=split_name(split)
    )
    if wrong[0].gold_pieces:
        head = [_("row"), _("label"), _("predicted"), _("loss")]
        marked = [
            [
                Cell(str(one.row), "number"),
                Cell(_marked(one.gold_pieces), "long"),
                Cell(_marked(one.predicted_pieces), "long"),
                _number(one.loss),
            ]
            for one in wrong
        ]
        return Section(_("Mistakes"), [Words(about), Table(head, marked)])
    rows = [[*_row(one), Cell(one.predicted), _probability_or_loss(one)] for one in wrong]
    if wrong[0].probabilities:
        head = [_("row"), _("text"), _("label"), _("predicted"), _("probabilities")]
        rows = [[*_row(one), Cell(one.predicted), _shares(one)] for one in wrong]
        return Section(_("Mistakes"), [Words(about), Table(head, rows)])
    last = _("loss") if wrong[0].share is None else _("probability of the label")
    head = [_("row"), _("text"), _("label"), _("predicted"), last]
    return Section(_("Mistakes"), [Words(about), Table(head, rows)])


def _shares(one: RowError) -> Cell:
    """The probability of each choice of a row."""
    return Cell(", ".join(f"{name} {share:.1%}" for name, share in one.probabilities.items()))


def _marked(pieces: Pieces) -> Markup:
    """A text with marked parts, each with its label."""
    return Markup("").join(
        Markup("{}").format(text)
        if label is None
        else Markup("<mark>{} <small>{}</small></mark>").format(text, label)
        for text, label in pieces
    )


def label_errors(suspects: Sequence[RowError], run: str) -> Section | None:
    """The rows whose labels are probably wrong, and the command that shows more."""
    if not suspects:
        return None
    about = _(
        "Rows whose label is probably wrong: the model is confident of another one. Read them "
        "before you change anything."
    )
    rows = [[*_row(one), Cell(one.suggested or "")] for one in suspects]
    table = Table([_("row"), _("text"), _("label"), _("suggested")], rows)
    more = Words(_("To see those of the training rows, too, and to correct them:"))
    command = Words(f"tunesmith errors {shell_quoted(run)}", "code")
    return Section(_("Probable label errors"), [Words(about), table, more, command])


def _row(one: RowError) -> list[Cell]:
    shown = one.text if len(one.text) <= _SHOWN_TEXT else one.text[:_SHOWN_TEXT] + " …"
    return [Cell(str(one.row), "number"), Cell(shown, "long"), Cell(one.gold)]


def _probability_or_loss(one: RowError) -> Cell:
    return _number(one.loss) if one.share is None else Cell(f"{one.share:.1%}", "number")


def data(plan: Mapping[str, Any], warnings: Sequence[str]) -> Section:
    """How many rows each split has, and what is unusual about them."""
    rows = [
        [
            Cell(split_name(name)),
            Cell(public_name(str(split["source"]))),
            Cell(f"{split['examples']:,}", "number"),
            Cell(f"{split['tokens'] / max(1, split['examples']):.0f}", "number"),
        ]
        for name, split in plan.get("data", {}).items()
    ]
    head = [_("split"), _("source"), _("rows"), _("tokens per row")]
    return Section(_("Data"), [Table(head, rows), *_listed(warnings)])


def origin(plan: Mapping[str, Any], recipe: str, versions: Mapping[str, str]) -> Section:
    """The recipe, and what the numbers depend on."""
    fingerprint = plan.get("fingerprint", {})
    hashes = {
        **fingerprint.get("data", {}),
        _("tokenizer"): fingerprint.get("tokenizer", "-"),
        _("model"): fingerprint.get("model", {}).get("config", "-"),
    }
    machine = [f"{name}: {value}" for name, value in fingerprint.get("machine", {}).items()]
    return Section(
        _("Reproduce"),
        [
            Words(_("Save this recipe as recipe.yaml next to the data, and run:")),
            Words("tunesmith train recipe.yaml", "code"),
            Words(recipe.rstrip(), "code"),
            Words(_("Hashes of rows, tokenizer and model:")),
            Words("\n".join(f"{name}  {value}" for name, value in hashes.items()), "code"),
            Words(
                _("Versions: {versions}.").format(
                    versions=", ".join(f"{name} {version}" for name, version in versions.items())
                )
            ),
            Words(_("Computed with {machine}.").format(machine=", ".join(machine))),
        ],
    )


def _number(value: float | None) -> Cell:
    return Cell(as_score(value), "number")
