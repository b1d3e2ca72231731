"""`tunesmith runs`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from tunesmith.cli.options import common, examples
from tunesmith.cli.progress import scores_in_words, summarise
from tunesmith.cli.terminal import Terminal, padded
from tunesmith.cli.verbs import Verbs
from tunesmith.errors import Place, Problem, RecipeError, nearest
from tunesmith.language import gettext as _
from tunesmith.language import mark
from tunesmith.recipe import as_written, flatten, gather
from tunesmith.run.folder import RUNS, RunFolder, runs_under

__all__ = ["ROOT", "command", "find_run"]

_SHOWN = {
    "run": mark("run"),
    "state": mark("state"),
    "step": mark("step"),
    "total_steps": mark("of steps"),
    "model": mark("model"),
    "data": mark("data"),
}
_STATES = (mark("finished"), mark("stopped"), mark("not started"))

ROOT = click.option(
    "--root", default=RUNS, metavar="DIR", show_default=True, help=_("Folder that holds the runs.")
)


@click.group("runs", cls=Verbs, help=_("List, show and compare runs."))
def command() -> None:
    """The group."""


@command.command(
    "list",
    help=_("All runs, the newest first."),
    epilog=examples("tunesmith runs list", "tunesmith runs list --root elsewhere --json"),
)
@ROOT
@common
def list_runs(root: str, **given: Any) -> int:
    """A line each."""
    terminal = Terminal.of(given)
    rows = []
    for run in runs_under(Path(root)):
        state = _state(run)
        terminal.record(state)
        scores = state["scores"] or {}
        best = state["best"]
        shown = scores.get(best) if best else None
        rows.append(
            {
                _("run"): run.name,
                _("state"): _(state["state"]),
                _("step"): f"{state['step']}/{state['total_steps']}",
                _("score"): f"{best} {shown:.4f}" if shown is not None else "-",
                _("model"): state["model"] or "-",
                _("data"): state["data"] or "-",
            }
        )
    terminal.table(rows)
    if not rows:
        terminal.say(_("no runs in {root}").format(root=root))
    return 0


@command.command(
    "show",
    help=_("One run: its state, scores and evaluations."),
    epilog=examples("tunesmith runs show tickets", "tunesmith runs show runs/tickets --json"),
)
@click.argument("run")
@ROOT
@common
def show(run: str, root: str, **given: Any) -> int:
    """The state, then an evaluation a line."""
    terminal = Terminal.of(given)
    folder = find_run(run, root)
    state = _state(folder)
    evaluations = [event for event in folder.events() if event["event"] == "evaluated"]
    terminal.record({**state, "evaluations": evaluations, "summary": summarise(folder)})
    for key, label in _SHOWN.items():
        value = _(state[key]) if key == "state" else state[key]
        terminal.result(padded(_(label), 13) + str(value))
    for split, scores in folder.facts().get("scores", {}).items():
        terminal.result(padded(split, 13) + scores_in_words(scores))
    for event in evaluations:
        best = "  ← " + _("best") if event.get("is_best") else ""
        terminal.result(f"  {event['step']:>8}  {scores_in_words(event['scores'])}{best}")
    return 0


@command.command(
    "compare",
    help=_("What differs between two runs: recipe and scores."),
    epilog=examples(
        "tunesmith runs compare tickets tickets-2", "tunesmith runs compare a b --json"
    ),
)
@click.argument("first")
@click.argument("second")
@ROOT
@common
def compare(first: str, second: str, root: str, **given: Any) -> int:
    """Recipe keys, then scores of the finished models."""
    terminal = Terminal.of(given)
    runs = [find_run(name, root) for name in (first, second)]
    recipes = [
        gather(file=run.recipe, environment={}).recipe().model_dump(mode="json") for run in runs
    ]
    changed = {
        ".".join(path): [_at(recipe, path) for recipe in recipes]
        for path in flatten(recipes[0])
        if _at(recipes[0], path) != _at(recipes[1], path)
    }
    for key, (was, now) in changed.items():
        terminal.result(f"{key:<24} {as_written(was)} → {as_written(now)}")
    if not changed:
        terminal.result(_("the recipes are equal"))
    scores: dict[str, dict[str, list[float | None]]] = {}
    for split in ("validation", "test"):
        found = [run.facts().get("scores", {}).get(split, {}) for run in runs]
        both = [name for name in found[0] if name in found[1]]
        if both:
            scores[split] = {name: [values.get(name) for values in found] for name in both}
    for split, values in scores.items():
        for name, (was, now) in values.items():
            change = f"  {now - was:+.4f}" if was is not None and now is not None else ""
            shown = " → ".join("-" if v is None else f"{v:.4f}" for v in (was, now))
            terminal.result(f"{split} {name:<16} {shown}{change}")
    terminal.record({"runs": [str(run.path) for run in runs], "recipe": changed, "scores": scores})
    return 0


def find_run(name: str, root: str) -> RunFolder:
    """The run of a path, or of a name under the folder that holds the runs.

    Raises:
        RecipeError: there is none (C113).
    """
    for candidate in (Path(name), Path(root) / name):
        run = RunFolder(candidate)
        if run.exists:
            return run
    known = [run.name for run in runs_under(Path(root))]
    close = nearest(name, known)
    raise RecipeError(
        Problem(
            "C113",
            _("there is no such run"),
            Place(name),
            fix=_('did you mean "{name}"?').format(name=close[0])
            if close
            else _("Runs in {root}: {names}.").format(root=root, names=", ".join(known) or "-"),
        )
    )


def _state(run: RunFolder) -> dict[str, Any]:
    """What a run is, from its files alone."""
    events = run.events()
    plan = run.plan_facts()
    facts = run.facts()
    steps = [event["step"] for event in events if event["event"] in ("step", "saved")]
    return {
        "run": str(run.path),
        "state": _STATES[0] if facts else _STATES[1] if plan else _STATES[2],
        "step": facts.get("steps") or max(steps, default=0),
        "total_steps": plan.get("plan", {}).get("total_steps"),
        "model": plan.get("model", {}).get("name"),
        "data": plan.get("data", {}).get("train", {}).get("source"),
        "best": facts.get("best"),
        "scores": facts.get("scores", {}).get("validation"),
    }


def _at(values: Any, path: tuple[str, ...]) -> Any:
    """The value of a recipe's key; None where the recipe does not have it."""
    for part in path:
        values = values.get(part) if isinstance(values, Mapping) else None
    return values
