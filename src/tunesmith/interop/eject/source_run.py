"""A run as a script must know it: read from its folder and its data, without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tunesmith.errors import (
    IntegrityError,
    Place,
    Problem,
    RecipeError,
    ResourceError,
)
from tunesmith.i18n import gettext as _
from tunesmith.inputs import Split, ValidatedInputs, resolve_inputs, validate_inputs
from tunesmith.metrics.scores import parse_selection
from tunesmith.models import ModelFiles, locate, overridden_dropout
from tunesmith.recipe import Layers, Recipe, TrainSettings, gather
from tunesmith.runs.folder import RunFolder
from tunesmith.tasks import ScriptParts, Task
from tunesmith.text import shell_quoted
from tunesmith.training.plan import Plan
from tunesmith.training.shuffling import FEISTEL_FROM

__all__ = ["STYLES", "ScriptSelection", "SourceRun", "load_run"]

STYLES = ("trainer", "loop", "accelerate")
"""How a script trains: transformers' Trainer, a loop by hand, or that loop under Accelerate."""


@dataclass(frozen=True, slots=True)
class ScriptSelection:
    """How the best model is selected.

    Attributes:
        score: the metric that is compared.
        higher: whether higher is better.
        patience: evaluations without improvement after which to stop; None for never.
    """

    score: str
    higher: bool
    patience: int | None


@dataclass(frozen=True)
class SourceRun:
    """A run as a script must know it.

    Attributes:
        style: one of `STYLES`.
        name: of the run.
        recipe: complete.
        task: fitted.
        parts: the task as code.
        plan: what followed from recipe and data.
        splits: the rows of each split.
        files: the pretrained model.
        max_length: tokens per row.
        precision: "fp32" or "bf16", as it was computed.
        device: what the run used, such as "cpu".
        skipped: steps that were skipped because their gradient was not finite.
        custom_metrics: names of metrics that are Python functions.
    """

    style: str
    name: str
    recipe: Recipe
    task: Task
    parts: ScriptParts
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
    def scored(self) -> tuple[str, ...]:
        """The splits to score, in order; not a test split without labels."""
        names = ("validation", "test")
        return tuple(n for n in names if n in self.splits and self.splits[n].is_labeled)

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
        """Whether deterministic kernels had to be requested; on a CPU all of them are."""
        return self.train.deterministic and self.device.startswith("cuda")

    @cached_property
    def micro_batch_size(self) -> int | None:
        """Rows per forward pass; None for the whole batch, and where Trainer cannot divide it."""
        size, batch_size = self.plan.micro_batch_size, self.plan.batch_size
        if size >= batch_size:
            return None
        if self.style == "trainer" and (batch_size % size or self.parts.corrupt):
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
        """The metrics of each evaluation, without the loss."""
        names = [*(self.recipe.metrics or self.task.default_metrics)]
        if self.selection:
            names.append(self.selection.score)
        return tuple(dict.fromkeys(name for name in names if name != "loss"))

    @cached_property
    def selection(self) -> ScriptSelection | None:
        """How the best model is selected; None keeps the last weights."""
        best = self.train.select_by
        if best is None or not self.evaluates:
            return None
        stop = self.train.early_stopping
        patience = int(stop.amount) if stop else None
        own, higher = parse_selection(best)
        if higher is not None:
            known = own == "loss" or own in self.task.metrics
            return ScriptSelection(own, higher, patience) if known else None
        if best == "loss":
            return ScriptSelection("loss", higher=False, patience=patience)
        return ScriptSelection(best, self.task.metrics[best].higher_is_better, patience)

    @property
    def left_out(self) -> Mapping[str, str]:
        """What the script does not reproduce: the reason by the key of the recipe."""
        left_out = dict(self.parts.left_out)
        if self.train.select_by and self.evaluates and self.selection is None:
            left_out["train.select_by"] = _(
                '"{score}" is a custom metric; the last weights are kept'
            ).format(score=self.train.select_by)
        elif self.custom_metrics:
            names = ", ".join(self.custom_metrics)
            left_out["compute_metrics"] = _("custom metrics: {names}").format(names=names)
        if self.micro_batch_size is None and self.plan.micro_batch_size < self.plan.batch_size:
            left_out["train.micro_batch_size"] = _(
                "Trainer cannot divide the batch so; each step is one batch, with other dropout"
            )
        if self.train.sampling != "natural":
            left_out["train.sampling"] = _("the script reads each row once per epoch")
        if self.plan.num_examples >= FEISTEL_FROM:
            left_out["train.seed"] = _("with this many rows their order is another permutation")
        if self.skipped:
            steps = ", ".join(str(step) for step in self.skipped)
            reason = _("the run skipped steps {steps}").format(steps=steps)
            left_out[_("gradients that were not finite")] = reason
        if "test" in self.splits and "test" not in self.scored:
            left_out["data.test"] = _("it has no labels, and predictions are not written")
        return left_out


def load_run(folder: RunFolder, *, style: str) -> SourceRun:
    """Read a run's folder, and its data once more.

    Raises:
        ResourceError: it has not started to train (C121), or its rows were passed from Python
            (C123).
        IntegrityError: its data changed since (C122).
        RecipeError: its task cannot be written as a script (R200).
        TunesmithError: recipe, data or model can no longer be read.
    """
    planned = folder.plan_facts()
    if not planned:
        raise ResourceError.of(
            "C121",
            _("the run has no plan.json: it has not started to train"),
            Place(str(folder.path)),
            fix=_("Train it first: tunesmith train {recipe} --out {run}").format(
                recipe=shell_quoted(folder.recipe), run=shell_quoted(folder.path)
            ),
        )
    inputs = _read_inputs(folder, gather(file=folder.recipe, environment={}), planned)
    recipe = inputs.recipe
    assert recipe.model is not None  # noqa: S101 - a run's recipe is complete
    machine = planned["fingerprint"]["machine"]
    metadata = folder.facts()
    known = {*metadata.get("metrics", ()), "loss"}
    scores = metadata.get("scores", {}).get("validation", ())
    return SourceRun(
        style=style,
        name=folder.name,
        recipe=recipe,
        task=inputs.task,
        parts=_script_parts(inputs.task),
        plan=Plan(**planned["plan"]),
        splits=inputs.splits,
        files=locate(recipe.model, revision=planned["model"]["revision"]),
        max_length=planned["max_length"],
        precision=machine["precision"],
        device=machine["device"],
        skipped=[e["step"] for e in folder.history().events if e.get("code") == "M116"],
        custom_metrics=[name for name in scores if name not in known],
    )


def _script_parts(task: Task) -> ScriptParts:
    if (parts := task.script_parts) is not None:
        return parts
    raise RecipeError.of(
        "R200",
        _("{task} cannot be written as a script: parts of it exist only in tunesmith").format(
            task=task.name
        ),
        Place("task"),
        fix=_("Continue to train and evaluate the run with tunesmith."),
    )


def _read_inputs(folder: RunFolder, layers: Layers, planned: Mapping[str, Any]) -> ValidatedInputs:
    """Read the run's rows, and check that they are those that it was trained on."""
    if layers.recipe().data.train == "python":
        raise ResourceError.of(
            "C123",
            _("its rows were passed from Python; a script cannot read them again"),
            Place(str(folder.path)),
            fix=_("Write them to a file, such as rows.jsonl, and train on that."),
        )
    inputs = validate_inputs(resolve_inputs(layers))
    digests = planned["fingerprint"]["data"]
    changed = [
        Problem(
            "C122",
            _("the {split} rows changed since the run; a script would give other numbers").format(
                split=name
            ),
            Place(split.source.name),
            fix=_("Restore the old file, or train again."),
        )
        for name, split in inputs.splits.items()
        if digests.get(name) != split.digest
    ]
    if changed:
        raise IntegrityError(changed)
    return inputs
