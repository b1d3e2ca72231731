"""`tunesmith eval`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tunesmith.api.display.score_tables import score_warnings, show_scores
from tunesmith.api.display.terminal import Terminal
from tunesmith.cli.least_scores import LeastScore, fail_under_option, require_scores
from tunesmith.cli.options import (
    ROOT,
    common,
    data_options,
    decision_options,
    examples,
    model_options,
    normalize_option,
    reading,
    split_named,
)
from tunesmith.i18n import gettext as _
from tunesmith.storage.names import model_source

if TYPE_CHECKING:
    from tunesmith.analysis.training_rows import KnownRows

__all__ = ["command"]


@click.command(
    "eval",
    help=_("Score a finished model on labeled data."),
    epilog=examples(
        "tunesmith eval runs/tickets test.csv",
        "tunesmith eval runs/tickets test.csv --fail-under accuracy=0.8",
        "tunesmith eval owner/model glue/mrpc --split validation --json",
    ),
)
@click.argument("model")
@click.argument("what", metavar="DATA")
@click.option(
    "--split",
    help=_("Split of the data; default: test, else validation, else the first."),
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    help=_("Metrics to compute instead of those of the run; repeatable."),
)
@fail_under_option
@decision_options
@model_options
@data_options
@normalize_option
@ROOT
@common
def command(
    terminal: Terminal,
    model: str,
    what: str,
    split: str | None,
    metrics: tuple[str, ...],
    **flags: Any,
) -> int:
    """Load the model, score it on the split, show the scores."""
    from tunesmith.analysis.training_rows import KnownRows
    from tunesmith.data.columns import Roles
    from tunesmith.data.open import open_splits
    from tunesmith.inference.load import load
    from tunesmith.runs.model_folder import score_facts

    fail_under: tuple[LeastScore, ...] = flags["fail_under"]
    is_decided = flags["calibrated"] or flags["threshold"] is not None
    splits = open_splits(what, reading(flags))
    name = split or next(
        (known for known in ("test", "validation") if known in splits), next(iter(splits))
    )
    source = split_named(splits, name)
    label = flags["label"][0] if len(flags["label"]) == 1 else flags["label"] or "label"
    roles = Roles(flags["text"], flags["text_pair"], label) if flags["text"] else None
    path = model_source(model, flags["root"])
    loaded = load(
        path,
        revision=flags["revision"],
        device=flags["device"],
        roles=roles,
        disable=flags["disable"],
    )
    known = KnownRows() if is_decided or not loaded.facts else _known(terminal, path)
    names = [metric.name for metric in loaded.metrics(metrics or None)]
    scores = loaded.evaluate(
        source,
        metrics=[*names, *(least.metric for least in fail_under)],
        calibrated=flags["calibrated"],
        threshold=flags["threshold"],
        batch_size=flags["batch_size"],
        normalize_labels=bool(flags["normalize_labels"]),
        training_rows=known.rows,
    )
    title = name if split or len(splits) > 1 else Path(what).name  # a file alone is no "train"
    facts = score_facts({title: scores}, by=loaded.facts.get("best"))
    show_scores(terminal, {**facts, "words_counted_in": (len(known.rows), known.total)})
    of_split = {key: of_splits.get(title, {}) for key, of_splits in facts.items()}
    terminal.record({"model": model, "data": what, "split": name, **of_split})
    terminal.problems(score_warnings(facts))
    require_scores(fail_under, scores, what)
    return 0


def _known(terminal: Terminal, model: str) -> KnownRows:
    """The training rows of the model's run; prints why if there are none."""
    from tunesmith.analysis.training_rows import KnownRows, known_rows, run_of_model

    run = run_of_model(model)
    known = known_rows(run) if run else KnownRows(reason=_("its run was not found"))
    if known.reason:
        terminal.say(
            _("no TF-IDF baseline: training rows are not available ({reason})").format(
                reason=known.reason
            )
        )
    return known
