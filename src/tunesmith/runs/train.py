"""A run in its folder, from the loop's events to a finished model.

The loop's events pass through here on their way to the caller: they are written to
events.jsonl, they make checkpoints due, and at the end they leave a model folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import torch

from tunesmith.errors import Interrupted, ResourceError, TunesmithError
from tunesmith.i18n import gettext as _
from tunesmith.runs.agreement import agree_on_inputs
from tunesmith.runs.custom_metrics import ComputeMetrics
from tunesmith.runs.finish import finish
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.open_session import checkpoint_bytes, open_session, write_recipe_and_plan
from tunesmith.runs.preflight import preflight
from tunesmith.runs.prepare import PreparedRun
from tunesmith.runs.recorder import Recorder
from tunesmith.runs.remote_folder import RemoteFolder
from tunesmith.runs.session import Session
from tunesmith.runs.signals import StopRequest
from tunesmith.training.device import (
    deterministic_kernels,
    device_of,
    make_accelerator,
    resolve_precision,
)
from tunesmith.training.events import Event, Warned
from tunesmith.training.fast.process import tuned
from tunesmith.training.fast.waiting import watched
from tunesmith.training.loop import train
from tunesmith.training.memory import is_out_of_memory, memory_problem
from tunesmith.training.peers import current, joined

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["opened_session", "train_run"]


def train_run(
    job: PreparedRun,
    run: RunFolder,
    *,
    stop: StopRequest,
    compute_metrics: ComputeMetrics | None = None,
    on_line: Callable[[Mapping[str, object]], None] | None = None,
    remote: RemoteFolder | None = None,
) -> Iterator[Event]:
    """Train a job in its folder, from the newest whole checkpoint if there is one.

    The caller holds the lock on the folder. Recipe and plan are written once all that could fail
    before the first step has been tried. Every process iterates to the end.

    Args:
        job: from `prepare_run`.
        run: its folder.
        stop: whether a stop was requested.
        compute_metrics: custom metrics.
        on_line: called with each line of events.jsonl as it is written.
        remote: the copy of the folder in a store; None for none.

    Yields:
        The loop's events, `Saved` and `Warned` between them, and `Finished` once the model is
        committed.

    Raises:
        Interrupted: a signal asked to stop; what was done is saved.
        IntegrityError: training diverged, or the folder holds another run's numbers.
        ResourceError: disk, memory or device do not suffice.
    """
    with opened_session(job, run, stop=stop, compute_metrics=compute_metrics) as session:
        if job.recipe.train.preflight and session.resumed_from is None:
            preflight(session)
            if remote is not None and (problem := remote.slow_upload(checkpoint_bytes(session))):
                session.warnings.append(problem)
        write_recipe_and_plan(session)
        with Recorder(session, on_line, remote) as recorder:
            yield from recorder.record(_warnings(session))
            yield from _steps(session, recorder)
            seconds, examples = recorder.train_seconds, recorder.examples
            finished = finish(session, train_seconds=seconds, examples=examples)
            yield from recorder.record([*_warnings(session), finished])


@contextmanager
def opened_session(
    job: PreparedRun,
    run: RunFolder,
    *,
    stop: StopRequest,
    compute_metrics: ComputeMetrics | None = None,
) -> Iterator[Session]:
    """A session of a run, in a process set up as its recipe asks; put back afterwards.

    Raises:
        ResourceError: disk, memory or device do not suffice.
    """
    settings = job.recipe.train
    is_fast = settings.engine == "fast"
    with joined(), _device_errors_reported():
        precision = resolve_precision(settings.precision, settings.device)
        agree_on_inputs(job, device=device_of(settings.device), precision=precision)
        accelerator = make_accelerator(
            device=settings.device,
            precision="fp32" if is_fast else precision,  # the fast engine sees to its own
        )
        with (
            deterministic_kernels(settings.deterministic),
            tuned(is_fast and "process" not in settings.disable),
            watched(accelerator.device.type == "cpu" and "waiting" not in settings.disable),
        ):
            session = open_session(
                job,
                run,
                accelerator,
                precision=precision,
                stop=stop,
                compute_metrics=compute_metrics,
            )
            with closing(session):
                yield session


def _warnings(session: Session) -> list[Event]:
    """Return the warnings of the session that are not reported yet."""
    return [Warned(session.progress.step, problem) for problem in session.take_warnings()]


def _steps(session: Session, recorder: Recorder) -> Iterator[Event]:
    """The loop's events, with a checkpoint wherever one is due."""
    job = session.job
    stream = train(
        session.engine,
        plan=job.plan,
        progress=session.progress,
        micro_batches=session.micro_batches,
        evaluate=session.evaluate if "validation" in job.examples else None,
        selection=job.selection,
    )
    with session.stop.deferred():
        while True:
            try:
                event = recorder.timed(stream)
            except Interrupted:  # in the midst of an evaluation, which the rerun makes again
                yield from recorder.record([recorder.save()])
                raise session.stop.interruption(recorder.saved) from None
            except TunesmithError as error:  # of the data: every process is at the same step
                if error is session.unusable_data and session.progress.step:
                    yield from recorder.record([recorder.save()])
                raise
            if event is None:
                return
            yield from recorder.record([*_warnings(session), event])
            is_newest = event.step >= session.progress.step  # else more steps are reported now
            stop, due, asks = _agree(
                session.accelerator,
                session.stop.was_made and is_newest,
                recorder.save_is_due(event),
                session.stop.asks and is_newest,
            )
            if asks and session.stop.save_is_requested():
                due = True
            if stop or due:
                yield from recorder.record([recorder.save()])
            if stop:
                raise session.stop.interruption(recorder.saved)


def _agree(accelerator: Accelerator, *flags: bool) -> tuple[bool, ...]:
    """The flags, true on every process as soon as they are on one."""
    if accelerator.num_processes == 1:
        return flags
    tensor = torch.tensor(flags, dtype=torch.float32, device=accelerator.device)
    summed: Any = accelerator.reduce(tensor, reduction="sum")
    return tuple(bool(value) for value in summed > 0)


@contextmanager
def _device_errors_reported() -> Iterator[None]:
    """Report what a device refused.

    Raises:
        ResourceError: memory does not suffice (M111), or a kernel cannot repeat exactly (M120).
    """
    try:
        yield
    except ResourceError:  # reported as what it is already
        raise
    except Exception as error:
        if failure := current().why(error):
            raise failure from error
        text = str(error)
        if is_out_of_memory(error):
            raise ResourceError(memory_problem(error)) from error
        if isinstance(error, RuntimeError) and "deterministic" in text:
            message = _("a kernel of this model cannot repeat exactly: {reason}")
            raise ResourceError.of(
                "M120",
                message.format(reason=text.splitlines()[0]),
                fix=_("Allow it with --set train.deterministic=false."),
            ) from error
        raise
