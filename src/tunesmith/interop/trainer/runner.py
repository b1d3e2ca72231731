"""How the model of a Trainer is run: on which device, by which engine, dressed or plain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch

from tunesmith.data.batches import Batch
from tunesmith.errors import ArgumentError, Place, Problem
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.interop.trainer.customization import is_hooked
from tunesmith.interop.trainer.datasets import Rows
from tunesmith.interop.trainer.engines import Way, make_engine, way_for
from tunesmith.interop.trainer.losses import OwnLoss, known_head, mean_loss, shifts_labels
from tunesmith.interop.trainer.support import notice, refusal
from tunesmith.tasks import Outputs
from tunesmith.training.engine import Engine, ExactForward
from tunesmith.training.fast.engine import FastEngine, FastForward
from tunesmith.training.plan import Plan

__all__ = ["Bench", "Runner"]

_PROBED = 6
"""Rows that engines are compared on."""


class Bench(Protocol):
    """A Trainer as far as running its model goes."""

    args: Any
    data_collator: Any
    label_names: Any
    label_smoother: Any
    can_return_loss: Any
    model_accepts_loss_kwargs: Any

    def current_accelerator(self) -> Any:
        """Device, precision and processes, set as this Trainer's arguments say."""
        ...


class Runner:
    """A model on its device, and what takes batches through it.

    Attributes:
        accelerator: of the last training or evaluation.
        engine: of the training that is going on, None besides.
    """

    def __init__(self, bench: Bench, *, exact: bool) -> None:
        """Nothing is built before it is asked for.

        Args:
            bench: the Trainer.
            exact: whether the exact engine was asked for.
        """
        self._bench = bench
        self._exact = exact
        self._way: tuple[Any, Way] | None = None
        self._trained: tuple[Rows, ...] = ()
        self._resting = False
        self.engine: Engine | None = None

    @property
    def accelerator(self) -> Any:
        """Device, precision and processes; those of a training while it goes on."""
        return self._bench.current_accelerator()

    @property
    def _half(self) -> bool:
        return bool(self._bench.args.mixed_precision == "bf16")

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
            model: of the script.
            rows: what is trained on.
            plan: of the training.
            evaluated: what else goes through the model while it is trained.
            optimizer: makes it once the weights are those that train.
        """
        accelerator = self.accelerator
        model.to(accelerator.device)
        batch = rows.batch(plan.examples_at(0)[:_PROBED], seed=plan.draw_seed(0))
        way = self._way_for(model, batch, trains=True)
        if way.reason:
            notice(_("the exact engine is used: {reason}").format(reason=way.reason))
        self._way = model, way
        self._trained = (rows, *evaluated)
        self.engine = make_engine(
            way, model, accelerator, self._bench.args,
            optimizer=optimizer, half=self._half, used_tokens=_all_tokens(self._trained),
        )  # fmt: skip
        return self.engine

    def _way_for(self, model: Any, batch: Batch, *, trains: bool) -> Way:
        smoother = self._bench.label_smoother
        smoothing = 0.0 if smoother is None else float(smoother.epsilon)
        device = self.accelerator.device
        head = known_head(model, batch.to(device), smoothing)
        if smoothing and head is not None and not head.is_of_classes:
            words = N_("targets are smoothed among classes, and this head has none")
            raise ArgumentError(refusal(f"label_smoothing_factor={smoothing}", words))
        own = self._own_loss(model, smoothing)
        if self._exact:
            return Way(own, None, _("it was asked for"))
        if head is None:
            return Way(own, None, _("the loss is the model's own"))
        if is_hooked(model):
            return Way(own, None, _("the model or a weight has hooks"))
        return way_for(head, model, batch, device, collate=self._bench.data_collator, trains=trains)

    def _own_loss(self, model: Any, smoothing: float) -> OwnLoss:
        shifts = shifts_labels(model)
        return OwnLoss(
            lambda run, inputs, targets: mean_loss(
                run, self._counted(inputs, targets), smoothing=smoothing, shifts=shifts
            ),
            tuple(self._bench.label_names),
            bool(self._bench.can_return_loss),
        )

    def _counted(self, inputs: dict[str, Any], targets: int) -> dict[str, Any]:
        """Inputs with their number of targets, for a model that divides its loss by it."""
        if self._bench.model_accepts_loss_kwargs and "labels" in inputs:
            return {**inputs, "num_items_in_batch": max(1, targets)}
        return inputs

    @property
    def is_fast(self) -> bool:
        """Whether the training that is going on goes fast."""
        return self.engine is not None and self._way is not None and self._way[1].is_fast

    @contextmanager
    def plain_model(self) -> Iterator[None]:
        """The plain model, also while it is trained."""
        if self.engine is None or self._resting:
            yield
            return
        with self.engine.plain_model():
            self._resting = True
            try:
                yield
            finally:
                self._resting = False
            if self.is_fast and is_hooked(self.engine.network):
                raise ArgumentError(_hooked_late())

    @contextmanager
    def forward(self, model: Any, rows: Rows) -> Iterator[Callable[[Batch], Outputs]]:
        """What takes batches of some rows through the model, which is in evaluation mode."""
        training = model.training
        engine = self.engine
        if engine is not None and (not self.is_fast or self._takes(rows)):
            engine.set_training(False)
            try:
                yield engine.outputs
            finally:
                engine.set_training(training)
            return
        with self.plain_model():
            model.eval()
            model.to(self.accelerator.device)
            found = self._forward(model, rows)
            try:
                yield found.outputs
            finally:
                if isinstance(found, FastForward):
                    found.close()
                else:
                    self.unwrap(model)
                model.train(training)

    def _takes(self, rows: Rows) -> bool:
        """Whether the fast engine, which may know only the tokens that occur, knows these rows."""
        return not self._resting and rows in self._trained

    def _forward(self, model: Any, rows: Rows) -> FastForward | ExactForward:
        if self._way is None or self._way[0] is not model:
            self._way = model, self._way_for(model, next(rows.in_order(_PROBED)), trains=False)
        way = self._way[1]
        # hooks of two cannot be on one model, and a script may have put some there since
        if way.verdict is None or self.engine is not None or is_hooked(model):
            return ExactForward(model, way.run, self.accelerator)
        device = self.accelerator.device
        return FastForward(model, way.run, device, verdict=way.verdict, half=self._half)

    def end(self, model: Any) -> None:
        """Leave the plain model, and an optimizer that holds its weights."""
        if self.engine is not None:
            if isinstance(self.engine, FastEngine):
                self.engine.hand_back()
            self.engine.close()
            self.engine = None
            self.unwrap(model)

    def unwrap(self, model: Any) -> None:
        """Take off what Accelerate put around the forward pass for its precision.

        Its own means leave the innermost of a decorated forward, and a mark for which it would not
        put the precision on again.
        """
        kept = vars(model)
        if (original := kept.pop("_original_forward", None)) is not None:
            if getattr(original, "__func__", None) is type(model).forward:
                del model.forward
            else:  # of a model that was patched before
                model.forward = original
        kept.pop("_is_accelerate_prepared", None)
        self.accelerator._models.clear()


def _hooked_late() -> Problem:
    return Problem(
        "R199",
        _("a hook was put on the model while the fast engine trains it, which would pass it by"),
        Place("Trainer"),
        fix=_("Put it there before train() or in on_train_begin, or pass engine='exact'."),
    )


def _all_tokens(several: tuple[Rows, ...]) -> set[int] | None:
    """Every token id that occurs; None if that of some rows is not known."""
    found: set[int] = set()
    for rows in several:
        if rows.token_ids is None:
            return None
        found |= rows.token_ids
    return found
