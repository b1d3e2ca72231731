"""What can go wrong in a step, as warnings and errors of the loop."""

from __future__ import annotations

from tunesmith.data.batches import Batch
from tunesmith.errors import IntegrityError, Problem, ResourceError, Severity
from tunesmith.i18n import gettext as _
from tunesmith.training.engine import Engine, Step
from tunesmith.training.events import Warned
from tunesmith.training.memory import OneRowTooLarge
from tunesmith.training.plan import Plan
from tunesmith.training.progress import Progress

__all__ = ["diverged", "halve_micro_batches", "repeat_smaller", "skipped_update"]


def repeat_smaller(engine: Engine, plan: Plan, progress: Progress, batch: Batch) -> Warned:
    """Halve the micro-batches if this process is alone; others would not halve with it.

    Raises:
        ResourceError: memory does not suffice for a single row (M111), or not for one of several
            processes (M145).
    """
    if plan.num_processes > 1:
        raise _out_of_memory_alone(batch, plan.num_processes)
    return halve_micro_batches(engine, progress, batch)


def halve_micro_batches(engine: Engine, progress: Progress, batch: Batch) -> Warned:
    """Halve the micro-batches after `batch` did not fit, from here to the end of the run.

    The sum over a step's targets stays the same; dropout is drawn for other shapes.

    Raises:
        OneRowTooLarge: the batch has a single row (M111).
    """
    engine.discard_gradients()
    rows = len(batch.examples)
    if rows == 1:
        raise OneRowTooLarge.of_batch(batch)
    progress.micro_batch_size = (rows + 1) // 2
    return Warned(
        progress.step,
        Problem(
            "M140",
            _("out of memory with {rows} rows at once; from here on {fewer} are taken").format(
                rows=rows, fewer=progress.micro_batch_size
            ),
            fix=_(
                "A step still sees train.batch_size rows; dropout is drawn again, the rest differs "
                "by rounding. Next time start with --set train.micro_batch_size={fewer}."
            ).format(fewer=progress.micro_batch_size),
            severity=Severity.WARNING,
        ),
    )


def _out_of_memory_alone(batch: Batch, num_processes: int) -> ResourceError:
    rows = len(batch.examples)
    return ResourceError.of(
        "M145",
        _("one of {count} processes is out of memory with {rows} rows at once").format(
            count=num_processes, rows=rows
        ),
        fix=_(
            "Continue from the last checkpoint with the same command and "
            "--set train.micro_batch_size={fewer}."
        ).format(fewer=max(1, rows // 2)),
    )


def skipped_update(step: Step, loss: float, grad_norm: float) -> Warned:
    """Return M116, with the training examples of the step on this process."""
    problem = Problem(
        "M116",
        _("step {step}: the update is skipped, loss {loss}, gradient norm {norm}").format(
            step=step.number, loss=loss, norm=grad_norm
        ),
        fix=_("If this repeats, lower train.learning_rate, and look at these rows."),
        severity=Severity.WARNING,
    )
    examples = tuple(int(i) for _number, batch in step.batches for i in batch.examples)
    return Warned(step.number, problem, rows=examples)


def diverged(progress: Progress) -> IntegrityError:
    """Return M110: too many updates in a row were skipped."""
    return IntegrityError.of(
        "M110",
        _("{count} updates in a row were not finite; stopped at step {step}").format(
            count=progress.skipped_in_a_row, step=progress.step
        ),
        fix=_(
            "Lower train.learning_rate, add train.warmup, or look at the rows named above. The "
            "last good checkpoint stays."
        ),
    )
