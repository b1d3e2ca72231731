"""A Trainer's batches and evaluations: by the engine, or by transformers' own loop."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from accelerate.utils import DynamoBackend
from torch.utils.data import DataLoader
from transformers.trainer_utils import EvalLoopOutput

from tunesmith.interop.trainer import unsupported
from tunesmith.interop.trainer.customization import why_theirs_evaluates
from tunesmith.interop.trainer.datasets import DataSets, is_stream
from tunesmith.interop.trainer.predictions import evaluated
from tunesmith.interop.trainer.saving import SavingTrainer

__all__ = ["EvaluatingTrainer"]


@contextmanager
def _pinned_where_it_helps(args: Any) -> Iterator[None]:
    """Pinned memory for a device of its own; without one torch would warn at each pass."""
    before = args.dataloader_pin_memory
    args.dataloader_pin_memory = before and args.device.type != "cpu"
    try:
        yield
    finally:
        args.dataloader_pin_memory = before


class EvaluatingTrainer(SavingTrainer):
    """Evaluates by the engine wherever a script customizes nothing of a prediction.

    Attributes:
        data: the rows of each data set.
    """

    data: DataSets
    _running: Literal["ours", "theirs"] | None
    """Whose loop trains at the moment."""

    _loaders: weakref.WeakKeyDictionary[Any, tuple[Any, str]]
    """The data set that each loader of this Trainer goes through, and its name for messages."""

    def current_accelerator(self) -> Any:
        """Device and processes; made again if another run of this process set Accelerate otherwise.

        Between two uses of a Trainer others may be made, and Accelerate keeps one state for all.
        """
        if self._running is None and not self._is_current():
            self.args.__dict__.pop("_setup_devices", None)
            _device = self.args.device  # sets Accelerate's state, now that it is not cached
            self.create_accelerator_and_postprocess()
        return self.accelerator

    def create_accelerator_and_postprocess(self) -> None:
        """Accelerate for placement, precision and processes; nothing is compiled."""
        super().create_accelerator_and_postprocess()
        if self.args.torch_compile:
            self.accelerator.state.dynamo_plugin.backend = DynamoBackend.NO

    def _is_current(self) -> bool:
        try:
            current = self.accelerator.mixed_precision, self.accelerator.device.type
        except AttributeError:  # the state was reset
            return False
        return current == (self.args.mixed_precision, self.args.device.type)

    def get_train_dataloader(self) -> Any:
        """The batches of an epoch.

        Raises:
            ArgumentError: there is no train_dataset (R135).
        """
        if self.train_dataset is None:
            raise unsupported.without_data("train")
        return super().get_train_dataloader()

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """The batches of an evaluation.

        Raises:
            ArgumentError: there is no eval_dataset (R135).
        """
        if eval_dataset is None and self.eval_dataset is None:
            raise unsupported.without_data("evaluation")
        return super().get_eval_dataloader(eval_dataset)

    def get_test_dataloader(self, test_dataset: Any) -> Any:
        """The batches of a prediction.

        Raises:
            ArgumentError: there is no test_dataset (R135).
        """
        if test_dataset is None:
            raise unsupported.without_data("test")
        return super().get_test_dataloader(test_dataset)

    def _get_dataloader(self, dataset: Any, description: str, *args: Any, **kwargs: Any) -> Any:
        """That of transformers; which rows it takes is noted, and they are looked at first."""
        name = {"Training": "train", "Evaluation": "evaluation"}.get(description, description)
        has_places = not is_stream(dataset)
        if has_places and self._running != "theirs":
            self.data.rows(dataset, name)
        self.current_accelerator()
        with _pinned_where_it_helps(self.args):
            loader = super()._get_dataloader(dataset, description, *args, **kwargs)
        if has_places:
            self._loaders[loader] = dataset, name
        return loader

    def evaluation_loop(
        self,
        dataloader: Any,
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        """Predictions for the rows of a loader in their order, and metrics.

        Args:
            dataloader: one of this Trainer's, or any other, which transformers' loop goes through.
            description: "Evaluation" or "Prediction".
            prediction_loss_only: whether predictions are left out; None for what the arguments say.
            ignore_keys: outputs that are no predictions.
            metric_key_prefix: what every name begins with.
        """
        options: tuple[Any, ...] = (
            description, prediction_loss_only, ignore_keys, metric_key_prefix,
        )  # fmt: skip
        self.current_accelerator()
        is_loader = isinstance(dataloader, DataLoader)  # a script may pass any iterable
        known = self._loaders.get(dataloader) if is_loader else None
        if known is None or self._running == "theirs" or why_theirs_evaluates(self):
            return self._evaluated_by_transformers(dataloader, *options)
        self.callback_handler.eval_dataloader = dataloader
        only_loss = self.args.prediction_loss_only
        if prediction_loss_only is not None:
            only_loss = prediction_loss_only
        return evaluated(
            self,
            self.data.rows(known[0], known[1]),
            prefix=metric_key_prefix,
            ignore_keys=ignore_keys,
            keeps_predictions=not only_loss,
        )

    def _evaluated_by_transformers(self, dataloader: Any, *options: Any) -> EvalLoopOutput:
        """The plain model through transformers' own loop, also while ours trains."""
        if self._running == "theirs":
            return super().evaluation_loop(dataloader, *options)
        training = self.model.training
        with self.runner.plain_model():
            try:
                return super().evaluation_loop(dataloader, *options)
            finally:
                if self.runner.is_fast or self._running is None:
                    self.runner.unwrap(self.model)
                self.model.train(training)
