"""How the model of a Trainer is run: on which device, by which engine, dressed or at rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from tunesmith.batching import Batch
from tunesmith.device import make_accelerator, resolve_precision
from tunesmith.engine import Engine, ExactForward
from tunesmith.errors import RecipeError
from tunesmith.fast.engine import FastForward
from tunesmith.language import gettext as _
from tunesmith.language import mark
from tunesmith.plan import Plan
from tunesmith.tasks import Outputs
from tunesmith.trainer.engines import Way, make_engine, way_for
from tunesmith.trainer.fields import notice, refusal
from tunesmith.trainer.heads import ComputeLoss, OwnLoss, known_head
from tunesmith.trainer.rows import Rows

__all__ = ["Runner"]

_PROBED = 6
"""Rows that engines are compared on."""


class Runner:
    """A model on its device, and what takes batches through it.

    Attributes:
        accelerator: of the last training or evaluation.
        engine: of the training that is going on, None besides.
    """

    def __init__(
        self,
        args: Any,
        *,
        collate: object,
        compute_loss: ComputeLoss,
        label_names: tuple[str, ...],
        why_exact: Callable[[], str | None],
    ) -> None:
        """Nothing is built before it is asked for.

        Args:
            args: of the Trainer.
            collate: what makes batches.
            compute_loss: the mean loss of a model that is not known.
            label_names: the inputs that are labels.
            why_exact: says why the exact engine must be used, whatever the model is; None if
                nothing asks for it.
        """
        self._args = args
        self._collate = collate
        self._own = OwnLoss(compute_loss, label_names)
        self._why_exact = why_exact
        self._half = bool(args.bf16) or (args.fp16 and self._half_for_fp16())
        self._way: Way | None = None
        self._trained: tuple[Rows, ...] = ()
        self._resting = False
        self.engine: Engine | None = None
        self.accelerator = self._accelerate()

    def _half_for_fp16(self) -> bool:
        found = resolve_precision("auto", "cpu" if self._args.use_cpu else "auto") == "bf16"
        notice(
            "TrainingArguments: "
            + _("fp16 would need its loss scaled; computed in {precision} instead").format(
                precision="bf16" if found else "fp32"
            )
        )
        return found

    def _accelerate(self) -> Any:
        return make_accelerator(
            device="cpu" if self._args.use_cpu else "auto",
            precision="bf16" if self._half else "fp32",
        )

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        device: torch.device = self.accelerator.device
        return device

    def begin(
        self,
        model: Any,
        rows: Rows,
        plan: Plan,
        *,
        evaluated: tuple[Rows, ...],
        optimizer: Callable[[], torch.optim.Optimizer],
    ) -> Engine:
        """The engine of a training.

        Args:
            model: of the person.
            rows: what is trained on.
            plan: of the training.
            evaluated: what else goes through the model while it is trained.
            optimizer: makes it once the weights are those that train.
        """
        self.accelerator = self._accelerate()
        model.to(self.device)
        batch = rows.batch(plan.examples_at(0)[:_PROBED], seed=plan.draw_seed(0))
        way = self._way_for(model, batch, trains=True)
        if way.reason:
            notice(_("the exact engine is used: {reason}").format(reason=way.reason))
        self._way = way
        self._trained = (rows, *evaluated)
        self.engine = make_engine(
            way, model, self.accelerator, self._args,
            optimizer=optimizer, half=self._half, used_tokens=_all_tokens(self._trained),
        )  # fmt: skip
        return self.engine

    def _way_for(self, model: Any, batch: Batch, *, trains: bool) -> Way:
        if reason := self._why_exact():
            return Way(self._own, None, reason)
        smoothing = float(self._args.label_smoothing_factor)
        head = known_head(model, batch.to(self.device), smoothing)
        if head is None:
            return Way(self._own, None, _("the loss is the model's own"))
        if smoothing and not head.is_of_classes:
            words = mark("targets are smoothed among classes, and this head has none")
            raise RecipeError(refusal(f"label_smoothing_factor={smoothing}", words))
        return way_for(head, model, batch, self.device, collate=self._collate, trains=trains)

    @property
    def is_fast(self) -> bool:
        """Whether the training that is going on goes fast."""
        return self._way is not None and self._way.is_fast

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """The plain model, also while it is trained."""
        if self.engine is None or self._resting:
            yield
            return
        with self.engine.at_rest():
            self._resting = True
            try:
                yield
            finally:
                self._resting = False

    @contextmanager
    def forward(self, model: Any, rows: Rows) -> Iterator[Callable[[Batch], Outputs]]:
        """What takes batches of some rows through the model, which is in evaluation mode."""
        training = model.training
        engine = self.engine
        if engine is not None and (not self.is_fast or self._takes(rows)):
            engine.begin(training=False)
            try:
                yield engine.outputs
            finally:
                engine.begin(training=training)
            return
        with self.at_rest():
            model.eval()
            if engine is None:
                self.accelerator = self._accelerate()
                model.to(self.device)
            found = self._forward(model, rows)
            try:
                yield found.outputs
            finally:
                if isinstance(found, FastForward):
                    found.close()
                else:
                    self._unwrap(model)
                model.train(training)

    def _takes(self, rows: Rows) -> bool:
        """Whether the fast engine, which may know only the tokens that occur, knows these rows."""
        return not self._resting and rows in self._trained

    def _forward(self, model: Any, rows: Rows) -> FastForward | ExactForward:
        way = self._way
        if way is None:
            way = self._way = self._way_for(model, next(rows.in_order(_PROBED)), trains=False)
        if way.verdict is None or self.engine is not None:  # hooks of two cannot be on one model
            return ExactForward(model, way.run, self.accelerator)
        return FastForward(model, way.run, self.device, verdict=way.verdict, half=self._half)

    def end(self, model: Any) -> None:
        """Leave the plain model."""
        if self.engine is not None:
            self.engine.close()
            self.engine = None
            self._unwrap(model)

    def _unwrap(self, model: Any) -> None:
        """Take off what Accelerate put around the forward pass for its precision."""
        from accelerate.utils import extract_model_from_parallel

        extract_model_from_parallel(model, keep_fp32_wrapper=False)


def _all_tokens(several: tuple[Rows, ...]) -> set[int] | None:
    """Every token id that occurs; None if that of some rows is not known."""
    found: set[int] = set()
    for rows in several:
        if rows.token_ids is None:
            return None
        found |= rows.token_ids
    return found
