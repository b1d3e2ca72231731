"""`tunesmith runs`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tunesmith.analysis.curves.diagnosis import change_to_try
from tunesmith.api.display.progress import run_summary
from tunesmith.api.display.score_tables import format_scores, show_scores
from tunesmith.api.display.terminal import Terminal, padded, sparkline
from tunesmith.cli.options import ROOT, common, examples, find_run
from tunesmith.cli.suggestions import SuggestingGroup
from tunesmith.data.open import looks_like_a_file
from tunesmith.errors import IntegrityError, Place, Problem, RecipeError, Severity, TunesmithError
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.i18n import ngettext, split_name
from tunesmith.metrics.differences import describe_changes
from tunesmith.metrics.score_table import as_interval, as_score
from tunesmith.recipe import as_written, flatten, gather
from tunesmith.remote.location import Location, is_remote
from tunesmith.runs.event_history import last_step
from tunesmith.runs.folder import runs_under
from tunesmith.storage.disk import as_path

if TYPE_CHECKING:
    from tunesmith.analysis.compare import Comparison
    from tunesmith.metrics.differences import Difference
    from tunesmith.runs.folder import RunFolder

__all__ = ["command"]

_SHOWN = {
    "run": N_("run"),
    "state": N_("state"),
    "step": N_("step"),
    "total_steps": N_("of steps"),
    "model": N_("model"),
    "data": N_("data"),
}
_STATES = (N_("finished"), N_("stopped"), N_("not started"))
_UNKNOWN = {
    "state": N_("damaged"), "step": 0, "total_steps": None, "model": None, "data": None,
    "best": None, "scores": None,
}  # fmt: skip


@click.group("runs", cls=SuggestingGroup, help=_("List, show, compare, explain and delete runs."))
def command() -> None:
    """The group."""


@command.command(
    "list",
    help=_("List all runs, newest first."),
    epilog=examples("tunesmith runs list", "tunesmith runs list --root elsewhere --json"),
)
@ROOT
@common
def list_runs(terminal: Terminal, root: str) -> int:
    """Print a line per run."""
    rows = []
    damaged: list[Problem] = []
    for run in runs_under(as_path(root)):
        try:
            state = _state(run)
        except TunesmithError as error:  # list the other runs all the same
            damaged += error.problems
            state = {"run": str(run.path), **_UNKNOWN}
        terminal.record(state)
        scores = state["scores"] or {}
        best = state["best"]
        shown = scores.get(best) if best else None
        rows.append(
            {
                _("run"): run.name,
                _("state"): _(state["state"]),
                _("step"): f"{state['step']}/{state['total_steps'] or '-'}",
                _("score"): f"{best} {shown:.4f}" if shown is not None else "-",
                _("model"): _last_part(state["model"]),
                _("data"): _last_part(state["data"]),
            }
        )
    terminal.table(rows)
    terminal.problems(replace(problem, severity=Severity.WARNING) for problem in damaged)
    if not rows:
        terminal.say(_("no runs in {root}").format(root=root))
    return 0


@command.command(
    "show",
    help=_("Show a run: state, scores and evaluations."),
    epilog=examples(
        "tunesmith runs show tickets", "tunesmith runs show s3://bucket/runs/tickets --json"
    ),
)
@click.argument("run")
@ROOT
@common
def show(terminal: Terminal, run: str, root: str) -> int:
    """Print the state, then a line per evaluation."""
    with _read(run, root) as folder:
        return _show(terminal, run, folder)


@contextmanager
def _read(name: str, root: str) -> Iterator[RunFolder]:
    """The run with a name, at a path, or at an address, from which it is fetched without weights.

    Raises:
        TunesmithError: there is none, or the store cannot be used.
    """
    if not is_remote(name):
        yield find_run(name, root)
        return
    from tunesmith.runs.remote_folder import peek

    with peek(Location.read(name)) as folder:
        yield folder


def _show(terminal: Terminal, run: str, folder: RunFolder) -> int:
    state = _state(folder)
    if is_remote(run):
        state["run"] = run
    history = folder.history()
    evaluations = history.of("evaluated")
    terminal.problems(history.problems(folder.log))
    terminal.record({**state, "evaluations": evaluations, "summary": run_summary(folder)})
    for key, label in _SHOWN.items():
        value = _(state[key]) if key == "state" else state[key]
        terminal.result(padded(_(label), 13) + str(value))
    show_scores(terminal, folder.facts())
    for event in evaluations:
        best = "  ← " + _("best") if event.get("is_best") else ""
        terminal.result(f"  {event['step']:>8}  {format_scores(event['scores'])}{best}")
    return 0


@command.command(
    "compare",
    help=_(
        "Compare two runs: recipes, scores, and the rows that only one predicts correctly; says "
        "whether the difference is significant."
    ),
    epilog=examples(
        "tunesmith runs compare tickets tickets-2", "tunesmith runs compare a b --json"
    ),
)
@click.argument("first")
@click.argument("second")
@ROOT
@common
def compare(terminal: Terminal, first: str, second: str, root: str) -> int:
    """Print recipe keys that differ, then scores of the finished models on the same rows."""
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
    from tunesmith.analysis.compare import compare_runs

    comparisons = compare_runs(*runs)
    scores = {split: _both_scores(runs, split) for split in ("validation", "test")}
    scores = {split: values for split, values in scores.items() if values}
    for split, values in scores.items():
        comparison = comparisons.get(split)
        differences = comparison.scores if comparison else {}
        for name, (was, now) in values.items():
            line = f"{split_name(split)} {name:<16} {as_score(was)} → {as_score(now)}"
            terminal.result(line + _change(was, now, differences.get(name)))
        if comparison:
            _show_changes(terminal, split, comparison)
    terminal.record(
        {
            "runs": [str(run.path) for run in runs],
            "recipe": changed,
            "scores": scores,
            "differences": {split: each.as_json() for split, each in comparisons.items()},
        }
    )
    return 0


def _both_scores(runs: Sequence[RunFolder], split: str) -> dict[str, list[float | None]]:
    """The scores on a split that both runs have."""
    first, second = (run.facts().get("scores", {}).get(split, {}) for run in runs)
    return {name: [first[name], second[name]] for name in first if name in second}


@command.command(
    "explain",
    help=_("Diagnose the curves of a run, with confidence and one change to try."),
    epilog=examples("tunesmith runs explain tickets", "tunesmith runs explain runs/tickets --json"),
)
@click.argument("run")
@ROOT
@common
def explain_run(terminal: Terminal, run: str, root: str) -> int:
    """Print small curves, a line per diagnosis, then what to try."""
    with _read(run, root) as folder:
        return _explain(terminal, run, folder)


def _explain(terminal: Terminal, run: str, folder: RunFolder) -> int:
    from tunesmith.analysis.curves.explain import curves_of, explain

    history = folder.history()
    curves = curves_of(folder, history)
    assessments = explain(folder, curves)
    terminal.problems(history.problems(folder.log))
    for label, values in (
        (_("train"), curves.losses.tolist()),
        (_("validation"), curves.validation.tolist()),
    ):
        if len(values):
            ends = f"{values[0]:.3g} → {values[-1]:.3g}"
            terminal.result(f"{padded(label, 13)}{sparkline(values)}  {ends}")
    for assessment in assessments:
        terminal.result(padded(_("diagnosis"), 13) + str(assessment))
    if (change := change_to_try(assessments)) is not None:
        terminal.result(padded(_("try"), 13) + str(change))
    terminal.record(
        {
            "run": run if is_remote(run) else str(folder.path),
            "assessments": [assessment.as_json() for assessment in assessments],
            "try": change.as_json() if change else None,
        }
    )
    return 0


@command.command(
    "fetch",
    help=_("Fetch a run from the store that it was trained with (--remote)."),
    epilog=examples(
        "tunesmith runs fetch s3://bucket/runs/tickets",
        "tunesmith runs fetch gs://bucket/runs/tickets --out runs/copy",
    ),
)
@click.argument("url")
@click.option("--out", metavar="DIR", help=_("Folder of the run; default: runs/NAME."))
@common
def fetch(terminal: Terminal, url: str, out: str | None) -> int:
    """Bring the newest state here; the run may be training elsewhere."""
    from tunesmith.runs.remote_folder import fetch_run
    from tunesmith.runs.start import held, run_folder

    location = Location.read(url)
    run = run_folder(out, named_after=location.prefix.rpartition("/")[2])
    with held(run):
        snapshot = fetch_run(location, run)
    terminal.result(
        _("{path}: step {step}, of {time}").format(
            path=run.path, step=snapshot.step, time=snapshot.written
        )
    )
    terminal.record({"run": str(run.path), "step": snapshot.step, "written": snapshot.written})
    return 0


@command.command(
    "delete",
    help=_("Delete runs with their models, checkpoints and reports, after confirmation."),
    epilog=examples("tunesmith runs delete tickets", "tunesmith runs delete old older --yes"),
)
@click.argument("names", nargs=-1, required=True, metavar="RUN...")
@click.option("--yes", is_flag=True, help=_("Delete without confirmation."))
@ROOT
@common
def delete(terminal: Terminal, names: tuple[str, ...], root: str, yes: bool) -> int:
    """Check all of them, confirm once, delete."""
    from tunesmith.runs.removal import delete_run, refuse_deletion

    runs = list(dict.fromkeys(find_run(name, root) for name in names))
    for run in runs:
        refuse_deletion(run)
    if not yes:
        for run in runs:
            terminal.say(str(run.path))
        if not sys.stdin.isatty():
            raise RecipeError.of(
                "R154", _("no terminal to confirm in"), fix=_("Add --yes to delete.")
            )
        question = ngettext("Delete {count} run?", "Delete {count} runs?", len(runs))
        click.confirm(question.format(count=len(runs)), abort=True, err=True)
    for run in runs:
        delete_run(run)
        terminal.result(_("deleted {path}").format(path=run.path))
    terminal.record({"deleted": [str(run.path) for run in runs]})
    return 0


def _change(was: float | None, now: float | None, difference: Difference | None) -> str:
    """The difference of two scores, with its interval and significance if known."""
    if was is None or now is None:
        return ""
    change = f"  {now - was:+.4f}"
    if difference is None or (interval := difference.interval) is None:
        return change
    ends = as_interval([interval.low, interval.high], sign="+")
    return f"{change} (95%: {ends}): {difference.describe()}"


def _show_changes(terminal: Terminal, split: str, comparison: Comparison) -> None:
    """Print how many rows only one of the models predicts correctly."""
    changes, rows = comparison.changes, comparison.rows
    if changes is None:
        line = ngettext("{split}: {count} row", "{split}: {count} rows", rows)
        terminal.result(line.format(split=split_name(split), count=rows))
        return
    fixed, broken = len(changes.fixed), len(changes.broken)
    terminal.result(
        _(
            "{split}: {net} of {rows} examples ({fixed} fixed, {broken} broken; McNemar "
            "p = {p:.2g}): {verdict}"
        ).format(
            split=split_name(split),
            net=abs(fixed - broken),
            rows=rows,
            fixed=fixed,
            broken=broken,
            p=changes.p_value,
            verdict=describe_changes(fixed, broken),
        )
    )


def _state(run: RunFolder) -> dict[str, Any]:
    """The state of a run, from its files."""
    if not run.exists:
        fix = _("Bring it back from a copy, or train again with --restart.")
        raise IntegrityError.of("C138", _("the file is missing"), Place(str(run.recipe)), fix=fix)
    plan, facts = run.plan_facts(), run.facts()
    return {
        "run": str(run.path),
        "state": _STATES[0] if facts else _STATES[1] if plan else _STATES[2],
        "step": facts.get("steps") or last_step(run.log),
        "total_steps": plan.get("plan", {}).get("total_steps"),
        "model": plan.get("model", {}).get("name"),
        "data": plan.get("data", {}).get("train", {}).get("source"),
        "best": facts.get("best"),
        "scores": facts.get("scores", {}).get("validation"),
    }


def _last_part(name: str | None) -> str:
    """A Hub name, or the last part of a path, since whole paths make the table too wide."""
    if not name:
        return "-"
    return Path(name).name if looks_like_a_file(name) or Path(name).exists() else name


def _at(values: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    for part in path:
        values = values[part]
    return values
