"""What the page says: each function reads a part of the run folder and gives a section, or None."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tunesmith.language import gettext as _
from tunesmith.report.answers import ClassAnswers, NumberAnswers
from tunesmith.report.charts import (
    Line,
    confusion_chart,
    line_chart,
    reliability_chart,
    scatter_chart,
)
from tunesmith.report.page import Cell, Chart, Charts, Code, Listed, Section, Table, Words

__all__ = ["answers_section", "curves", "data", "mistakes", "origin", "scores_section"]

_MOST_CLASSES = 16
_SHOWN_TEXT = 400


def scores_section(facts: Mapping[str, Any], splits: Sequence[str]) -> Section | None:
    """Every score of every split."""
    scores = facts.get("scores") or {}
    rows = [
        [Cell(split), Cell(name), _number(value)]
        for split in splits
        for name, value in scores.get(split, {}).items()
    ]
    if not rows:
        return None
    table = Table([_("split"), _("score"), _("value")], rows)
    return Section(_("Scores"), [table])


def curves(
    events: Sequence[Mapping[str, Any]], facts: Mapping[str, Any], reading: Sequence[str]
) -> Section | None:
    """Losses over steps, the score that chose, and what they show."""
    steps = [e for e in events if e["event"] == "step" and e.get("loss") is not None]
    scored = [e for e in events if e["event"] == "evaluated"]
    lines = [Line(_("training loss"), "first", [(e["step"], e["loss"]) for e in steps])]
    valid = [
        (e["step"], e["scores"]["loss"]) for e in scored if e["scores"].get("loss") is not None
    ]
    lines.append(Line(_("validation loss"), "second", valid, dots=True))
    lines = [line for line in lines if line.points]
    if not lines:
        return None
    parts: list[Any] = [Listed(list(reading))] if reading else []
    best = facts.get("best_step")
    mark = best if valid else None
    chart = line_chart(lines, x_name=_("steps"), y_name=_("loss"), mark=mark)
    charts = [Chart(chart, _("The broken line marks the step that was kept.") if mark else "")]
    if name := facts.get("best"):
        points = [
            (e["step"], e["scores"][name]) for e in scored if e["scores"].get(name) is not None
        ]
        if points and name != "loss":
            line = Line(name, "second", points, dots=True)
            charts.append(Chart(line_chart([line], x_name=_("steps"), y_name=name, mark=mark)))
    return Section(_("Curves"), [*parts, Charts(charts)])


def answers_section(answers: ClassAnswers | NumberAnswers, split: str) -> Section:
    """Where the model is right and where it is wrong."""
    if isinstance(answers, NumberAnswers):
        points = list(zip(answers.gold.tolist(), answers.predicted.tolist(), strict=True))[:2000]
        chart = scatter_chart(points, x_name=_("label"), y_name=_("predicted"))
        about = _about(split, len(answers.gold))
        return Section(_("Answers"), [about, Charts([Chart(chart)])])
    counts = answers.confusion()
    parts: list[Any] = [_about(split, len(answers.gold))]
    if len(answers.names) <= _MOST_CLASSES:
        chart = confusion_chart(
            counts.tolist(), answers.names, gold=_("label"), predicted=_("predicted")
        )
        parts.append(Charts([Chart(chart)]))
    parts += [_per_class(answers), Charts([_reliability(answers)])]
    return Section(_("Answers"), parts)


def mistakes(answers: ClassAnswers | NumberAnswers, split: str, count: int = 15) -> Section | None:
    """The rows it is most wrong about."""
    rows = []
    for place in answers.worst(count):
        if isinstance(answers, ClassAnswers):
            gold, found = answers.gold[place], answers.predicted[place]
            told = [Cell(answers.names[gold]), Cell(answers.names[found])]
            how_sure = _share(answers.chances[place, found])
        else:
            told = [_number(answers.gold[place]), _number(answers.predicted[place])]
            how_sure = _number(answers.predicted[place] - answers.gold[place])
        text = answers.text_of(place)
        shown = text if len(text) <= _SHOWN_TEXT else text[:_SHOWN_TEXT] + " …"
        rows.append(
            [Cell(str(int(answers.rows[place])), "number"), Cell(shown, "long"), *told, how_sure]
        )
    if not rows:
        return None
    last = _("sure") if isinstance(answers, ClassAnswers) else _("off by")
    head = [_("row"), _("text"), _("label"), _("predicted"), last]
    words = Words(
        _("Rows of {split} with the largest loss. Some of them may be labelled wrongly.").format(
            split=split
        )
    )
    return Section(_("Mistakes"), [words, Table(head, rows)])


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
    parts: list[Any] = [Table(head, rows)]
    if warnings:
        parts.append(Listed(list(warnings)))
    return Section(_("Data"), parts)


def origin(plan: Mapping[str, Any], recipe: str, versions: Mapping[str, str]) -> Section:
    """How to make it again, and what its numbers depend on."""
    fingerprint = plan.get("fingerprint", {})
    went_in = {
        **fingerprint.get("data", {}),
        _("tokenizer"): fingerprint.get("tokenizer", "-"),
        _("model"): fingerprint.get("model", {}).get("config", "-"),
    }
    hashes = [f"{name}  {value}" for name, value in went_in.items()]
    machine = [f"{name}: {value}" for name, value in fingerprint.get("machine", {}).items()]
    return Section(
        _("How to make it again"),
        [
            Words(_("Save this recipe as recipe.yaml and run:")),
            Code("tunesmith train recipe.yaml"),
            Code(recipe.rstrip()),
            Words(_("Hashes of what went in")),
            Code("\n".join(hashes)),
            Words(
                _("Versions: {versions}.").format(
                    versions=", ".join(f"{name} {value}" for name, value in versions.items())
                )
            ),
            Words(_("Computed with {machine}.").format(machine=", ".join(machine))),
        ],
    )


def _about(split: str, rows: int) -> Words:
    return Words(_("On the {rows} rows of {split}.").format(rows=f"{rows:,}", split=split))


def _per_class(answers: ClassAnswers) -> Table:
    counts = answers.confusion()
    hits, gold, found = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    rows = []
    for number, name in enumerate(answers.names):
        precision = hits[number] / found[number] if found[number] else None
        recall = hits[number] / gold[number] if gold[number] else None
        f1 = 2 * hits[number] / (gold[number] + found[number]) if hits[number] else 0.0
        confused = counts[number].copy()
        confused[number] = 0
        most = int(confused.argmax())
        told = f"{answers.names[most]} ({confused[most]})" if confused[most] else "-"
        rows.append(
            [
                Cell(name),
                Cell(f"{gold[number]:,}", "number"),
                _number(precision),
                _number(recall),
                _number(f1),
                Cell(told),
            ]
        )
    head = [_("class"), _("rows"), _("precision"), _("recall"), "F1", _("mostly taken for")]
    return Table(head, rows)


def _reliability(answers: ClassAnswers) -> Chart:
    sure = answers.chances.max(axis=1)
    right = answers.predicted == answers.gold
    order = np.argsort(sure, kind="stable")
    bins = [part for part in np.array_split(order, min(10, len(order))) if len(part)]
    points = [(float(sure[b].mean()), float(right[b].mean()), len(b)) for b in bins]
    chart = reliability_chart(points, x_name=_("how sure the model is"), y_name=_("share right"))
    return Chart(
        chart,
        _(
            "Each dot is a tenth of the rows. Below the broken line the model is surer than it is "
            "right."
        ),
    )


def _number(value: Any) -> Cell:
    return Cell("-" if value is None else f"{value:.4f}", "number")


def _share(value: float) -> Cell:
    return Cell(f"{value:.1%}", "number")
