"""The metrics of a script: those of scikit-learn and scipy, by the names that the run uses."""

from __future__ import annotations

from tunesmith.i18n import gettext as _
from tunesmith.interop.eject.cells import Cell, block, stacked
from tunesmith.interop.eject.source_run import SourceRun

__all__ = ["scores_cell"]


def scores_cell(run: SourceRun) -> Cell:
    """`compute_scores`, from what evaluation keeps of all rows."""
    parts = run.parts
    metrics = {
        name: parts.metrics[name] for name in (*run.metrics, "loss") if name in parts.metrics
    }
    notes = [parts.metric_notes[name] for name in metrics if name in parts.metric_notes]
    code = block(
        f"def compute_scores({'values, _labels' if parts.statistics else 'logits, labels'}):",
        [f"    {line}" for line in parts.scores.splitlines()],
        "    return {",
        [f'        "{name}": {expression},' for name, expression in metrics.items()],
        "    }",
    )
    if own := parts.statistics:
        return Cell(_("Scores"), stacked(own.code, code), [*own.notes, *dict.fromkeys(notes)])
    return Cell(_("Scores"), code, list(dict.fromkeys(notes)))
