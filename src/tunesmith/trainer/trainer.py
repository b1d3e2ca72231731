"""`Trainer`: what scripts call, on the one loop and its engines."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from torch import nn
from transformers import TrainerControl, TrainerState, set_seed
from transformers.trainer_pt_utils import LabelSmoother
from transformers.trainer_utils import (
    PredictionOutput,
    TrainOutput,
    enable_full_determinism,
    speed_metrics,
)

from tunesmith import checkpoint
from tunesmith.device import deterministic_kernels
from tunesmith.errors import RecipeError
from tunesmith.fast.process import tuned
from tunesmith.language import gettext as _
from tunesmith.language import mark
from tunesmith.trainer import checkpoints, published, refusals
from tunesmith.trainer.arguments import TrainingArguments
from tunesmith.trainer.callbacks import hears, make_handler, put_states_back, watch_updates
from tunesmith.trainer.conduct import walk
from tunesmith.trainer.engines import (
    Followed,
    is_plain_adamw,
    make_plan,
    named_optimizer,
    own_adamw,
    scheduler_for,
)
from tunesmith.trainer.fields import examine, notice, refusal
from tunesmith.trainer.heads import flops_per_place, no_predictions, shifts_labels
from tunesmith.trainer.rows import Collator, Rows, accepted_columns, collator_for, label_names_of
from tunesmith.trainer.runner import Runner
from tunesmith.trainer.scoring import Answers, collect, metrics_of
from tunesmith.trainer.stretch import Stretch

__all__ = ["Trainer"]

_UPDATES = ("on_pre_optimizer_step", "on_optimizer_step")


class Trainer:
    """Trains a model of transformers with its head on tokenised rows.

    The signature, the attributes and what comes back are those of transformers' Trainer; batches,
    learning rates and decisions are the same, and with dropout off the losses are, too. A subclass
    may override `compute_loss`, `create_optimizer`, `evaluate`, `log`, `predict` and `save_model`.

    Attributes:
        model: the plain model, trained once `train()` returns.
        args: the arguments.
        state: where training stands, with `log_history` and the best score.
        control: what callbacks ask for.
        callback_handler: the callbacks.
        optimizer: a person's own; else that of the training that is going on.
        lr_scheduler: a person's own.
    """

    def __init__(  # noqa: PLR0917 - in the order of transformers
        self,
        model: Any = None,
        args: transformers.TrainingArguments | None = None,
        data_collator: Collator | None = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        processing_class: Any = None,
        model_init: Callable[[], Any] | None = None,
        compute_loss_func: Callable[..., torch.Tensor] | None = None,
        compute_metrics: Callable[[Any], Mapping[str, Any]] | None = None,
        callbacks: Sequence[Any] | None = None,
        optimizers: tuple[Any, Any] = (None, None),
        optimizer_cls_and_kwargs: tuple[type[Any], dict[str, Any]] | None = None,
        preprocess_logits_for_metrics: Callable[[Any, Any], Any] | None = None,
        *,
        tokenizer: Any = None,
        engine: Literal["fast", "exact"] = "fast",
    ) -> None:
        """Everything of transformers' Trainer, the old `tokenizer`, and which engine to use.

        Raises:
            RecipeError: arguments that cannot be had (R131), that contradict each other or are
                missing (R135), or methods of a subclass that nothing calls (R137).
        """
        self.args: Any = TrainingArguments("tmp_trainer") if args is None else args
        examine(self.args)
        if tokenizer is not None:
            notice("Trainer: " + _("tokenizer is taken as processing_class"))
        refusals.refuse_overrides(type(self), Trainer)
        refusals.refuse_contradictions(
            self.args,
            {
                "model": model, "model_init": model_init, "eval_dataset": eval_dataset,
                "tokenizer": tokenizer, "processing_class": processing_class,
                "optimizer": optimizers[0], "lr_scheduler": optimizers[1],
                "optimizer_cls_and_kwargs": optimizer_cls_and_kwargs,
            },
        )  # fmt: skip
        self._begin_with_seed()
        self.model_init = model_init
        self.model: Any = model if model_init is None else model_init()
        refusals.refuse_headless(self.model)
        self.processing_class = processing_class if tokenizer is None else tokenizer
        self.data_collator = data_collator or collator_for(self.processing_class)
        self.train_dataset, self.eval_dataset = train_dataset, eval_dataset
        self.compute_loss_func, self.compute_metrics = compute_loss_func, compute_metrics
        self.preprocess_logits_for_metrics = preprocess_logits_for_metrics
        self.optimizer, self.lr_scheduler = optimizers
        self.optimizer_cls_and_kwargs = optimizer_cls_and_kwargs
        self._engine_name = engine
        self.label_names = label_names_of(self.model, self.args.label_names)
        self._has_own_optimizer = optimizers[0] is not None
        self._rows: dict[tuple[int, str], tuple[Any, Rows]] = {}
        self.callback_handler = make_handler(
            self.args, callbacks or (), model=self.model,
            processing_class=self.processing_class, optimizer=self.optimizer,
        )  # fmt: skip
        self._runner = Runner(
            self.args,
            collate=self.data_collator,
            compute_loss=self._mean_loss,
            label_names=self.label_names,
            why_exact=self._why_exact,
        )
        self.model.to(self._runner.device)
        if getattr(self.model, "config", None) is not None:
            self.model.config.use_cache = self.args.use_cache
        self.control = TrainerControl()
        self.state = self._fresh_state()
        self.tell("on_init_end")

    # training

    def train(
        self,
        resume_from_checkpoint: str | bool | None = None,
        trial: Any = None,
        ignore_keys_for_eval: list[str] | None = None,
        *,
        model_path: str | None = None,
    ) -> TrainOutput:
        """Train to the end of the plan, or until a callback says so.

        Args:
            resume_from_checkpoint: a folder `checkpoint-N`, or True for the newest whole one.
            trial: must be None; there is no search here.
            ignore_keys_for_eval: outputs that are no predictions.
            model_path: the older name of `resume_from_checkpoint`.

        Raises:
            IntegrityError: there is no such checkpoint (M130), or updates diverge (M110).
            RecipeError: what is missing or cannot be had (R131 to R138).
        """
        if trial is not None:
            raise RecipeError(refusal("trial", mark("there is no search here")))
        self._make_model_anew()
        rows = self._rows_for(self.train_dataset, "train")
        stretch = self._prepare(rows, resume_from_checkpoint or model_path)
        started, first = time.time(), stretch.progress.step
        with tuned(self._runner.is_fast), deterministic_kernels(self.args.full_determinism):
            try:
                walk(self, stretch, ignore_keys_for_eval)
            finally:
                self._runner.end(self.model)
                self._let_go(stretch)
        return self._finish(stretch, started, stretch.progress.step - first)

    def _prepare(self, rows: Rows, resume: str | bool | None) -> Stretch:
        """Engine, plan and state, from the start or from a checkpoint."""
        plan = make_plan(
            self.args, num_examples=len(rows), num_processes=self.accelerator.num_processes
        )
        self._recompute_activations()
        evaluated = self.eval_dataset if self.args.eval_strategy != "no" else None
        found = evaluated if isinstance(evaluated, dict) else {"": evaluated}
        engine = self._runner.begin(
            self.model,
            rows,
            plan,
            evaluated=tuple(
                self._rows_for(data, "evaluation") for data in found.values() if data is not None
            ),
            optimizer=self.create_optimizer,
        )
        followed = None
        if not self._uses_own_adamw():
            self.lr_scheduler = self.lr_scheduler or scheduler_for(
                self.optimizer, self.args, plan.total_steps
            )
            followed = Followed(self.optimizer, self.lr_scheduler)
        if hears(self.callback_handler.callbacks, *_UPDATES):
            watch_updates(self.optimizer, self.tell)
        stretch = Stretch(
            engine, plan, rows, self.accelerator.process_index,
            flops_per_place(self.model), followed,
        )  # fmt: skip
        self.state = self._fresh_state(plan.total_steps)
        self.state.num_train_epochs = math.ceil(plan.total_steps / plan.steps_per_epoch)
        if resume:
            self._resume(stretch, resume)
        for name, value in (
            ("model", self.model), ("optimizer", self.optimizer),
            ("lr_scheduler", self.lr_scheduler),
            ("train_dataloader", self.get_train_dataloader()),
        ):  # fmt: skip
            setattr(self.callback_handler, name, value)
        return stretch

    def _resume(self, stretch: Stretch, asked: str | bool) -> None:
        found, state = checkpoints.find(Path(self.args.output_dir), asked)
        checkpoint.restore(found, stretch.engine)
        stretch.go_on(found.progress, found.facts)
        state.max_steps, state.num_train_epochs = self.state.max_steps, self.state.num_train_epochs
        self.state = state
        put_states_back(self.callback_handler.callbacks, state)

    def _finish(self, stretch: Stretch, started: float, steps: int) -> TrainOutput:
        """The last log, and the best weights if they were asked for."""
        plan = stretch.plan
        rows = min(
            plan.batch_size * plan.total_steps, plan.num_examples * self.args.num_train_epochs
        )
        loss = stretch.sums["loss"] / max(1, stretch.progress.step)
        metrics = speed_metrics(
            "train", started, num_samples=rows * steps / plan.total_steps, num_steps=steps
        )
        metrics.update(total_flos=self.state.total_flos, train_loss=loss)
        self.log(metrics)
        best = self.state.best_model_checkpoint
        if self.args.load_best_model_at_end and best is not None:
            checkpoint.load_weights(Path(best), self.model)
        self.tell("on_train_end")
        if self.args.push_to_hub:
            self.push_to_hub()
        return TrainOutput(self.state.global_step, loss, metrics)

    def _make_model_anew(self) -> None:
        """With a `model_init` each training begins with a fresh model of the same seed."""
        if self.model_init is not None:
            self._begin_with_seed()
            self.model = self.model_init()

    def _begin_with_seed(self) -> None:
        begin = enable_full_determinism if self.args.full_determinism else set_seed
        begin(self.args.seed)

    def _recompute_activations(self) -> None:
        """Recompute activations; the newer transformers has another word for it."""
        asked = getattr(self.args, "activation_checkpointing", None)
        if not (asked or self.args.gradient_checkpointing):
            return
        options = getattr(self.args, "activation_checkpointing_kwargs", None)
        options = options or self.args.gradient_checkpointing_kwargs or {"use_reentrant": False}
        name = "activation_checkpointing_enable"
        (getattr(self.model, name, None) or self.model.gradient_checkpointing_enable)(options)

    def create_optimizer(self) -> torch.optim.Optimizer:
        """The optimizer of a training: a person's own, AdamW, or the one that `optim` names."""
        if self.optimizer is None:
            if self._uses_own_adamw():
                self.optimizer = own_adamw(self.model, self.args)
            else:
                self.optimizer = named_optimizer(
                    self.model, self.args, self.optimizer_cls_and_kwargs
                )
        made: torch.optim.Optimizer = self.optimizer
        return made

    def _uses_own_adamw(self) -> bool:
        overridden = type(self).create_optimizer is not Trainer.create_optimizer
        chosen = self._has_own_optimizer or self.optimizer_cls_and_kwargs is not None
        return is_plain_adamw(self.args) and not chosen and not overridden

    def _let_go(self, stretch: Stretch) -> None:
        """What was made for this training alone does not outlive it."""
        if stretch.followed is not None:
            stretch.followed.release()
        if not self._has_own_optimizer:
            self.optimizer = self.lr_scheduler = None

    def _why_exact(self) -> str | None:
        """Why the exact engine must be used, whatever the model is."""
        if self._engine_name == "exact":
            return _("it was asked for")
        if type(self).compute_loss is not Trainer.compute_loss or self.compute_loss_func:
            return _("the loss is a person's own")
        if not self._uses_own_adamw():
            return _("the optimizer is another than AdamW")
        if hears(self.callback_handler.callbacks, *_UPDATES):
            return _("a callback looks at gradients")
        return None

    # loss

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """The mean loss of a batch; a subclass may compute another one.

        Args:
            model: as the engine runs it.
            inputs: of the batch, labels among them.
            return_outputs: whether outputs are wanted beside the loss.
            num_items_in_batch: targets of this batch, which the mean is taken over.
        """
        apart = self.compute_loss_func is not None or self.args.label_smoothing_factor > 0
        labels = inputs.pop("labels", None) if apart else None
        outputs = model(**inputs)
        if self.compute_loss_func is not None:
            loss = self.compute_loss_func(outputs, labels, num_items_in_batch=num_items_in_batch)
        elif labels is not None:
            smooth = LabelSmoother(epsilon=self.args.label_smoothing_factor)
            loss = smooth(outputs, labels, shift_labels=shifts_labels(self.model))
        else:
            loss = outputs["loss"] if isinstance(outputs, Mapping) else outputs[0]
        return (loss, outputs) if return_outputs else loss

    def _mean_loss(
        self, model: nn.Module, inputs: dict[str, Any], targets: int
    ) -> tuple[torch.Tensor, Any]:
        """By `compute_loss`, whichever signature it has."""
        taken = inspect.signature(self.compute_loss).parameters
        more = {"num_items_in_batch": targets} if "num_items_in_batch" in taken else {}
        found: tuple[torch.Tensor, Any] = self.compute_loss(
            model, inputs, return_outputs=True, **more
        )
        return found

    # evaluation

    def evaluate(
        self,
        eval_dataset: Any = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """The loss and a person's metrics on a data set, logged and told to callbacks.

        Args:
            eval_dataset: another than `self.eval_dataset`, or a mapping of several; their names
                become part of the metrics' names.
            ignore_keys: outputs that are no predictions.
            metric_key_prefix: what every name begins with.
        """
        data = self.eval_dataset if eval_dataset is None else eval_dataset
        if isinstance(data, dict):
            found: dict[str, float] = {}
            for name, part in data.items():
                found |= self.evaluate(part, ignore_keys, f"{metric_key_prefix}_{name}")
            return found
        keeps = self.compute_metrics is not None and not self.args.prediction_loss_only
        _answers, metrics = self._score(
            data, "evaluation", ignore_keys, metric_key_prefix, keeps_predictions=keeps
        )
        self.log(metrics)
        self.tell("on_evaluate", metrics=metrics)
        return metrics

    def predict(
        self,
        test_dataset: Any,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "test",
    ) -> PredictionOutput:
        """Predictions in the order of the rows, their labels and metrics if there are labels."""
        answers, metrics = self._score(
            test_dataset, "test", ignore_keys, metric_key_prefix,
            keeps_predictions=not self.args.prediction_loss_only,
        )  # fmt: skip
        self.tell("on_predict", metrics=metrics)
        return PredictionOutput(answers.predictions, answers.labels, metrics)

    def _score(
        self,
        data: Any,
        name: str,
        ignore_keys: list[str] | None,
        prefix: str,
        *,
        keeps_predictions: bool,
    ) -> tuple[Answers, dict[str, Any]]:
        rows, started = self._rows_for(data, name), time.time()
        size, wanted = self.args.per_device_eval_batch_size, self.args.include_for_metrics
        self.callback_handler.eval_dataloader = rows.loader(range(len(rows)), size)
        with self._runner.forward(self.model, rows) as outputs:
            answers = collect(
                outputs,
                rows.in_order(size),
                label_names=self.label_names,
                ignored=no_predictions(self.model) if ignore_keys is None else ignore_keys,
                keeps_predictions=keeps_predictions,
                keeps_inputs="inputs" in wanted,
                reduce=self.preprocess_logits_for_metrics,
                after_batch=lambda: self.tell("on_prediction_step"),
            )
        metrics = metrics_of(answers, self.compute_metrics, prefix=prefix, wanted=wanted)
        metrics |= speed_metrics(
            prefix, started, num_samples=len(rows), num_steps=math.ceil(len(rows) / size)
        )
        return answers, metrics

    def _rows_for(self, data: Any, name: str) -> Rows:
        """The rows of a data set, looked at once."""
        if data is None:
            raise refusals.without_data(
                {"train": "train_dataset", "evaluation": "eval_dataset"}.get(name, "test_dataset")
            )
        key = (id(data), name)
        if key not in self._rows:
            columns = accepted_columns(self.model, self.label_names)
            rows = Rows(
                data,
                name,
                collate=self.data_collator,
                columns=columns if self.args.remove_unused_columns else None,
                shifts=shifts_labels(self.model),
            )
            self._rows[key] = data, rows
        return self._rows[key][1]

    def get_train_dataloader(self) -> Any:
        """The batches of the first epoch, to look at."""
        rows = self._rows_for(self.train_dataset, "train")
        plan = make_plan(self.args, num_examples=len(rows), num_processes=1)
        order = (int(i) for step in range(plan.steps_per_epoch) for i in plan.examples_at(step))
        return rows.loader(order, plan.micro_batch_size)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """The batches of an evaluation, to look at."""
        data = self.eval_dataset if eval_dataset is None else eval_dataset
        rows = self._rows_for(data, "evaluation")
        return rows.loader(range(len(rows)), self.args.per_device_eval_batch_size)

    # callbacks and state

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add to the history and tell callbacks.

        Args:
            logs: names and values; epoch and, if asked for, tokens are added.
            start_time: of the training, unused.
        """
        logs["epoch"] = self.state.epoch
        if self.args.include_num_input_tokens_seen != "no":
            logs["num_input_tokens_seen"] = self.state.num_input_tokens_seen
        self.state.log_history.append({**logs, "step": self.state.global_step})
        self.tell("on_log", logs=logs)

    def tell(self, event: str, **facts: Any) -> None:
        """Let callbacks hear of an event; whoever may look at the model finds the plain one."""
        handler = self.callback_handler
        with self._runner.at_rest() if hears(handler.callbacks, event) else nullcontext():
            self.control = getattr(handler, event)(self.args, self.state, self.control, **facts)

    def _fresh_state(self, total_steps: int = 0) -> TrainerState:
        state = TrainerState(
            is_local_process_zero=self.is_local_process_zero(),
            is_world_process_zero=self.is_world_process_zero(),
            train_batch_size=self.args.per_device_train_batch_size,
        )
        if total_steps:
            state.max_steps = total_steps
            state.compute_steps(self.args, total_steps)
        return state

    def add_callback(self, callback: Any) -> None:
        """Add a callback, a class or an instance."""
        self.callback_handler.add_callback(callback)

    def pop_callback(self, callback: Any) -> Any:
        """Take a callback away and return it; None if there is none of this class."""
        return self.callback_handler.pop_callback(callback)

    def remove_callback(self, callback: Any) -> None:
        """Take a callback away."""
        self.callback_handler.remove_callback(callback)

    @property
    def accelerator(self) -> Any:
        """Device and processes."""
        return self._runner.accelerator

    def is_world_process_zero(self) -> bool:
        """Whether this is the first process of all."""
        return bool(self.accelerator.is_main_process)

    def is_local_process_zero(self) -> bool:
        """Whether this is the first process of this machine."""
        return bool(self.accelerator.is_local_main_process)

    # the result

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the model and its tokenizer as `from_pretrained` reads them.

        Args:
            output_dir: where to; `args.output_dir` if not given.
            _internal_call: True not to upload it, whatever `args.push_to_hub` says.
        """
        if self.is_world_process_zero():
            folder = Path(output_dir or self.args.output_dir)
            with self._runner.at_rest():
                published.write(folder, self.model, self.processing_class, self.args)
        if self.args.push_to_hub and not _internal_call:
            self.push_to_hub("Model save")

    def create_model_card(self, **facts: Any) -> None:
        """Write a card with the figures of this training beside the model.

        Args:
            facts: what transformers' own card knows besides: language, license, tags, dataset, …
        """
        if self.is_world_process_zero():
            published.write_card(self, facts)

    def push_to_hub(
        self,
        commit_message: str = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        **card: Any,
    ) -> str:
        """Upload the model with its card, without checkpoints; returns its address.

        Args:
            commit_message: of the commit.
            blocking: must be True; nothing goes on in the background.
            token: of the Hub; else `args.hub_token` or that of the machine.
            revision: a branch; else `args.hub_revision`.
            card: as `create_model_card` takes it.

        Raises:
            ResourceError: the Hub cannot be reached (M104) or does not let us in (M106).
        """
        if not blocking:
            raise RecipeError(refusal("blocking=False", mark("an upload is waited for")))
        self.save_model(_internal_call=True)
        self.create_model_card(**card)
        if not self.is_world_process_zero():
            return ""
        return published.upload(self.args, commit_message, token=token, revision=revision)
