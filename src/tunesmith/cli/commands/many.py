"""`tunesmith many`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tunesmith.api.display.terminal import Bar, Terminal
from tunesmith.cli.options import OutputFile, common, examples
from tunesmith.errors import Problem, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.metrics.score_table import as_score
from tunesmith.storage.disk import as_path
from tunesmith.text import shortened
from tunesmith.training.device import num_processes

if TYPE_CHECKING:
    from tunesmith.many.states import State

__all__ = ["command"]

_STATES = {
    "pending": N_("pending"),
    "running": N_("running"),
    "done": N_("done"),
    "stopped": N_("stopped"),
    "failed": N_("failed"),
}
_STYLES = {"done": "good", "stopped": "weak", "failed": "bad"}
_MOST_ROWS = 50
"""Of more jobs, only those that are not done are listed."""


@click.command(
    "many",
    help=_(
        "Train many small jobs, each in its run folder. FILE has a JSON object per line: what "
        "(a recipe or data), out (the run folder) and settings (keys of the recipe). The same "
        "command does what is not done yet."
    ),
    epilog=examples(
        "tunesmith many jobs.jsonl --jobs 4",
        "tunesmith many jobs.jsonl --line $SLURM_ARRAY_TASK_ID",
    ),
)
@click.argument("file")
@click.option(
    "--jobs", "count", metavar="K", type=click.IntRange(min=1), default=1, show_default=True,
    help=_("Jobs at once; they share the processor and take the GPUs in turn."),
)  # fmt: skip
@click.option(
    "--line", metavar="N", type=click.IntRange(min=1),
    help=_("Train only the job of this line, from 1, as `tunesmith train` does."),
)  # fmt: skip
@click.option(
    "--index", metavar="FILE", type=OutputFile(),
    help=_("Where states are appended; default: NAME.index.jsonl next to FILE."),
)  # fmt: skip
@common
def command(
    terminal: Terminal, file: str, *, count: int, line: int | None, index: Path | None
) -> int:
    """Validate all lines, train what is not done, and print a table."""
    path = as_path(file)
    if line is not None:
        return _train_line(terminal, path, line)
    _refuse_launcher()
    from tunesmith.many.index import Index
    from tunesmith.many.jobs_file import read_jobs
    from tunesmith.many.run_jobs import run_jobs

    jobs = read_jobs(path)
    index = index or path.with_suffix(".index.jsonl")
    with terminal.bar(len(jobs)) as bar:
        progress = _Progress(terminal, bar, len(jobs))
        states, code = run_jobs(jobs, Index(index), count=count, on_state=progress.take)
    _show(terminal, [states[job.out] for job in jobs])
    return code


class _Progress:
    """A line for each job that has ended, and a bar where one can be drawn."""

    def __init__(self, terminal: Terminal, bar: Bar | None, count: int) -> None:
        self._terminal = terminal
        self._bar = bar
        self._count = count
        self._states: dict[str, str] = {}

    def take(self, state: State) -> None:
        """Show a change of a state."""
        self._states[state.out] = state.state
        known = list(self._states.values())
        ended = sum(name in _STYLES for name in known)
        self._terminal.record({"event": "job", **state.as_json()})
        if state.state in _STYLES:
            self._print(state, f"{ended}/{self._count}")
        if self._bar is not None:
            parts = [(name, known.count(name)) for name in ("running", "failed")]
            text = " · ".join(f"{count} {_(_STATES[name])}" for name, count in parts if count)
            self._bar.update(ended, epoch=_("jobs"), rate="", text=text)

    def _print(self, state: State, number: str) -> None:
        facts = [number, _(_STATES[state.state]), state.out, _score(state)]
        line = "  ".join(fact for fact in facts if fact)
        problems = [Problem.from_json(dict(problem)) for problem in state.problems]
        if self._bar is not None:
            self._bar.print(line)
            for problem in problems:
                self._bar.print(str(problem))
            return
        self._terminal.say(line, style=_STYLES[state.state])
        if not self._terminal.as_json:  # they are part of its record
            self._terminal.problems(problems)


def _refuse_launcher() -> None:
    """Refuse to be one of several processes.

    Raises:
        RecipeError: a launcher has started this one as one of several (C174).
    """
    if num_processes() > 1:
        message = _("this is one of {count} processes of a launcher")
        raise RecipeError.of(
            "C174",
            message.format(count=num_processes()),
            fix=_("Start `tunesmith many` once, with --jobs; it starts its processes itself."),
        )


def _train_line(terminal: Terminal, path: Path, line: int) -> int:
    """Train one job as `tunesmith train` would, and leave its state in its folder."""
    from tunesmith.cli.commands.train import train_one
    from tunesmith.many.jobs_file import read_job
    from tunesmith.many.run_job import recorded
    from tunesmith.training.peers import joined

    with joined():
        job = read_job(path, line)
        with recorded(job):
            train_one(terminal, job.layers(), job.out, job.what[0], restart=False)
    return 0


def _score(state: State) -> str:
    value = (state.scores or {}).get(state.best or "")
    return f"{state.best} {as_score(value)}" if value is not None else ""


def _show(terminal: Terminal, states: Sequence[State]) -> None:
    """Print a table of the jobs, and how many there are in each state."""
    listed = [state for state in states if len(states) <= _MOST_ROWS or state.state != "done"][
        :_MOST_ROWS
    ]
    terminal.table([_row(state) for state in listed], align_right=[_("line"), _("seconds")])
    counts = {name: sum(state.state == name for state in states) for name in _STATES}
    terminal.record({"event": "summary", **counts})
    parts = [f"{count} {_(_STATES[name])}" for name, count in counts.items() if count]
    terminal.result(" · ".join(parts))


def _row(state: State) -> Mapping[str, object]:
    return {
        _("line"): state.line,
        _("run"): state.out,
        _("state"): _(_STATES[state.state]),
        _("score"): _score(state) or "-",
        _("seconds"): "-" if state.seconds is None else f"{state.seconds:.1f}",
        _("reason"): f"{state.code} {shortened(state.message or '')}" if state.code else "",
    }
