"""The report of a run: one HTML file with settings, results and how certain they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith.analysis.curves.diagnosis import Diagnosis, change_to_try
from tunesmith.analysis.curves.explain import curves_of, explain
from tunesmith.analysis.label_errors.examine import TOO_MANY
from tunesmith.analysis.label_errors.held_out import by_the_model
from tunesmith.analysis.label_errors.ranking import slices, suspect, worst
from tunesmith.analysis.report import sections
from tunesmith.analysis.report.page import Figure, Page, Section, render
from tunesmith.errors import IntegrityError, Place
from tunesmith.i18n import current_language, split_name
from tunesmith.i18n import gettext as _
from tunesmith.metrics.headline import Outcome, headline
from tunesmith.metrics.score_table import as_interval, as_score
from tunesmith.recipe import gather, to_yaml
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.public_names import public_name, with_public_names
from tunesmith.storage import atomic
from tunesmith.tasks import task_from_json

__all__ = ["write_report"]

_MOST_ROWS = 15
"""Rows of a table of texts."""
_MOST_FIGURES = 3
_ABSOLUTE_PATH = re.compile(r"(?<![\w/.\\])(?:[A-Za-z]:\\|/)(?:[^\s/\\]+[/\\])+([^\s/\\]+)")
_TONES = {Outcome.GOOD: "good", Outcome.BEATEN: "bad", Outcome.COLLAPSED: "bad"}


def write_report(run: RunFolder) -> None:
    """Write `report.html` into the folder of a finished run, in the current language.

    Raises:
        IntegrityError: the predictions cannot be read (C132), or a file is damaged or missing
            (C138).
        ResourceError: the disk is full or cannot be written (C107).
    """
    atomic.write_file(run.report, render(_page(run)))


def _page(run: RunFolder) -> Page:
    metadata, plan, history = run.facts(), run.plan_facts(), run.history()
    if not plan:
        fix = _("Bring it back from a copy, or train again with --restart.")
        raise IntegrityError.of("C138", _("the file is missing"), Place(str(run.plan)), fix=fix)
    recipe = gather(file=run.recipe, environment={}).recipe()
    judged = headline(metadata)
    assessments = explain(run, curves_of(run, history))
    lines = [str(one) for one in assessments if one.diagnosis is not Diagnosis.BEATEN]
    if change := change_to_try(assessments):
        lines.append(_("to try: {change}").format(change=change))
    parts = [
        sections.scores(metadata, judged),
        sections.curves(history.events, metadata, lines),
        *_of_predictions(run, metadata, judged.split or "validation"),
        sections.data(plan, [_without_folders(line, plan) for line in history.warnings()]),
        sections.origin(plan, to_yaml(with_public_names(recipe)), metadata.get("versions", {})),
    ]
    return Page(
        title=run.name,
        headline=judged.sentence,
        tone=_TONES.get(judged.outcome, "neutral"),
        lead=_("{base}, fine-tuned for {task} on {rows} rows of {source}").format(
            base=public_name(metadata["base_model"]["name"]),
            task=metadata["task"]["task"],
            rows=f"{plan['data']['train']['rows']:,}",
            source=public_name(plan["data"]["train"]["source"]),
        ),
        language=current_language(),
        figures=[*_score_figures(metadata, judged.split), _time_figure(metadata)],
        sections=[section for section in parts if section is not None],
        footer=_("Written by tunesmith {version}. Nothing in this file is fetched or run.").format(
            version=metadata["versions"]["tunesmith"]
        ),
    )


def _of_predictions(
    run: RunFolder, metadata: Mapping[str, Any], split: str
) -> Iterator[Section | None]:
    task = task_from_json(metadata["task"])
    held_out = by_the_model(run, task, split, None) if task.needs_label else None
    if held_out is None:
        return
    suspects = suspect(held_out)
    if len(suspects) > TOO_MANY * len(held_out.rows):
        suspects = []
    yield sections.predictions(held_out)
    yield sections.slices(slices(held_out), are_numbers=not held_out.kind.higher_is_better)
    yield sections.mistakes(worst(held_out, _MOST_ROWS), split)
    yield sections.label_errors(suspects[:_MOST_ROWS], run.name)


def _score_figures(metadata: Mapping[str, Any], split: str | None) -> Iterator[Figure]:
    if split is None:
        return
    intervals = metadata.get("intervals", {}).get(split, {})
    scores = [(k, v) for k, v in metadata["scores"][split].items() if v is not None]
    for name, value in scores[:_MOST_FIGURES]:
        ends = intervals.get(name)
        note = f"95%: {as_interval(ends)}" if ends else ""
        yield Figure(f"{split_name(split)} {name}", as_score(value), note)


def _time_figure(metadata: Mapping[str, Any]) -> Figure:
    minutes, seconds = divmod(round(metadata["train_seconds"]), 60)
    took = _("{minutes} min {seconds} s") if minutes else _("{seconds} s")
    note = _("kept: step {step}").format(step=metadata["best_step"])
    return Figure(_("training"), took.format(minutes=minutes, seconds=seconds), note)


def _without_folders(line: str, plan: Mapping[str, Any]) -> str:
    """A line in which files have their names alone: a report is sent to others."""
    for split in plan["data"].values():
        line = line.replace(str(split["source"]), public_name(str(split["source"])))
    return _ABSOLUTE_PATH.sub(r"\1", line)
