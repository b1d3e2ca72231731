"""The model card: README.md of a model folder, without blanks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.i18n import gettext as _
from tunesmith.metrics.baselines import BASELINES
from tunesmith.metrics.score_table import baseline_title
from tunesmith.metrics.scores import Scores
from tunesmith.runs.markdown import code, plain, table
from tunesmith.text import escape_controls

__all__ = ["CardFacts", "with_calibration", "write_card"]

_BEGIN, _END = "<!-- calibration -->", "<!-- /calibration -->"
"""Lines around the section about calibration; no text of the data makes a line of its own."""
_SECTION = re.compile(f"^{_BEGIN}$.*?^{_END}$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class CardFacts:
    """All that a card says.

    Attributes:
        name: of the model.
        task: as recipes name it.
        pipeline: of transformers, or what the Hub calls the task; None if it has no name for it.
        base_model: what was fine-tuned, and at which commit.
        base_revision: the commit, if it came from the Hub.
        dataset: a name of the data.
        hub_dataset: its repository on the Hub, if it came from there.
        rows: how many rows each split has.
        labels: what was learned from the rows, a line each.
        length: the most tokens per row, and how many training rows were cut.
        scores: by split, with their intervals and baselines.
        recipe: the whole recipe as YAML.
        seed: of training.
        versions: of the libraries.
        usage: code that answers with the model.
        headline: how good the model is, one sentence.
        warnings: what is odd about the rows, a line each.
    """

    name: str
    task: str
    pipeline: str | None
    base_model: str
    base_revision: str | None
    dataset: str
    hub_dataset: str | None
    rows: Mapping[str, int]
    labels: Sequence[str]
    length: str
    scores: Mapping[str, Scores]
    recipe: str
    seed: int
    versions: Mapping[str, str]
    usage: str
    headline: str
    warnings: Sequence[str] = ()


def write_card(facts: CardFacts) -> str:
    """Return the card as Markdown with YAML metadata that the Hub reads."""
    parts = [
        f"---\n{_metadata(facts)}\n---",
        f"# {plain(facts.name)}",
        f"**{plain(facts.headline)}**",
        _("{base} fine-tuned for {task} on {dataset}.").format(
            base=code(facts.base_model), task=facts.task, dataset=code(facts.dataset)
        ),
        *_score_tables(facts),
        f"{_BEGIN}\n{_END}",
        "## " + _("Use"),
        f"```python\n{facts.usage}\n```",
        "## " + _("Data"),
        table([_("split"), _("rows")], [[name, str(n)] for name, n in facts.rows.items()]),
        "\n".join(f"- {plain(line)}" for line in (*facts.labels, facts.length)),
        *_warned(facts),
        "## " + _("Limits"),
        _(
            "It has learned from the rows named above and knows nothing of other kinds of text, "
            "other languages or other labels. The scores hold for rows like those they were "
            "measured on."
        ),
        "## " + _("How it was made"),
        _("Base model: {base}, revision {revision}. Seed {seed}. Versions: {versions}.").format(
            base=code(facts.base_model),
            revision=code(facts.base_revision or _("local files")),
            seed=facts.seed,
            versions=", ".join(f"{name} {version}" for name, version in facts.versions.items()),
        ),
        _("The recipe, from which `tunesmith train recipe.yaml` makes it again:"),
        f"```yaml\n{facts.recipe.rstrip()}\n```",
    ]
    return escape_controls("\n\n".join(parts), keep="\n") + "\n"


def with_calibration(card: str, calibration: Mapping[str, Any]) -> str:
    """Return the card with what a calibration changes, instead of an older one.

    Args:
        card: as `write_card` wrote it.
        calibration: as `tunesmith.json` has it under "calibration".
    """
    section = escape_controls(f"{_BEGIN}\n\n{_calibration(calibration)}\n\n{_END}", keep="\n")
    match = _SECTION.search(card)
    if match is None:
        return f"{card.rstrip()}\n\n{section}\n"
    return card[: match.start()] + section + card[match.end() :]


def _calibration(calibration: Mapping[str, Any]) -> str:
    """Temperature, what it changes on the rows it was fitted on, and thresholds if any."""
    before, after = calibration["before"], calibration["after"]
    names = ["ece", "loss", *(["accuracy", "coverage"] if calibration["rule"] else [])]
    parts = [
        "## " + _("Calibration"),
        _(
            "Temperature {temperature:.3f}, fitted on the {rows} rows of {split}, which it "
            "flatters. `tunesmith predict --calibrated` follows it; `transformers` alone does not."
        ).format(**{key: calibration[key] for key in ("temperature", "rows", "split")}),
        table(
            [calibration["split"], _("before"), _("after")],
            [[name, _score(before[name]), _score(after[name])] for name in names],
        ),
    ]
    if calibration["rule"]:
        parts += [
            _("Thresholds for the goal {goal}: the least probability of an answer.").format(
                goal=code(calibration["goal"])
            ),
            table(
                [_("label"), _("threshold")],
                [[plain(name), _score(least)] for name, least in calibration["thresholds"].items()],
            ),
        ]
    return "\n\n".join(parts)


def _warned(facts: CardFacts) -> Iterator[str]:
    if facts.warnings:
        yield "## " + _("Data warnings")
        yield _("What is odd about the rows it has learned from and was scored on:")
        yield "\n".join(f"- {plain(line)}" for line in facts.warnings)


def _metadata(facts: CardFacts) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type=facts.pipeline or facts.task,
            task_name=facts.task,
            dataset_type=facts.hub_dataset or "private",
            dataset_name=escape_controls(facts.dataset),
            dataset_split=split,
            metric_type=name,
            metric_name=name,
            metric_value=round(value, 6),
        )
        for split, scores in facts.scores.items()
        for name, value in scores.values.items()
        if value is not None
    ]
    data = ModelCardData(
        library_name="transformers",
        pipeline_tag=facts.pipeline,
        base_model=escape_controls(facts.base_model),
        base_model_relation="finetune",
        datasets=[facts.hub_dataset] if facts.hub_dataset else None,
        metrics=sorted({name for s in facts.scores.values() for name in s.values} - {"loss"})
        or None,
        tags=["tunesmith", facts.task],
        model_name=escape_controls(facts.name) if results else None,
        eval_results=results or None,
    )
    return str(data.to_yaml()).strip()


def _score_tables(facts: CardFacts) -> Iterator[str]:
    """A table per split: each score, its interval, and what simple means score."""
    if facts.scores:
        yield "## " + _("Scores")
    for split, scores in facts.scores.items():
        simple = [name for name in BASELINES if name in scores.baselines]
        titles = [
            split,
            _("score"),
            "95%",
            *(baseline_title(name, scores.values) for name in simple),
        ]
        rows = []
        for name, value in scores.values.items():
            interval = scores.intervals.get(name)
            ends = (
                _("{low} to {high}").format(low=_score(interval.low), high=_score(interval.high))
                if interval
                else "-"
            )
            simple_scores = (_score(scores.baselines[baseline].get(name)) for baseline in simple)
            rows.append([name, _score(value), ends, *simple_scores])
        yield table(titles, rows)
    yield _(
        "95%: where the score on all rows of the same kind may be, if these rows are independent "
        "of each other. Training again with another seed adds to that."
    )


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
