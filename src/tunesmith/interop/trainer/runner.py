"""How the model of a Trainer is run: on which device, by which engine, patched or plain."""

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
from tunesmith.interop.trainer.datasets import Rows, is_plain
from tunesmith.interop.trainer.losses import OwnLoss, known_head, mean_loss, shifts_labels
from tunesmith.interop.trainer.support import notice, refusal
from tunesmith.tasks import Outputs
from tunesmith.training.choose_engine import TrainingRows, choose_engine
from tunesmith.training.engine import Engine, ExactForward, Pass
from tunesmith.training.fast.engine import FAST_DEVICES, FastEngine, FastForward
from tunesmith.training.fast.gpu_parts import left_out
from tunesmith.training.fast.graphs.engine import GraphedEngine
from tunesmith.training.fast.probe import ProbeResult, probe
from tunesmith.training.plan import Plan

__all__ = ["ModelOwner", "Runner"]

_SAMPLE = 6
"""Rows that engines are compared on."""

_PACKED = {"input_ids", "attention_mask", "token_type_ids"}


class ModelOwner(Protocol):
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
        engine: of the current training; None outside of one.
    """

    def __init__(
        self, trainer: ModelOwner, *, exact: bool, enabled: frozenset[str] = frozenset()
    ) -> None:
        """Build nothing yet.

        Args:
            trainer: whose model.
            exact: whether to use the exact engine only.
            enabled: parts of the fast engine to use on a GPU, as `train.enable` names them.
        """
        self._trainer = trainer
        self._exact = exact
        self._enabled = enabled
        self._known: tuple[Any, Pass, ProbeResult | None] | None = None
        self._trained: tuple[Rows, ...] = ()
        self._resting = False
        self.engine: Engine | None = None

    @property
    def accelerator(self) -> Any:
        """Device, precision and processes; those of a training while it goes on."""
        return self._trainer.current_accelerator()

    @property
    def _half(self) -> bool:
        return bool(self._trainer.args.mixed_precision == "bf16")

    def begin(
        self,
        model: Any,
        rows: Rows,
        plan: Plan,
        *,
        evaluated: tuple[Rows, ...],
        optimizer: Callable[[], torch.optim.Optimizer],
    ) -> Engine:
        """Choose the engine of a training.

        Args:
            model: of the script.
            rows: what is trained on.
            plan: of the training.
            evaluated: what else goes through the model while it is trained.
            optimizer: makes it once the weights are those that train.
        """
        args, accelerator = self._trainer.args, self.accelerator
        model.to(accelerator.device)
        sample, seed = plan.examples_at(0)[:_SAMPLE], plan.draw_seed(0)
        run, exact_because = self._pass_of(model, rows.batch(sample, seed=seed))
        self._trained = (rows, *evaluated)
        selection = choose_engine(
            model,
            run,
            accelerator,
            rows=TrainingRows(
                sample,
                lambda places: rows.batch(places, seed=seed),
                longest=rows.longest,
                token_ids=_all_tokens(self._trained),
            ),
            make_optimizer=optimizer,
            max_grad_norm=args.max_grad_norm if (args.max_grad_norm or 0) > 0 else None,
            half=self._half,
            note=notice,
            exact_because=exact_because,
            enabled=self._enabled,
            has_unused=lambda: bool(args.ddp_find_unused_parameters),
        )
        if text := selection.on_gpu():
            notice(text)
        self.engine = selection.engine
        self._known = model, run, selection.probe_result
        return self.engine

    def _pass_of(self, model: Any, batch: Batch) -> tuple[Pass, str | None]:
        """Return how a model runs, and why only by the exact engine; None if by any."""
        smoother = self._trainer.label_smoother
        smoothing = 0.0 if smoother is None else float(smoother.epsilon)
        head = known_head(model, batch.to(self.accelerator.device), smoothing)
        if smoothing and head is not None and not head.is_of_classes:
            words = N_("targets are smoothed among classes, and this head has none")
            raise ArgumentError(refusal(f"label_smoothing_factor={smoothing}", words))
        if self._exact:
            return self._own_loss(model, smoothing), _("it is requested")
        if head is None:
            return self._own_loss(model, smoothing), _("the loss is the model's own")
        if is_hooked(model):
            return self._own_loss(model, smoothing), _("the model or a weight has hooks")
        return head, _against_fast(model, batch, self._trainer.data_collator)

    def _own_loss(self, model: Any, smoothing: float) -> OwnLoss:
        shifts = shifts_labels(model)
        return OwnLoss(
            lambda run, inputs, targets: mean_loss(
                run, self._counted(inputs, targets), smoothing=smoothing, shifts=shifts
            ),
            tuple(self._trainer.label_names),
            bool(self._trainer.can_return_loss),
        )

    def _counted(self, inputs: dict[str, Any], targets: int) -> dict[str, Any]:
        """Inputs with their number of targets, for a model that divides its loss by it."""
        if self._trainer.model_accepts_loss_kwargs and "labels" in inputs:
            return {**inputs, "num_items_in_batch": max(1, targets)}
        return inputs

    @property
    def is_fast(self) -> bool:
        """Whether the fast engine is training."""
        return isinstance(self.engine, FastEngine)

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
    def lend_model(self) -> Iterator[None]:
        """The plain model for callbacks, which may change it."""
        with self.plain_model():
            yield
        if isinstance(self.engine, GraphedEngine):
            self.engine.forget_recordings()

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
            forward = self._forward(model, rows)
            try:
                yield forward.outputs
            finally:
                if isinstance(forward, FastForward):
                    forward.close()
                else:
                    self.unwrap(model)
                model.train(training)

    def _takes(self, rows: Rows) -> bool:
        """Whether the fast engine, which may know only the tokens that occur, knows these rows."""
        return not self._resting and rows in self._trained

    def _forward(self, model: Any, rows: Rows) -> FastForward | ExactForward:
        if self._known is None or self._known[0] is not model:
            batch = next(rows.in_order(_SAMPLE))
            run, exact_because = self._pass_of(model, batch)
            device = self.accelerator.device
            is_exact = exact_because is not None or device.type not in FAST_DEVICES
            disabled = left_out(device, enabled=self._enabled)
            result = None
            if not is_exact:
                result = probe(model, run, batch, device, trains=False, disabled=disabled)
            self._known = model, run, result
        _model, run, result = self._known
        # hooks of two cannot be on one model, and a script may have added some since
        if result is None or self.engine is not None or is_hooked(model):
            return ExactForward(model, run, self.accelerator)
        return FastForward(
            model, run, self.accelerator.device, probe_result=result, half=self._half
        )

    def end(self, model: Any) -> None:
        """Leave the plain model, and an optimizer that holds its weights."""
        if self.engine is not None:
            if isinstance(self.engine, FastEngine):
                self.engine.hand_back()
            self.engine.close()
            self.engine = None
            self.unwrap(model)

    def unwrap(self, model: Any) -> None:
        """Remove what Accelerate put around the forward pass for its precision.

        Its own means leave the innermost of a decorated forward, and a mark for which it would not
        put the precision on again.
        """
        attributes = vars(model)
        if (original := attributes.pop("_original_forward", None)) is not None:
            if getattr(original, "__func__", None) is type(model).forward:
                del model.forward
            else:  # of a model that was patched before
                model.forward = original
        attributes.pop("_is_accelerate_prepared", None)
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
    tokens: set[int] = set()
    for rows in several:
        if rows.token_ids is None:
            return None
        tokens |= rows.token_ids
    return tokens


def _against_fast(model: Any, batch: Batch, collate: object) -> str | None:
    """Return why the fast engine cannot take a model; None if it may be tried."""
    if not is_plain(collate):
        return _("the collator may change the rows")
    if missing := {"input_ids", "attention_mask"} - batch.inputs.keys():
        return _("the rows have no {names}").format(names=", ".join(sorted(missing)))
    if more := batch.inputs.keys() - _PACKED:
        return _("the model is given more than token ids: {names}").format(
            names=", ".join(sorted(more))
        )
    if any(p.dtype != torch.float32 for p in model.parameters()):
        return _("the weights are not float32")
    return None
