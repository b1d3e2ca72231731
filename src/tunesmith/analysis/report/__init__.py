"""The report of a run: one HTML file with what was asked, what came out, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunesmith.analysis.curves import Verdict as Reading
from tunesmith.analysis.curves import change_to_try
from tunesmith.analysis.curves.explain import curves_of, explain
from tunesmith.analysis.label_errors.examine import TOO_MANY
from tunesmith.analysis.label_errors.held_out import HeldOut, by_the_model
from tunesmith.analysis.label_errors.ranking import slices, suspect, worst
from tunesmith.analysis.report import sections
from tunesmith.analysis.report.page import Figure, Page, Section, render
from tunesmith.errors import IntegrityError, Place, Problem
from tunesmith.i18n import current_language
from tunesmith.i18n import gettext as _
from tunesmith.metrics.headline import Outcome, headline
from tunesmith.runs.folder import RunFolder
from tunesmith.storage import atomic
from tunesmith.tasks import task_from_json

__all__ = ["write_report"]

_SHOWN = 15
"""Rows of a list of mistakes."""

_TONES = {Outcome.GOOD: "good", Outcome.BEATEN: "bad", Outcome.COLLAPSED: "bad"}


def write_report(run: RunFolder) -> None:
    """Write `report.html` into the folder of a finished run, in the language of the moment.

    Raises:
        IntegrityError: the predictions cannot be read (C132), or a file is damaged or missing
            (C138).
        ResourceError: the disk is full or cannot be written (C107).
    """
    atomic.write_file(run.report, render(_page(run)))


def _page(run: RunFolder) -> Page:
    facts, plan, history = run.facts(), run.plan_facts(), run.history()
    if not plan:
        raise IntegrityError(Problem("C138", _("the file is missing"), Place(str(run.plan))))
    judged = headline(facts)
    split = judged.split or "validation"
    readings = explain(run, curves_of(run, history))
    change = change_to_try(readings)
    advice = [_("to try: {change}").format(change=change)] if change else []
    said = [str(reading) for reading in readings if reading.verdict is not Reading.BEATEN]
    found: list[Section | None] = [
        sections.scores(facts, ["test", "validation"]),
        sections.curves(history.events, facts, said + advice),
        *_of_answers(_answered(run, facts, split), run.name),
        sections.data(plan, history.warnings()),
        sections.origin(plan, run.recipe.read_text(encoding="utf-8"), facts.get("versions", {})),
    ]
    return Page(
        title=run.name,
        headline=judged.sentence,
        tone=_TONES.get(judged.outcome, "neutral"),
        lead=_("{base}, fine-tuned for {task} on {rows} rows of {source}").format(
            base=facts["base_model"]["name"],
            task=facts["task"]["task"],
            rows=f"{plan['data']['train']['examples']:,}",
            source=plan["data"]["train"]["source"],
        ),
        language=current_language(),
        figures=_figures(facts, split),
        sections=[section for section in found if section is not None],
        footer=_("Written by tunesmith {version}. Nothing in this file is fetched or run.").format(
            version=facts["versions"]["tunesmith"]
        ),
    )


def _answered(run: RunFolder, facts: dict[str, Any], split: str) -> HeldOut | None:
    task = task_from_json(facts["task"])
    return by_the_model(run, task, split, None) if task.needs_label else None


def _of_answers(answered: HeldOut | None, run: str) -> Sequence[Section | None]:
    if answered is None:
        return []
    doubtful = suspect(answered)
    if len(doubtful) > TOO_MANY * len(answered.rows):
        doubtful = []
    return [
        sections.answers(answered),
        sections.slices(slices(answered), are_numbers=not answered.kind.higher_is_better),
        sections.mistakes(worst(answered, _SHOWN), answered.split),
        sections.suspects(doubtful[:_SHOWN], run),
    ]


def _figures(facts: dict[str, Any], split: str) -> list[Figure]:
    intervals = facts.get("intervals", {}).get(split, {})
    shown = []
    for name, value in list(facts.get("scores", {}).get(split, {}).items())[:3]:
        if value is not None:
            ends = intervals.get(name)
            note = (
                _("95%: {low:.4f} to {high:.4f}").format(low=ends[0], high=ends[1]) if ends else ""
            )
            shown.append(Figure(f"{split} {name}", f"{value:.4f}", note))
    minutes, seconds = divmod(round(facts["train_seconds"]), 60)
    took = _("{minutes} min {seconds} s") if minutes else _("{seconds} s")
    note = _("kept: step {step}").format(step=facts["best_step"])
    return [*shown, Figure(_("training"), took.format(minutes=minutes, seconds=seconds), note)]
