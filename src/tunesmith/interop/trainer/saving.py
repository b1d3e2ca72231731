"""transformers' Trainer with checkpoints, model folders and uploads of ours, none a pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import transformers
from accelerate.utils import gather_object

from tunesmith.i18n import gettext as _
from tunesmith.interop.trainer import checkpoints, progress, published, rng
from tunesmith.interop.trainer.runner import Runner
from tunesmith.interop.trainer.steps import TrainerSession
from tunesmith.interop.trainer.support import notice
from tunesmith.training.optimizer import read_state
from tunesmith.training.progress import Progress

__all__ = ["SavingTrainer"]


class SavingTrainer(transformers.Trainer):  # type: ignore[misc]
    """Whatever transformers' Trainer writes or reads, in safetensors and JSON.

    Attributes:
        runner: the model on its device.
    """

    runner: Runner
    _session: TrainerSession | None
    """The training by our loop that is going on; None while none is or another loop trains."""

    _random_states: list[dict[str, Any]]

    # of transformers, which names no types
    control: Any
    callback_handler: Any
    optimizer: Any
    lr_scheduler: Any
    model_wrapped: Any
    _created_lr_scheduler: bool

    def _save_checkpoint(self, model: Any, trial: Any, metrics: Any = None) -> None:
        """A checkpoint of ours, whichever loop trains."""
        if self._session is None:
            self.store_flos()
            self._random_states = gather_object([rng.random_state()])
        with self.runner.plain_model():
            checkpoints.save(self, Path(self._get_output_dir(trial)), self._write_checkpoint)

    def _write_checkpoint(self, folder: Path) -> None:
        self.save_model(str(folder), _internal_call=True)
        self._save_optimizer_and_scheduler(str(folder))
        self._save_scaler(str(folder))
        self._save_rng_state(str(folder))

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        session = self._session
        if session is None:
            tensors = read_state(self.model, self.optimizer)
            done, facts = Progress(step=self.state.global_step), {}
        else:
            tensors = session.engine.state()
            done, facts = session.progress, dict(session.facts())
        progress.write(
            Path(output_dir), tensors,
            optimizer=self.optimizer, scheduler=self.lr_scheduler, progress=done, facts=facts,
        )  # fmt: skip

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            saved = progress.read(Path(checkpoint))
            progress.lead_on(saved, self.lr_scheduler)  # first, since it may move learning rates
            progress.restore_optimizer(saved, self.model, self.optimizer)

    def _save_rng_state(self, output_dir: str) -> None:
        if self._session is None:  # steps of ours draw from the plan
            rng.write_random_states(Path(output_dir), self._random_states)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            rank = self.accelerator.process_index
            state = rng.read_random_state(Path(checkpoint), rank)
            if state is None:
                notice(_("the checkpoint holds no random numbers of this process"))
            else:
                rng.set_random_state(state)

    def _save_scaler(self, output_dir: str) -> None:
        """Losses are never scaled: fp16 is computed in another precision."""

    def _load_scaler(self, checkpoint: str | None) -> None:
        """As above."""

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        folder = Path(resume_from_checkpoint)
        checkpoints.verify(folder)
        published.load_weights(folder, self.model if model is None else model)

    def _load_best_model(self) -> None:
        published.load_weights(Path(self.state.best_model_checkpoint), self.model)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the model and its tokenizer as `from_pretrained` reads them.

        Args:
            output_dir: where to; `args.output_dir` if not given.
            _internal_call: True not to upload it, whatever `args.push_to_hub` says.
        """
        with self.runner.plain_model():
            super().save_model(output_dir, _internal_call)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """The model folder, by the first process; nothing in it is a pickle."""
        if self.is_world_process_zero():
            spoken = self.processing_class or getattr(self.data_collator, "tokenizer", None)
            folder = Path(output_dir or self.args.output_dir)
            published.write(folder, self.model, spoken, self.args, state_dict)

    # the Hub

    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        """Make the repository that the arguments name, unless it is there."""
        if self.is_world_process_zero():
            self.hub_model_id = published.prepare_repository(
                self.args, token=token, private=private
            )

    def create_model_card(self, *args: Any, **metadata: Any) -> None:
        """Write a card with the figures of this training next to the model.

        Args:
            args: as transformers' Trainer takes them.
            metadata: likewise: language, license, tags, dataset, …
        """
        if self.is_world_process_zero():
            names = ("language", "license", "tags", "model_name", "finetuned_from")
            published.write_card(self, dict(zip(names, args, strict=False)) | metadata)

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
            blocking: whether to wait for it; it is always waited for.
            token: of the Hub; else `args.hub_token` or that of the machine.
            revision: a branch; else `args.hub_revision`.
            card: as `create_model_card` takes it.

        Raises:
            ResourceError: the Hub cannot be reached (M104) or does not let us in (M106).
        """
        if not blocking:
            notice("push_to_hub: " + _("blocking=False has no effect: the upload is waited for"))
        self.save_model(_internal_call=True)
        self.create_model_card(**card)
        if not self.is_world_process_zero():
            return ""
        return published.upload(self.args, commit_message, token=token, revision=revision)
