"""`Trainer`: what scripts call, on the one loop and its engines."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
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

from tunesmith.errors import RecipeError
from tunesmith.language import gettext as _
from tunesmith.language import mark
from tunesmith.optim import adamw
from tunesmith.trainer import figures, published, refusals
from tunesmith.trainer.arguments import TrainingArguments
from tunesmith.trainer.callbacks import UPDATES, hears, make_handler, set_level
from tunesmith.trainer.conduct import finish, prepare, walk
from tunesmith.trainer.engines import is_plain_adamw, make_plan, named_optimizer
from tunesmith.trainer.fields import examine, notice, refusal
from tunesmith.trainer.heads import no_predictions, shifts_labels
from tunesmith.trainer.rows import Collator, DataSets, collator_for, each
from tunesmith.trainer.runner import Runner
from tunesmith.trainer.scoring import Answers, collect, metrics_of

__all__ = ["Trainer"]


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
        is_in_train: whether `train()` is going on.
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
        set_level(self.args)
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
        self.has_own_optimizer = optimizers[0] is not None
        self.data = DataSets(
            self.model, self.args, self.data_collator,
            own=lambda: (self.train_dataset, *each(self.eval_dataset)),
        )  # fmt: skip
        self.callback_handler = make_handler(
            self.args, callbacks or (), model=self.model,
            processing_class=self.processing_class, optimizer=self.optimizer,
        )  # fmt: skip
        self.runner = Runner(
            self.args,
            collate=self.data_collator,
            compute_loss=self._mean_loss,
            label_names=self.data.label_names,
            why_exact=self._why_exact,
        )
        self.model.to(self.runner.device)
        if getattr(self.model, "config", None) is not None:
            self.model.config.use_cache = getattr(self.args, "use_cache", False)
        self.control = TrainerControl()
        self.state = self.fresh_state()
        self.is_in_train = False
        if self.args.push_to_hub and self.is_world_process_zero():
            published.prepare_repository(self.args)
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
            raise RecipeError(refusal("trial", mark("there is no search here"), "train()"))
        self._make_model_anew()
        self.is_in_train = True
        try:
            with ExitStack() as undone:
                stretch = prepare(self, resume_from_checkpoint or model_path, undone)
                started, first = time.time(), stretch.progress.step
                walk(self, stretch, ignore_keys_for_eval)
            output = finish(self, stretch, started, stretch.progress.step - first)
        finally:
            self.is_in_train = False
        if self.args.push_to_hub:
            self.push_to_hub()
        return output

    def _make_model_anew(self) -> None:
        """With a `model_init` each training begins with a fresh model of the same seed."""
        if self.model_init is not None:
            self._begin_with_seed()
            self.model = self.model_init()

    def _begin_with_seed(self) -> None:
        begin = enable_full_determinism if self.args.full_determinism else set_seed
        begin(self.args.seed)

    def create_optimizer(self) -> torch.optim.Optimizer:
        """The optimizer of a training: a person's own, AdamW, or the one that `optim` names."""
        if self.optimizer is None:
            if self.uses_adamw():
                self.optimizer = adamw(self.model, self.args)
            else:
                self.optimizer = named_optimizer(
                    self.model, self.args, self.optimizer_cls_and_kwargs
                )
        made: torch.optim.Optimizer = self.optimizer
        return made

    def uses_adamw(self) -> bool:
        """Whether nobody asks for another optimizer than AdamW."""
        overridden = type(self).create_optimizer is not Trainer.create_optimizer
        chosen = self.has_own_optimizer or self.optimizer_cls_and_kwargs is not None
        return is_plain_adamw(self.args) and not chosen and not overridden

    def _why_exact(self) -> str | None:
        """Why the exact engine must be used, whatever the model is."""
        if self._engine_name == "exact":
            return _("it was asked for")
        if type(self).compute_loss is not Trainer.compute_loss or self.compute_loss_func:
            return _("the loss is a person's own")
        if not self.uses_adamw():
            return _("the optimizer is another than AdamW")
        if hears(self.callback_handler.callbacks, *UPDATES):
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
        rows, started = self.data.rows(data, name), time.time()
        size, wanted = self.args.per_device_eval_batch_size, self.args.include_for_metrics
        self.callback_handler.eval_dataloader = rows.loader(range(len(rows)), size)
        with self.runner.forward(self.model, rows) as outputs:
            answers = collect(
                outputs,
                rows.in_order(size),
                label_names=self.data.label_names,
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

    def get_train_dataloader(self) -> Any:
        """The batches of the first epoch, to look at."""
        rows = self.data.rows(self.train_dataset, "train")
        plan = make_plan(self.args, num_examples=len(rows), num_processes=1)
        order = (int(i) for step in range(plan.steps_per_epoch) for i in plan.examples_at(step))
        return rows.loader(order, plan.micro_batch_size)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """The batches of an evaluation, to look at."""
        data = self.eval_dataset if eval_dataset is None else eval_dataset
        return self._in_order(data, "evaluation")

    def get_test_dataloader(self, test_dataset: Any) -> Any:
        """The batches of a prediction, to look at."""
        return self._in_order(test_dataset, "test")

    def _in_order(self, data: Any, name: str) -> Any:
        rows = self.data.rows(data, name)
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
        with self.runner.at_rest() if hears(handler.callbacks, event) else nullcontext():
            self.control = getattr(handler, event)(self.args, self.state, self.control, **facts)

    def fresh_state(self, total_steps: int = 0) -> TrainerState:
        """The state before the first step."""
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
        return self.runner.accelerator

    def is_world_process_zero(self) -> bool:
        """Whether this is the first process of all."""
        return bool(self.accelerator.is_main_process)

    def is_local_process_zero(self) -> bool:
        """Whether this is the first process of this machine."""
        return bool(self.accelerator.is_local_main_process)

    # the result

    log_metrics, save_metrics = figures.log_metrics, figures.save_metrics
    save_state = figures.save_state

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the model and its tokenizer as `from_pretrained` reads them.

        Args:
            output_dir: where to; `args.output_dir` if not given.
            _internal_call: True not to upload it, whatever `args.push_to_hub` says.
        """
        if self.is_world_process_zero():
            folder = Path(output_dir or self.args.output_dir)
            with self.runner.at_rest():
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
            raise RecipeError(
                refusal("blocking=False", mark("an upload is waited for"), "push_to_hub()")
            )
        self.save_model(_internal_call=True)
        self.create_model_card(**card)
        if not self.is_world_process_zero():
            return ""
        return published.upload(self.args, commit_message, token=token, revision=revision)
