"""`tunesmith calibrate`."""

from __future__ import annotations

from typing import Any

import click

from tunesmith.cli.options import common, examples
from tunesmith.cli.runs import ROOT, find_run
from tunesmith.cli.terminal import Terminal
from tunesmith.language import gettext as _

__all__ = ["command"]


@click.command(
    "calibrate",
    help=_(
        "Fit the probabilities of a finished run to its validation rows, and thresholds to a goal. "
        "The result is kept in tunesmith.json of the model; `predict` and `eval` follow it with "
        "--calibrated."
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
        "to leave unsure rows unanswered. Without it there is a temperature alone."
    ),
)
@ROOT
@common
def command(run: str, goal: str | None, root: str, **given: Any) -> int:
    """Fit, write, and show what it changes."""
    terminal = Terminal.of(given)
    folder = find_run(run, root)
    from tunesmith.calibration import Goal
    from tunesmith.run.calibrate import calibrate_run, fit_as_json

    fit = calibrate_run(folder, goal=Goal.read(goal) if goal else None)
    terminal.problems(fit.warnings)
    terminal.record({"run": str(folder.path), **fit_as_json(fit)})
    before, after = fit.before, fit.after
    terminal.result(_("temperature {value:.3f}").format(value=fit.calibration.temperature))
    terminal.result(f"ece       {before.ece:.4f} → {after.ece:.4f}")
    terminal.result(f"loss      {before.loss:.4f} → {after.loss:.4f}")
    if fit.calibration.rule:
        terminal.result(f"accuracy  {_shown(before.accuracy)} → {_shown(after.accuracy)}")
        terminal.result(f"coverage  {before.coverage:.4f} → {after.coverage:.4f}")
        terminal.table(
            [
                {
                    _("label"): name,
                    _("threshold"): _shown(threshold),
                    **{
                        score: f"{_shown(getattr(before.tallies[name], score))} → "
                        f"{_shown(getattr(after.tallies[name], score))}"
                        for score in ("precision", "recall", "f1")
                    },
                }
                for name, threshold in (fit.calibration.thresholds or {}).items()
            ]
        )
    terminal.table(
        [
            {
                _("probability"): f"{point.confidence:.3f}",
                _("came true"): f"{point.share:.3f}",
                _("answers"): point.count,
            }
            for point in after.curve
        ],
        align_right=(_("probability"), _("came true"), _("answers")),
    )
    terminal.say(
        _(
            "fitted on {rows} validation rows, which it flatters; `tunesmith eval --calibrated` "
            "shows it on others"
        ).format(rows=fit.rows)
    )
    return 0


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
