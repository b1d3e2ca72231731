"""`tunesmith calibrate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tunesmith.api.display.terminal import Terminal, padded
from tunesmith.cli.options import ROOT, common, examples, find_run
from tunesmith.i18n import gettext as _

if TYPE_CHECKING:
    from tunesmith.metrics.calibration import CalibrationResult

__all__ = ["command"]


@click.command(
    "calibrate",
    help=_(
        "Calibrate the probabilities of a finished run on its validation rows, and choose "
        "thresholds for a goal. The result is stored in the model's tunesmith.json; `predict` and "
        "`eval` apply it with --calibrated."
    ),
    epilog=examples(
        "tunesmith calibrate runs/tickets",
        "tunesmith calibrate runs/tickets --goal precision=0.9 --json",
    ),
)
@click.argument("run")
@click.option(
    "--goal",
    metavar="GOAL",
    help=_(
        "f1 for the highest F1, precision=P for the highest recall at that precision, accuracy=P "
        "to abstain on uncertain rows. Without a goal only a temperature is fitted."
    ),
)
@ROOT
@common
def command(terminal: Terminal, run: str, goal: str | None, root: str) -> int:
    """Fit, write, and show what changes."""
    folder = find_run(run, root)
    from tunesmith.analysis.calibrate import calibrate_run, fit_as_json
    from tunesmith.metrics.thresholds import Goal

    fit = calibrate_run(folder, goal=Goal.read(goal) if goal else None)
    terminal.problems(fit.warnings)
    terminal.record({"run": str(folder.path), **fit_as_json(fit)})
    _show(fit, terminal)
    terminal.say(
        _(
            "fitted on these {rows} validation rows, so the scores are optimistic; `tunesmith eval "
            "--calibrated` scores other rows"
        ).format(rows=fit.rows)
    )
    return 0


def _show(fit: CalibrationResult, terminal: Terminal) -> None:
    """Print scores before and after, thresholds if any, and the reliability curve."""
    before, after = fit.before, fit.after
    terminal.result(_("temperature {value:.3f}").format(value=fit.calibration.temperature))
    changes: dict[str, tuple[float | None, float | None]] = {
        "ece": (before.ece, after.ece),
        "loss": (before.loss, after.loss),
    }
    if fit.calibration.rule:
        changes["accuracy"] = (before.accuracy, after.accuracy)
        changes["coverage"] = (before.coverage, after.coverage)
    for name, pair in changes.items():
        terminal.result(padded(name, 10) + _change(*pair))
    rows = []
    for name, threshold in (fit.calibration.thresholds or {}).items():
        was, now = before.classes[name], after.classes[name]
        rows.append(
            {
                _("label"): name,
                _("threshold"): _shown(threshold),
                "precision": _change(was.precision, now.precision),
                "recall": _change(was.recall, now.recall),
                "f1": _change(was.f1, now.f1),
            }
        )
    terminal.table(rows)
    curve = [
        {
            _("probability"): f"{point.confidence:.3f}",
            _("observed"): f"{point.share:.3f}",
            _("predictions"): point.count,
        }
        for point in after.curve
    ]
    terminal.table(curve, align_right=list(curve[0]))


def _change(was: float | None, now: float | None) -> str:
    return f"{_shown(was)} → {_shown(now)}"


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
