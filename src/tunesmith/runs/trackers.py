"""Trackers: TensorBoard, Weights & Biases, MLflow, Trackio, SwanLab, with the same events.

None is imported or contacted unless it is named. The adapters are Accelerate's own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.errors import Problem, RecipeError, ResourceError, Severity
from tunesmith.i18n import gettext as _
from tunesmith.text import did_you_mean, shortened
from tunesmith.training.events import Evaluated, Event, StepDone

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["TRACKERS", "Trackers", "check_trackers"]

TRACKERS = {
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "mlflow": "mlflow",
    "trackio": "trackio",
    "swanlab": "swanlab",
}
"""Each tracker and the package it needs."""


def check_trackers(names: Sequence[str]) -> None:
    """Find out before training whether the named trackers are there.

    Raises:
        RecipeError: there is no such tracker (R113).
        ResourceError: its package is not installed (M155).
    """
    from importlib.util import find_spec

    for name in names:
        if name not in TRACKERS:
            known = _("Trackers: {names}.").format(names=", ".join(TRACKERS))
            fix = did_you_mean(name, TRACKERS, otherwise=known)
            raise RecipeError.of(
                "R113", _('there is no tracker "{name}"').format(name=name), fix=fix
            )
        if find_spec(TRACKERS[name]) is None:
            raise ResourceError.of(
                "M155",
                _('the tracker "{name}" is not installed').format(name=name),
                fix=f"pip install {TRACKERS[name]}",
            )


class Trackers:
    """The named trackers of one run; with none named it does nothing."""

    def __init__(
        self,
        names: Sequence[str],
        accelerator: Accelerator,
        *,
        run: str,
        folder: Path,
        settings: Mapping[str, Any],
    ) -> None:
        """Start them on the first process.

        Args:
            names: which.
            accelerator: which process this is.
            run: the name to show.
            folder: where local trackers write.
            settings: flat values of the recipe to show.
        """
        self._trackers: dict[str, Any] = {}
        if not names or not accelerator.is_main_process:
            return
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS

        os.environ.setdefault("WANDB_NAME", run)
        for name in names:
            kind = LOGGER_TYPE_TO_CLASS[name]
            tracker = (
                kind("tunesmith", logging_dir=str(folder / name))
                if kind.requires_logging_directory
                else kind("tunesmith")
            )
            if hasattr(tracker, "start"):
                tracker.start()
            tracker.store_init_configuration(dict(settings))
            self._trackers[name] = tracker

    def take(self, event: Event, line: Mapping[str, object] | None) -> list[Problem]:
        """Pass on what the event log wrote; a tracker that fails gets nothing more.

        Returns:
            the failures.
        """
        if line is None or not self._trackers:
            return []
        values: dict[str, float] = {}
        if isinstance(event, StepDone):
            keys = ("loss", "learning_rate", "grad_norm")
            values = {
                f"train/{key}": value for key in keys if isinstance(value := line[key], float)
            }
        elif isinstance(event, Evaluated):
            values = {
                f"{event.split}/{name}": value
                for name, value in event.scores.values.items()
                if value is not None
            }
        if not values:
            return []
        return self._each(lambda tracker: tracker.log(values, step=event.step))

    def close(self) -> list[Problem]:
        """Finish them all, once; returns the failures."""
        problems = self._each(lambda tracker: tracker.finish())
        self._trackers.clear()
        return problems

    def _each(self, call: Callable[[Any], object]) -> list[Problem]:
        """Call each of them and let go of those that fail."""
        problems = []
        for name, tracker in list(self._trackers.items()):
            try:
                call(tracker)
            except Exception as error:  # whatever a tracker does, the training is worth more
                del self._trackers[name]
                problems.append(_failed(name, error))
        return problems


def _failed(name: str, error: Exception) -> Problem:
    return Problem(
        "M118",
        _('the tracker "{name}" failed and gets nothing more: {reason}').format(
            name=name, reason=shortened(f"{type(error).__name__}: {error}", at_most=200)
        ),
        fix=_("Training goes on; events.jsonl holds the same numbers."),
        severity=Severity.WARNING,
    )
