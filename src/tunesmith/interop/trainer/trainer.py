"""`Trainer`: what scripts call, trained by our loop and its engines wherever nothing is customized.

It is transformers' own class. Training, evaluation and checkpoints are ours; a script that
overrides how a step is made is trained by transformers' loop, from and to our checkpoints.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from transformers.trainer_utils import TrainOutput

from tunesmith.i18n import gettext as _
from tunesmith.interop.trainer import checkpoints, unsupported
from tunesmith.interop.trainer.arguments import TrainingArguments
from tunesmith.interop.trainer.callbacks import Handler, put_states_back, set_level
from tunesmith.interop.trainer.checkpoint_state import undisturbed_chance
from tunesmith.interop.trainer.customization import (
    adapt_older_signatures,
    is_plain_adamw,
    overridden,
    why_theirs,
)
from tunesmith.interop.trainer.datasets import Collator, DataSets
from tunesmith.interop.trainer.evaluate import EvaluatingTrainer
from tunesmith.interop.trainer.legacy import OlderNames
from tunesmith.interop.trainer.runner import Runner
from tunesmith.interop.trainer.steps import TrainerSession
from tunesmith.interop.trainer.support import examine, notice
from tunesmith.interop.trainer.train import argument_names, engage, finish, prepare, walk
from tunesmith.training.device import resolve_precision
from tunesmith.training.fast.engine import FAST_DEVICES

__all__ = ["Seq2SeqTrainer", "Trainer"]


class Trainer(OlderNames, EvaluatingTrainer):
    """Trains a model of transformers with its head on tokenized rows.

    The signature, the methods, the attributes and what comes back are those of transformers'
    Trainer, which it is a subclass of; batches, learning rates and decisions are the same, and with
    dropout off the losses are, too.
    """

    data: DataSets
    """The rows of each data set."""

    runner: Runner
    """The model on its device."""

    def __init__(  # noqa: PLR0917 - in the order of transformers
        self,
        model: Any = None,
        args: transformers.TrainingArguments | None = None,
        data_collator: Collator | None = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        processing_class: Any = None,
        model_init: Callable[..., Any] | None = None,
        compute_loss_func: Callable[..., torch.Tensor] | None = None,
        compute_metrics: Callable[[Any], Mapping[str, Any]] | None = None,
        callbacks: Sequence[Any] | None = None,
        optimizers: tuple[Any, Any] = (None, None),
        optimizer_cls_and_kwargs: tuple[type[Any], dict[str, Any]] | None = None,
        preprocess_logits_for_metrics: Callable[[Any, Any], Any] | None = None,
        *,
        tokenizer: Any = None,
        engine: Literal["fast", "exact"] = "fast",
        enable: Iterable[str] = (),
    ) -> None:
        """Take the arguments of transformers' Trainer, the old `tokenizer`, and two of our own.

        `engine` is "fast", or "exact" for the unchanged model of transformers. `enable` names parts
        of the fast engine to use on a GPU, as the recipe key `train.enable` does.

        Raises:
            ArgumentError: arguments not supported (R131), that contradict each other or are
                missing (R135).
            HeadlessError: the model gives hidden states and no loss (M131).
        """
        if args is None:
            args = TrainingArguments("tmp_trainer")
        examine(args, generates=isinstance(self, transformers.Seq2SeqTrainer))
        if tokenizer is not None:
            notice("Trainer: " + _("tokenizer is taken as processing_class"))
        unsupported.refuse_contradictions(
            args,
            {
                "model": model, "model_init": model_init, "eval_dataset": eval_dataset,
                "train_dataset": train_dataset, "tokenizer": tokenizer,
                "processing_class": processing_class, "optimizer": optimizers[0],
                "lr_scheduler": optimizers[1], "optimizer_cls_and_kwargs": optimizer_cls_and_kwargs,
            },
        )  # fmt: skip
        set_level(args)
        _settle_half_precision(args)
        self._optimizer_made: Any = None
        self._running: Literal["ours", "theirs"] | None = None
        self._session: TrainerSession | None = None
        self._random_states: list[dict[str, Any]] = []
        self._loaders: weakref.WeakKeyDictionary[Any, tuple[Any, str]] = weakref.WeakKeyDictionary()
        self.data = DataSets(self)
        self.runner = Runner(
            self, exact=engine == "exact", enabled=unsupported.enabled_parts(enable)
        )
        # Seq2SeqTrainer of transformers takes one argument less
        more = {"optimizer_cls_and_kwargs": optimizer_cls_and_kwargs}
        super().__init__(
            model, args, data_collator, train_dataset, eval_dataset,
            processing_class if tokenizer is None else tokenizer,
            model_init=model_init, compute_loss_func=compute_loss_func,
            compute_metrics=compute_metrics, callbacks=list(callbacks or ()),
            optimizers=optimizers, preprocess_logits_for_metrics=preprocess_logits_for_metrics,
            **({} if optimizer_cls_and_kwargs is None else more),
        )  # fmt: skip
        unsupported.refuse_headless(self.model)
        self.callback_handler = Handler(self.callback_handler, self.runner.lend_model)
        adapt_older_signatures(self)

    # what a script has customized

    @property
    def has_own_optimizer(self) -> bool:
        """Whether a script made the optimizer, not this class."""
        inner = getattr(self.optimizer, "optimizer", self.optimizer)  # as Accelerate wraps it
        return inner is not None and inner is not self._optimizer_made

    @property
    def has_own_scheduler(self) -> bool:
        """Whether a script made the scheduler, not this class."""
        return self.lr_scheduler is not None and not self._created_lr_scheduler

    # training

    def train(
        self,
        resume_from_checkpoint: str | bool | None = None,
        trial: Any = None,
        ignore_keys_for_eval: list[str] | None = None,
        *,
        model_path: str | None = None,
        **more: Any,
    ) -> TrainOutput:
        """Train to the end of the plan, or until a callback says so.

        Args:
            resume_from_checkpoint: a folder `checkpoint-N`, or True for the newest whole one.
            trial: passed on to `model_init`.
            ignore_keys_for_eval: outputs that are no predictions.
            model_path: the older name of `resume_from_checkpoint`.
            **more: as transformers' Trainer takes it.

        Raises:
            UnusableError: there is no such checkpoint (M130).
            IntegrityError: updates diverge (M110).
            ArgumentError: what is missing or not supported (R131 to R136).
        """
        resume = resume_from_checkpoint or model_path or None
        if resume is True:
            resume = str(checkpoints.newest_whole(Path(self.args.output_dir)))
        self.current_accelerator()
        try:
            output: TrainOutput = super().train(resume, trial, ignore_keys_for_eval, **more)
        finally:
            self.is_in_train = False
        if self.args.push_to_hub:
            self.push_to_hub()
        return output

    def _inner_training_loop(
        self,
        batch_size: int | None = None,
        args: Any = None,
        resume_from_checkpoint: str | None = None,
        trial: Any = None,
        ignore_keys_for_eval: list[str] | None = None,
    ) -> TrainOutput:
        """By our loop, or by transformers' own for what a script has customized."""
        if reason := why_theirs(self):
            notice(_("transformers' own loop trains: {reason}").format(reason=reason))
            self._running = "theirs"
            try:
                return super()._inner_training_loop(
                    batch_size, args, resume_from_checkpoint, trial, ignore_keys_for_eval
                )
            finally:
                self._running = None
                if self.model_wrapped is self.model:
                    self.runner.unwrap(self.model)
        with argument_names():
            return self._train_by_plan(resume_from_checkpoint, trial, ignore_keys_for_eval)

    def _train_by_plan(
        self, resume: str | None, trial: Any, ignore_keys: list[str] | None
    ) -> TrainOutput:
        if self._created_lr_scheduler:
            self.lr_scheduler, self._created_lr_scheduler = None, False
        self.optimizer = getattr(
            self.optimizer, "optimizer", self.optimizer
        )  # without Accelerate's
        self._running = "ours"
        with undisturbed_chance(), ExitStack() as undone:
            undone.callback(setattr, self, "_running", None)
            undone.callback(setattr, self, "_session", None)
            session = prepare(self, resume, trial)
            self._session = session
            started = time.time()
            self._initial_num_input_tokens_seen = self.state.num_input_tokens_seen
            engage(self, session, undone)
            walk(self, session, ignore_keys, started)
        return finish(self, session, started)

    def begin_state(self, session: TrainerSession, resume: str | None, trial: Any) -> None:
        """The state before the first step, or that of a checkpoint."""
        plan = session.plan
        epochs = -(-plan.total_steps // plan.steps_per_epoch)
        self._init_training_state(plan.total_steps, plan.steps_per_epoch, epochs, resume, trial)

    def _init_training_state(
        self, max_steps: int, steps_per_epoch: int, epochs: int, resume: str | None, trial: Any
    ) -> Any:
        """That of transformers; the best checkpoint is also found where its folder moved to."""
        if "create_optimizer_and_scheduler" in overridden(self):
            self.create_optimizer_and_scheduler(num_training_steps=max_steps)
        result = super()._init_training_state(max_steps, steps_per_epoch, epochs, resume, trial)
        if resume is not None:
            state = checkpoints.verify(Path(resume))
            homes = (Path(self.args.output_dir), Path(resume).parent)
            best = checkpoints.best_of(state.best_global_step, homes)
            self.state.best_model_checkpoint = best or state.best_model_checkpoint
        return result

    def _load_callback_state(self) -> None:
        """What callbacks counted always comes back, for a resumed training to stop where it would.

        Their settings come back, too, with `restore_callback_states_from_checkpoint`.
        """
        if self.args.restore_callback_states_from_checkpoint:
            super()._load_callback_state()
        else:
            put_states_back(self.callback_handler.callbacks, self.state)

    def act(self, session: TrainerSession, ignore_keys: list[str] | None, started: float) -> None:
        """Log, evaluate and save, as far as callbacks ask for it."""
        control = self.control
        if control.should_log and (logs := session.logs()):
            self.log(logs, started)
        if control.should_evaluate:
            metrics = self._evaluate(None, ignore_keys)
            is_best = self._determine_best_metric(metrics=metrics, trial=None)
            if self.args.save_strategy == "best":
                self.control.should_save = is_best
        if self.control.should_save:
            self._save_checkpoint(self.model, None)
            self.control = self.callback_handler.on_save(self.args, self.state, self.control)

    def evaluate_at_start(self, ignore_keys: list[str] | None) -> None:
        """Evaluate before the first step."""
        self._evaluate(None, ignore_keys, skip_scheduler=True)

    def load_best(self) -> None:
        """Put the weights of the best checkpoint into the model."""
        self._load_best_model()

    def add_memory(self, metrics: dict[str, float]) -> None:
        """Add the memory that training took, if that is measured."""
        self._memory_tracker.stop_and_update_metrics(metrics)

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        name = self.args.metric_for_best_model
        if name is not None:
            name = name if name.startswith("eval_") else f"eval_{name}"
            if name not in metrics:
                raise unsupported.without_metric(name, metrics)
        return bool(super()._determine_best_metric(metrics=metrics, trial=trial))

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """The optimizer of a script, of a training before, or the one that `optim` names."""
        if self.optimizer is None:
            self.optimizer = self._adamw(model) if self._makes_adamw() else None
            self._optimizer_made = super().create_optimizer(model)
        optimizer: torch.optim.Optimizer = self.optimizer
        return optimizer

    def _makes_adamw(self) -> bool:
        plain = is_plain_adamw(self.args) and self.optimizer_cls_and_kwargs is None
        return plain and self.args.device.type in FAST_DEVICES

    def _adamw(self, model: Any) -> torch.optim.Optimizer:
        """AdamW in the groups of transformers, fused, as the fast engine needs it."""
        model = self.model if model is None else model
        decayed = set(self.get_decay_parameter_names(model))
        trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        args = self.args
        return torch.optim.AdamW(
            [
                {
                    "params": [p for n, p in trained if n in decayed],
                    "weight_decay": args.weight_decay,
                },
                {"params": [p for n, p in trained if n not in decayed], "weight_decay": 0.0},
            ],
            lr=args.learning_rate,
            betas=(args.adam_beta1, args.adam_beta2),
            eps=args.adam_epsilon,
            fused=True,
        )


class Seq2SeqTrainer(Trainer, transformers.Seq2SeqTrainer):  # type: ignore[misc]
    """A Trainer that predicts by `generate` with `predict_with_generate=True`.

    Steps are those of a Trainer; evaluation is transformers' own.
    """


def _settle_half_precision(args: Any) -> None:
    """fp16 is computed in bfloat16 where that is native, else in float32: no loss is scaled."""
    if args.fp16:
        precision = resolve_precision("auto", "cpu" if args.use_cpu else "auto")
        args.mixed_precision = "bf16" if precision == "bf16" else "no"
        notice(
            "TrainingArguments: "
            + _("fp16 would need its loss scaled; computed in {precision} instead").format(
                precision=precision
            )
        )
