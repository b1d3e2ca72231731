"""`tunesmith eval`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tunesmith.api.display.score_tables import score_warnings, show_scores
from tunesmith.api.display.terminal import Terminal
from tunesmith.cli.options import (
    ROOT,
    common,
    data_options,
    decision_options,
    examples,
    normalize_option,
    reading,
)
from tunesmith.errors import DataError, Problem
from tunesmith.i18n import gettext as _
from tunesmith.storage.names import model_source
from tunesmith.text import nearest

if TYPE_CHECKING:
    from tunesmith.analysis.training_rows import KnownRows

__all__ = ["command"]


@click.command(
    "eval",
    help=_("Score a finished model on labelled data."),
    epilog=examples(
        "tunesmith eval runs/tickets test.csv",
        "tunesmith eval runs/tickets test.csv --calibrated",
        "tunesmith eval owner/model glue/mrpc --split validation --json",
    ),
)
@click.argument("model")
@click.argument("what", metavar="DATA")
@click.option(
    "--split",
    help=_("Which split of the data; test if there is one, else validation, else the first."),
)
@click.option("--metric", "metrics", multiple=True, help=_("Scores, in place of the run's own."))
@decision_options
@click.option("--batch-size", type=click.IntRange(min=1), help=_("Most rows at once."))
@click.option("--revision", help=_("Branch, tag or commit of a Hub model."))
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto",
    help=_("Where to compute."),
)  # fmt: skip
@data_options
@normalize_option
@ROOT
@common
def command(
    model: str,
    what: str,
    split: str | None,
    metrics: tuple[str, ...],
    batch_size: int | None,
    **given: Any,
) -> int:
    """Load, score, show."""
    from tunesmith.analysis.training_rows import KnownRows
    from tunesmith.data.columns import Roles
    from tunesmith.data.open import open_splits
    from tunesmith.inference.load import load
    from tunesmith.runs.model_folder import score_facts

    terminal = Terminal.of(given)
    is_decided = given["calibrated"] or given["threshold"] is not None
    splits = open_splits(what, reading(given))
    name = split or next(
        (known for known in ("test", "validation") if known in splits), next(iter(splits))
    )
    if name not in splits:
        close = nearest(name, splits)
        fix = _("Splits: {names}.").format(names=", ".join(splits))
        if close:
            fix = _('did you mean "{name}"?').format(name=close[0]) + "\n" + fix
        raise DataError(Problem("D307", _('there is no split "{name}"').format(name=name), fix=fix))
    label = given["label"][0] if len(given["label"]) == 1 else given["label"] or "label"
    roles = Roles(given["text"], given["text_pair"], label) if given["text"] else None
    path = model_source(model, given["root"])
    loaded = load(path, revision=given["revision"], device=given["device"], roles=roles)
    known = KnownRows() if is_decided or not loaded.facts else _known(terminal, path)
    scores = loaded.evaluate(
        splits[name],
        metrics=metrics or None,
        calibrated=given["calibrated"],
        threshold=given["threshold"],
        batch_size=batch_size,
        normalize_labels=bool(given["normalize_labels"]),
        learnt=known.rows,
    )
    title = name if split or len(splits) > 1 else Path(what).name  # a file alone is no "train"
    facts = score_facts({title: scores}, by=loaded.facts.get("best"))
    show_scores(terminal, {**facts, "words_counted_in": (len(known.rows), known.total)})
    of_split = {key: of_splits.get(title, {}) for key, of_splits in facts.items()}
    terminal.record({"model": model, "data": what, "split": name, **of_split})
    terminal.problems(score_warnings(facts))
    return 0


def _known(terminal: Terminal, model: str) -> KnownRows:
    """The training rows of the model's run, or a line that says why there are none."""
    from tunesmith.analysis.training_rows import KnownRows, known_rows, run_of_model

    run = run_of_model(model)
    known = known_rows(run) if run else KnownRows(reason=_("its run is not here"))
    if known.reason:
        terminal.say(
            _("the TF-IDF baseline is not scored: training rows are not at hand ({reason})").format(
                reason=known.reason
            )
        )
    return known
