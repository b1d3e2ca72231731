"""The report of a run: one HTML file with what was asked, what came out, and how sure it is."""

from __future__ import annotations

from typing import Any

from tunesmith import commit
from tunesmith.language import current_language
from tunesmith.language import gettext as _
from tunesmith.report import sections
from tunesmith.report.answers import read_answers
from tunesmith.report.page import Figure, Page, Section, render
from tunesmith.run.folder import RunFolder

__all__ = ["write_report"]


def write_report(run: RunFolder) -> None:
    """Write `report.html` into the folder of a finished run, in the language of the moment.

    Raises:
        ResourceError: the disk is full or cannot be written (C107).
    """
    commit.write_file(run.report, render(_page(run)))


def _page(run: RunFolder) -> Page:
    facts, plan, events = run.facts(), run.plan_facts(), run.events()
    scored = facts.get("scores", {})
    split = "test" if "test" in scored else "validation"
    answers = read_answers(run.predictions / f"{split}.parquet", facts.get("task", {}))
    warnings = [f"{e['code']} {e['message']}" for e in events if e["event"] == "warned"]
    found: list[Section | None] = [
        sections.scores_section(facts, ["test", "validation"]),
        sections.curves(events, facts, []),
    ]
    if answers is not None:
        found += [sections.answers_section(answers, split), sections.mistakes(answers, split)]
    found.append(sections.data(plan, warnings))
    recipe = run.recipe.read_text(encoding="utf-8")
    found.append(sections.origin(plan, recipe, facts.get("versions", {})))
    return Page(
        title=run.name,
        lead=_("{base}, fine-tuned for {task} on {rows} rows of {source}").format(
            base=facts["base_model"]["name"],
            task=facts["task"]["task"],
            rows=f"{plan['data']['train']['examples']:,}",
            source=plan["data"]["train"]["source"],
        ),
        language=current_language(),
        figures=_figures(facts, scored.get(split, {})),
        verdicts=[],
        sections=[section for section in found if section is not None],
        footer=_("Written by tunesmith {version}. Nothing in this file is fetched or run.").format(
            version=facts["versions"]["tunesmith"]
        ),
    )


def _figures(facts: dict[str, Any], scores: dict[str, float | None]) -> list[Figure]:
    shown = [Figure(name, f"{value:.4f}") for name, value in scores.items() if value is not None][
        :3
    ]
    minutes, seconds = divmod(round(facts["train_seconds"]), 60)
    took = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    note = _("kept: step {step}").format(step=facts["best_step"])
    return [*shown, Figure(_("training"), took, note)]
