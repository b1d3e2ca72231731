"""What a plain script says of a run: read from its folder and its data, without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tunesmith.errors import IntegrityError, Place, Problem, ResourceError
from tunesmith.i18n import gettext as _
from tunesmith.inputs import Split, ValidatedInputs, check, look
from tunesmith.models import ModelFiles, locate, overridden_dropout
from tunesmith.recipe import Layers, Recipe, TrainSettings, gather
from tunesmith.runs.folder import RunFolder
from tunesmith.tasks import Task
from tunesmith.text import shell_quoted
from tunesmith.training.plan import FEISTEL_FROM, Plan

__all__ = ["STYLES", "Facts", "LeftOut", "ModelSelectionFacts", "facts_of"]

STYLES = ("trainer", "loop", "accelerate")
"""How a script trains: transformers' Trainer, a loop by hand, or that loop under Accelerate."""


@dataclass(frozen=True, slots=True)
class ModelSelectionFacts:
    """How the best model is chosen.

    Attributes:
        score: its name.
        higher: whether higher is better.
        patience: evaluations without a better score after which to stop; None for never.
    """

    score: str
    higher: bool
    patience: int | None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A part of a run that a plain script does not repeat.

    Attributes:
        key: of the recipe, or what it is about.
        reason: why, in words.
    """

    key: str
    reason: str


@dataclass(frozen=True)
class Facts:
    """A run as a plain script has to know it.

    Attributes:
        style: one of `STYLES`.
        run: its name.
        recipe: whole.
        task: fitted.
        plan: what followed from recipe and data.
        splits: the rows of each split.
        files: the pretrained model.
        max_length: tokens per row.
        precision: "fp32" or "bf16", as it was computed.
        device: what the run used, such as "cpu".
        skipped: steps whose update was not finite and left out.
        own_scores: names of scores that came from Python.
    """

    style: str
    run: str
    recipe: Recipe
    task: Task
    plan: Plan
    splits: Mapping[str, Split]
    files: ModelFiles
    max_length: int
    precision: str
    device: str
    skipped: Sequence[int]
    custom_metrics: Sequence[str]

    @property
    def train(self) -> TrainSettings:
        """The recipe's settings of training."""
        return self.recipe.train

    @property
    def hides_words(self) -> bool:
        """Whether the model learns from hidden words and not from a label."""
        return not self.task.needs_label

    @property
    def scored(self) -> tuple[str, ...]:
        """The splits to score, in order; test rows without labels are none."""
        names = ("validation", "test")
        return tuple(n for n in names if n in self.splits and self.splits[n].is_labelled)

    @property
    def evaluates(self) -> bool:
        """Whether validation is scored while the model trains."""
        return "validation" in self.splits and self.plan.evaluation_interval is not None

    @property
    def evaluation_interval(self) -> float:
        """Steps between evaluations, a whole number where it is one; 0 for never."""
        every = self.plan.evaluation_interval or 0
        return int(every) if every == int(every) else every

    @property
    def evaluation_due(self) -> str:
        """The test whether validation is scored once `step` steps are done, as code."""
        is_whole = isinstance(self.evaluation_interval, int)
        due = "step % EVALUATE_EVERY == 0" if is_whole else "(step + 1e-9) % EVALUATE_EVERY < 1"
        return f"{due} or step == TOTAL_STEPS"

    @property
    def is_deterministic(self) -> bool:
        """Whether kernels had to be chosen that repeat exactly; on a CPU all of them do."""
        return self.train.deterministic and self.device.startswith("cuda")

    @cached_property
    def micro_batch_size(self) -> int | None:
        """Rows per forward pass; None for all of a step at once, and where Trainer cannot cut."""
        size, whole = self.plan.micro_batch_size, self.plan.batch_size
        if size >= whole:
            return None
        if self.style == "trainer" and (whole % size or self.hides_words):
            return None
        return size

    @cached_property
    def dropout_rates(self) -> Mapping[str, float]:
        """Values of the model's config that the recipe overrides."""
        rate = self.train.dropout
        return {} if rate is None else overridden_dropout(self.files.config(), rate)

    @property
    def draws_dropout(self) -> bool:
        """Whether training draws from torch's own generator."""
        return self.train.dropout != 0

    @property
    def metrics(self) -> tuple[str, ...]:
        """What is computed at each evaluation, the loss left out."""
        names = [*(self.recipe.metrics or self.task.default_metrics)]
        if self.chooser:
            names.append(self.chooser.score)
        return tuple(dict.fromkeys(name for name in names if name != "loss"))

    @cached_property
    def chooser(self) -> ModelSelectionFacts | None:
        """Which score chooses the model; None keeps the last weights."""
        best = self.train.select_by
        if best is None or not self.evaluates:
            return None
        stop = self.train.early_stopping
        patience = int(stop.amount) if stop else None
        word, _space, own = best.partition(" ")
        if word in ("highest", "lowest") and own:
            known = own == "loss" or own in self.task.metrics
            return ModelSelectionFacts(own, word == "highest", patience) if known else None
        if best == "loss":
            return ModelSelectionFacts("loss", higher=False, patience=patience)
        return ModelSelectionFacts(best, self.task.metrics[best].higher_is_better, patience)

    @property
    def left_out(self) -> list[LeftOut]:
        """What has no plain equal."""
        found = []
        if self.train.select_by and self.evaluates and self.chooser is None:
            found.append(
                LeftOut(
                    "train.select_by",
                    _('"{score}" is a score of your own; the last weights are kept').format(
                        score=self.train.select_by
                    ),
                )
            )
        elif self.custom_metrics:
            names = ", ".join(self.custom_metrics)
            found.append(
                LeftOut("compute_metrics", _("scores of your own: {names}").format(names=names))
            )
        if self.micro_batch_size is None and self.plan.micro_batch_size < self.plan.batch_size:
            found.append(
                LeftOut(
                    "train.micro_batch_size",
                    _("Trainer cannot cut a step so; each step is one batch, with other dropout"),
                )
            )
        if self.plan.num_examples >= FEISTEL_FROM:
            found.append(
                LeftOut("train.seed", _("the order of so many rows is another permutation"))
            )
        if self.skipped:
            steps = ", ".join(str(step) for step in self.skipped)
            found.append(
                LeftOut(
                    _("updates that were not finite"),
                    _("the run left out those of steps {steps}").format(steps=steps),
                )
            )
        if "test" in self.splits and "test" not in self.scored:
            found.append(
                LeftOut("data.test", _("it has no labels, and predictions are not written"))
            )
        return found


def facts_of(run: RunFolder, *, style: str) -> Facts:
    """Read a run's folder, and its data once more.

    Raises:
        ResourceError: it has not begun to train (C121), or its rows were held in Python (C123).
        IntegrityError: its data changed since (C122).
        PlainError: recipe, data or model cannot be read any more.
    """
    planned = run.plan_facts()
    if not planned:
        raise ResourceError(
            Problem(
                "C121",
                _("the run has no plan.json: it has not begun to train"),
                Place(str(run.path)),
                fix=_("Train it first: tunesmith train {recipe} --out {run}").format(
                    recipe=shell_quoted(run.recipe), run=shell_quoted(run.path)
                ),
            )
        )
    checked = _checked(run, gather(file=run.recipe, environment={}), planned)
    recipe = checked.recipe
    assert recipe.model is not None  # noqa: S101 - a run's recipe is whole
    machine = planned["fingerprint"]["machine"]
    found = run.facts()
    known = {*found.get("metrics", ()), "loss"}
    return Facts(
        style=style,
        run=run.name,
        recipe=recipe,
        task=checked.task,
        plan=Plan(**planned["plan"]),
        splits=checked.splits,
        files=locate(recipe.model, revision=planned["model"]["revision"]),
        max_length=planned["max_length"],
        precision=machine["precision"],
        device=machine["device"],
        skipped=[event["step"] for event in run.history().events if event.get("code") == "M116"],
        custom_metrics=[
            name for name in found.get("scores", {}).get("validation", ()) if name not in known
        ],
    )


def _checked(run: RunFolder, layers: Layers, planned: Mapping[str, Any]) -> ValidatedInputs:
    """The run's rows, seen to be those that it was trained on."""
    if layers.recipe().data.train == "python":
        raise ResourceError(
            Problem(
                "C123",
                _("its rows were held in Python; a script cannot read them again"),
                Place(str(run.path)),
                fix=_("Write them to a file, such as rows.jsonl, and train on that."),
            )
        )
    checked = check(look(layers))
    was = planned["fingerprint"]["data"]
    changed = [
        Problem(
            "C122",
            _("the {split} rows changed since the run; a script could not give its numbers").format(
                split=name
            ),
            Place(split.source.name),
            fix=_("Bring the old file back, or train again."),
        )
        for name, split in checked.splits.items()
        if was.get(name) != split.digest
    ]
    if changed:
        raise IntegrityError(changed)
    return checked
