"""The preflight: what could end a run after hours is tried before its first step.

On the run's own model, rows and settings: a few rows with every score, the model saved and loaded
again, the largest micro-batch there and back with an update. Weights, optimizer and random numbers
are afterwards as before, to the bit.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from tunesmith.data.batches import Batch
from tunesmith.errors import ModelError, Problem, RecipeError, Severity
from tunesmith.i18n import gettext as _
from tunesmith.metrics.scores import Scores
from tunesmith.models import ModelFiles
from tunesmith.runs.session import Session
from tunesmith.storage import atomic
from tunesmith.storage.library_logging import quiet_transformers
from tunesmith.text import did_you_mean, quoted
from tunesmith.training.engine import Step, sum_over_ranks
from tunesmith.training.failures import halve_micro_batches
from tunesmith.training.memory import OneRowTooLarge, is_out_of_memory
from tunesmith.training.peers import current

__all__ = ["preflight"]

_ROWS = 32
"""Validation rows that are scored."""

_AGREE = 1e-4
"""How far answers may be apart, as a fraction of the largest."""

_Answers = Mapping[str, torch.Tensor]


def preflight(session: Session) -> None:
    """Try it all on a run that has not begun, in every process; warnings go to the session.

    Raises:
        RecipeError: custom metrics fail (R170), or the one that chooses is not among those
            computed (R171).
        ModelError: the model does not come back as it was saved (M143).
        ResourceError: memory does not suffice for a single row (M111), or the disk for the model
            (C107).
    """
    device = session.accelerator.device
    devices = [] if device.type == "cpu" else [device]
    with torch.random.fork_rng(devices, device_type=None if not devices else device.type):
        _step_on_the_largest(session)
        if session.accelerator.is_main_process:
            _save_and_load(session)
        current().meet()
        if "validation" in session.job.examples:
            _score_some(session)


def _step_on_the_largest(session: Session) -> None:
    """The largest micro-batch of the run there and back, and an update that changes nothing.

    Processes do not exchange gradients here, so that one that lacks memory keeps none waiting.
    """
    engine = session.engine
    before = engine.state()
    engine.set_training(True)
    while True:
        batch = session.largest_micro_batch()
        weight = 1 / max(1, batch.num_targets)
        loss = None
        try:
            loss = engine.accumulate(batch, weight, is_last=False)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        if not sum_over_ranks(session.accelerator, float(loss is None)) and loss is not None:
            break
        try:
            session.warnings.append(halve_micro_batches(engine, session.progress, batch).problem)
        except OneRowTooLarge as error:
            raise session.job.placed(error, "train") from None
    with _signs_of_zeros_kept(session.network):
        for group in engine.optimizer.param_groups:
            group["lr"] = 0.0
        engine.update(Step(0, (), 1.0, loss), wait=True)
    engine.load_state(before)


@contextmanager
def _signs_of_zeros_kept(network: nn.Module) -> Iterator[None]:
    """An update with a learning rate of zero changes no weight, but makes -0 a plain zero."""
    trained = [p for p in network.parameters() if p.requires_grad and p.ndim]
    with torch.no_grad():
        negative = [((p == 0) & p.signbit()).nonzero(as_tuple=True) for p in trained]
        yield
        for parameter, places in zip(trained, negative, strict=True):
            parameter[places] = -0.0


def _score_some(session: Session) -> None:
    """Every score of a few validation rows; where one fails on so few, the whole split decides."""
    job = session.job
    whole = job.examples["validation"]
    some = whole.of_rows(np.unique(np.linspace(0, whole.num_rows - 1, _ROWS).astype(np.int64)))
    evaluation = session.predict("validation", some)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of few rows many a score is undefined
            scores = session.score("validation", evaluation, some)
    except RecipeError:
        scores = session.evaluate()
    if job.selection is not None and job.selection.score not in scores:
        raise RecipeError(_no_such_score(session, job.selection.score, scores))


def _no_such_score(session: Session, name: str, scores: Scores) -> Problem:
    return session.job.layers.problem(
        "R171",
        _('there is no score "{name}" to choose by; computed are {names}').format(
            name=name, names=quoted(list(scores.values))
        ),
        "train",
        "select_by",
        fix=did_you_mean(name, scores.values),
    )


def _save_and_load(session: Session) -> None:
    """Save the model as it is finished, load it as users will, and compare the answers."""
    job, network = session.job, session.network
    lengths = job.examples["train"].lengths
    shortest = session.job.sample_batch(np.array([lengths.argmin()]))
    with session.engine.plain_model(), atomic.scratch(session.run.path, "preflight") as folder:
        with quiet_transformers():
            network.save_pretrained(folder)
        loaded = job.task.build(
            ModelFiles(job.files.name, folder), seed=0, dropout=None, allow_missing=("*",)
        )
        if loaded.new_weights:
            lacking = quoted(loaded.new_weights, at_most=3)
            raise ModelError(_another(_("it lacks {names}").format(names=lacking)))
        answers = _answers(session, network, shortest)
        off = _difference(answers, _answers(session, loaded.model, shortest))
        if not off <= _AGREE:
            raise ModelError(_another(_("its answers are off by {share:.1%}").format(share=off)))
        _serve_some(session, loaded.model)
        if session.progress.micro_batch_size == 1:
            return  # there is no memory for two rows, and no need of padding
        both = session.job.sample_batch(np.array([lengths.argmin(), lengths.argmax()]))
        padded = _answers(session, network, both)
    off = _difference(answers, padded)
    if not off <= _AGREE:
        session.warnings.append(_sees_padding(off))


def _serve_some(session: Session, model: nn.Module) -> None:
    """Compare the answers of the pipeline of transformers with those of the task."""
    job = session.job
    numbers = job.examples["train"].row_numbers[:_ROWS].tolist()
    rows = job.rows({"train": numbers})["train"]
    with quiet_transformers():
        differ = job.task.served_otherwise(
            model.eval(), job.tokenizer, [rows[number] for number in numbers]
        )
    if differ:
        session.warnings.append(_served_otherwise(differ, len(numbers)))


def _answers(session: Session, network: Any, batch: Batch) -> _Answers:
    """Return what the plain model answers to the first example of a batch; dropout is off.

    Of a task that only generates answers it is the loss of the batch.
    """
    device = session.accelerator.device
    network.to(device).eval()
    half = session.precision == "bf16"
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=half):
        outputs = session.job.task.forward(network, batch.to(device))
    answers = {name: values.float() for name, values in outputs.tensors(0).items()}
    if not answers and outputs.loss_sum is not None and len(batch.examples) == 1:
        return {"loss": outputs.loss_sum.float()}
    return answers


def _difference(answers: _Answers, others: _Answers) -> float:
    """The largest difference, as a fraction of the largest answer; not finite if one is not."""
    return max(
        (
            float((values - others[name]).abs().max()) / max(float(values.abs().max()), 1e-6)
            for name, values in answers.items()
            if name in others
        ),
        default=0.0,
    )


def _another(how: str) -> Problem:
    return Problem(
        "M143",
        _("saved and loaded again, the model is another: {how}").format(how=how),
        fix=_("What it would learn could not be kept. Choose another model."),
    )


def _served_otherwise(differ: int, count: int) -> Problem:
    return Problem(
        "M160",
        _("the pipeline of transformers answers {differ} of {count} rows otherwise").format(
            differ=differ, count=count
        ),
        fix=_("Predict with tunesmith, or choose another model."),
        severity=Severity.WARNING,
    )


def _sees_padding(off: float) -> Problem:
    return Problem(
        "M144",
        _("padding changes the answers of this model by up to {share:.1%}").format(share=off),
        fix=_("See that pad_token_id of its config.json is that of its tokenizer."),
        severity=Severity.WARNING,
    )
