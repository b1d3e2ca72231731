"""`tunesmith quickstart`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from tunesmith.api.display.progress import ProgressReport, example_texts
from tunesmith.api.display.terminal import Terminal, padded
from tunesmith.cli.options import common, examples
from tunesmith.i18n import current_language
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.metrics.output_kinds import shown_label
from tunesmith.metrics.score_table import as_score
from tunesmith.storage.disk import as_path
from tunesmith.text import shell_quoted, shortened

__all__ = ["command"]

_TRAININGS = {
    "embedded:mini": N_("fine-tuning embedded:mini"),
    "embedded:mini-untrained": N_("the same encoder without pretraining, same steps"),
}
_TITLES = {
    "constant": N_("majority class"),
    "tfidf": N_("TF-IDF baseline (linear model)"),
    "frequent": N_("usual tag of each word"),
    "embedded:mini-untrained": N_("encoder without pretraining"),
    "embedded:mini": N_("embedded:mini, pretrained"),
}


@click.command(
    "quickstart",
    help=_(
        "Run the whole workflow in about a minute: data, tokens, fine-tuning, scores with "
        "baselines, a prediction. Works offline; everything comes with the package."
    ),
    epilog=examples("tunesmith quickstart", "tunesmith quickstart --task ratings --lang zh"),
)
@click.option(
    "--task", type=click.Choice(["pairs", "tickets", "ratings", "entities"]), default="pairs",
    show_default=True, help=_("Embedded data set to learn from."),
)  # fmt: skip
@click.option(
    "--out", metavar="DIR", default="runs/quickstart", show_default=True,
    help=_("Folder of the runs."),
)  # fmt: skip
@common
def command(terminal: Terminal, task: str, out: str) -> int:
    """Run the stages and show each."""
    from tunesmith.api.quickstart import quickstart

    with ExitStack() as drawing:
        tour = _Tour(terminal, as_path(out), task, drawing)
        for stage in quickstart(task, as_path(out), current_language()):
            tour.take(stage)
    tour.end()
    return 0


class _Tour:
    """Shows each stage, and collects the summary for `--json`."""

    def __init__(self, terminal: Terminal, out: Path, task: str, drawing: ExitStack) -> None:
        self._terminal = terminal
        self._model = out / task / "mini"
        self._record: dict[str, object] = {"event": "summary", "task": task, "runs": str(out)}
        self._drawing = drawing
        self._report: ProgressReport | None = None
        self._is_new = False

    def take(self, stage: Any) -> None:
        """Show one stage or event."""
        show = getattr(self, f"_{type(stage).__name__.lower()}", None)
        if show is not None:
            show(stage)
        elif self._report is not None:
            self._is_new = True
            self._report.take(stage)

    def end(self) -> None:
        """Print where the model is, and what to run next."""
        say = self._terminal.say
        say("")
        say(
            _("the model is in {path}, a plain Hugging Face folder").format(
                path=self._model / "model"
            )
        )
        say(_("now with your data:"))
        say("  tunesmith train my.csv")
        texts = " ".join(f'"{text}"' for text in example_texts(self._model / "model"))
        say(f"  tunesmith predict {shell_quoted(self._model)} {texts}")
        self._terminal.record(self._record)

    def _dataseen(self, stage: Any) -> None:
        say = self._terminal.say
        self._head(_("the data: {name}").format(name=stage.name))
        say("  " + "  ".join(f"{name} {count}" for name, count in stage.rows.items()))
        for name, kind, classes in stage.columns:
            say(f"  {padded(name, 12)}{kind}  {', '.join(classes)}".rstrip())
        for name, value in stage.example.items():
            say(f"    {padded(name, 10)}{shortened(str(value), at_most=90)}")
        self._record["rows"] = dict(stage.rows)

    def _tokensseen(self, stage: Any) -> None:
        say = self._terminal.say
        self._head(_("what the model reads"))
        say("  " + shortened(" ".join(stage.tokens), at_most=200))
        say(
            _("  the first rows have {lengths} tokens").format(
                lengths=", ".join(map(str, stage.lengths))
            )
        )
        rows, longest = stage.shape
        say(
            _("  padded to the longest: a batch of {rows} x {longest}, {share:.0%} of it tokens")
            .format(rows=rows, longest=longest, share=stage.real)
        )  # fmt: skip
        self._record["first_batch"] = list(stage.shape)

    def _begun(self, stage: Any) -> None:
        self._head(_(_TRAININGS[stage.model]))
        self._report = ProgressReport(self._terminal)
        self._is_new = False
        self._drawing.enter_context(self._report.drawn(stage.plan))

    def _trained(self, stage: Any) -> None:
        self._drawing.close()
        line = _("  {seconds:.1f} s of training") if self._is_new else _("  already finished")
        self._terminal.say(line.format(seconds=stage.seconds))

    def _compared(self, stage: Any) -> None:
        self._head(_("scores on the test rows"))
        names = list(stage.metrics)
        rows = [
            {
                "": "  " + _(_TITLES[model]),
                **{name: as_score(scores.get(name)) for name in names},
            }
            for model, scores in stage.rows
        ]
        self._terminal.table(rows, align_right=names)
        self._record["scores"] = {model: dict(scores) for model, scores in stage.rows}
        first, by_model = names[0], dict(stage.rows)
        ours = by_model["embedded:mini"].get(first)
        plain = by_model["embedded:mini-untrained"].get(first)
        if ours is not None and plain is not None:
            self._terminal.say(
                _("  pretraining is worth {gain:+.1f} points of {metric} here").format(
                    gain=100 * (ours - plain), metric=first
                )
            )

    def _answer(self, stage: Any) -> None:
        self._head(_("a new example"))
        for text in stage.texts:
            self._terminal.result(f"  {text}")
        label = shown_label(stage.label)
        self._terminal.result(f"  → {label}  {stage.score:.2f}")
        self._record["answer"] = {"texts": list(stage.texts), "label": label, "score": stage.score}

    def _head(self, title: str) -> None:
        self._terminal.say("")
        self._terminal.say(title)
