"""A finished model for predictions, by faster means where that is worth it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from tunesmith.data.batches import Examples, Padding, make_batch
from tunesmith.tasks import EVALUATION_SEED, Task
from tunesmith.training.engine import Forward
from tunesmith.training.fast.engine import FastForward
from tunesmith.training.fast.gpu_parts import left_out
from tunesmith.training.fast.probe import ProbeResult, probe, probed_places
from tunesmith.training.fast.waiting import watched

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["Predictor"]

_PATCHING = threading.Lock()
_WORTH_IT = 4
"""Fewer rows to predict are computed by the plain model: probing costs more than it saves."""
_LONG_ENOUGH = 64
"""Fewer rows are predicted before the load of the machine is known."""
_PLAIN = ProbeResult(None, by_length=False, reason="few rows")


class Predictor:
    """A finished model for predictions. It is patched only while rows go through it."""

    def __init__(
        self, network: nn.Module, task: Task, accelerator: Accelerator, precision: str
    ) -> None:
        """Nothing is changed until rows come.

        Args:
            network: a finished model.
            task: fitted.
            accelerator: its device.
            precision: "fp32" or "bf16".
        """
        self._network = network.to(accelerator.device)
        self._task = task
        self._device = accelerator.device
        self._half = precision == "bf16"
        self._probe_result: ProbeResult | None = None

    @contextmanager
    def patched(self, examples: Examples, padding: Padding) -> Iterator[Forward]:
        """The forward for some examples; the first ones are also tried the exact way.

        Very few rows are computed only that way. One thread at a time patches the model.
        """
        with _PATCHING:
            plain = len(examples) < _WORTH_IT
            probe_result = _PLAIN if plain else self._probe(examples, padding)
            forward = FastForward(
                self._network, self._task.forward, self._device,
                probe_result=probe_result, half=self._half,
                disabled=frozenset({"copies", "dropout"}) if plain else frozenset(),
            )  # fmt: skip
            try:
                with watched(self._device.type == "cpu" and len(examples) >= _LONG_ENOUGH):
                    yield forward
            finally:
                forward.close()

    def _probe(self, examples: Examples, padding: Padding) -> ProbeResult:
        """What the probe finds; it is kept unless all its rows were equally long.

        Such rows would not show what a model makes of padding, or of other rows.
        """
        if self._probe_result is not None:
            return self._probe_result
        places = probed_places(examples.lengths)
        batch = self._task.corrupt(make_batch(examples, places, padding), seed=EVALUATION_SEED)
        result = probe(
            self._network, self._task.forward, batch, self._device,
            trains=False, disabled=left_out(self._device),
        )  # fmt: skip
        if len(np.unique(examples.lengths[places])) > 1:
            self._probe_result = result
        return result
