"""A finished model for predictions, by faster means where that is worth it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from tunesmith.data.batches import Batch, Examples, Padding, make_batch
from tunesmith.tasks import EVALUATION_SEED, Task
from tunesmith.training.engine import Forward
from tunesmith.training.fast.engine import FastForward
from tunesmith.training.fast.gpu_parts import left_out
from tunesmith.training.fast.inference_layer import InferenceLayers
from tunesmith.training.fast.probe import (
    AS_EXACT,
    OUTPUTS_AGREE,
    ProbeResult,
    difference,
    probe,
    probed_places,
)
from tunesmith.training.fast.process import tuned
from tunesmith.training.fast.waiting import watched

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["Predictor"]

_PATCHING = threading.Lock()
_FEW = 4
"""Fewer rows at once show too little to compare anything on, and gain little."""
_MANY = 32
"""Rows from which on the settings of the process pay, and rows of one length are compared on."""
_LONG_ENOUGH = 64
"""Fewer rows are predicted before the load of the machine is known."""
_NO_DROPOUT = frozenset({"dropout"})
"""There is none in evaluation mode; its patches would only take time."""
_PLAIN = ProbeResult(None, by_length=False, reason="few rows")


class Predictor:
    """A finished model for predictions. It is patched only while rows go through it."""

    def __init__(
        self,
        network: nn.Module,
        task: Task,
        accelerator: Accelerator,
        precision: str,
        disabled: frozenset[str] = frozenset(),
    ) -> None:
        """Nothing is changed until rows come.

        Args:
            network: a finished model.
            task: fitted.
            accelerator: its device.
            precision: "fp32" or "bf16".
            disabled: parts to leave out: "layers", "packing", "last_layer", "copies", "process",
                "streams" or "waiting".
        """
        self._network = network.to(accelerator.device)
        self._task = task
        self._device = accelerator.device
        self._half = precision == "bf16"
        self._disabled = disabled
        self._probe_result: ProbeResult | None = None
        self._layers: InferenceLayers | None = None

    @contextmanager
    def patched(self, examples: Examples, padding: Padding) -> Iterator[Forward]:
        """The forward for some examples; the first ones are also tried the exact way.

        Very few rows are computed only that way. One thread at a time patches the model.
        """
        with _PATCHING:
            plain = self._probe_result is None and not self._is_worth_it(examples.lengths)
            with self._settings(len(examples), plain=plain):
                result = _PLAIN if plain else self._probe(examples, padding)
                forward = FastForward(
                    self._network, self._task.forward, self._device,
                    probe_result=result, half=self._half,
                    disabled=_NO_DROPOUT | ({"copies"} if plain else self._disabled),
                    layers=None if plain else self._current_layers(),
                )  # fmt: skip
                try:
                    yield forward
                finally:
                    forward.close()

    def takes_several(self, examples: Examples) -> bool:
        """Whether several batches of these may go through at once.

        A row without tokens would remove patches that the others need.
        """
        return (
            self._layers is not None
            and "streams" not in self._disabled
            and not examples.prepared.has_parts
            and int(examples.lengths.min()) > 0
        )

    @contextmanager
    def _settings(self, count: int, *, plain: bool) -> Iterator[None]:
        """Set for the process what speeds up so many rows."""
        tunes = not plain and count >= _MANY and "process" not in self._disabled
        watches = self._device.type == "cpu" and "waiting" not in self._disabled
        with tuned(tunes), watched(watches and count >= _LONG_ENOUGH):
            yield

    def _is_worth_it(self, lengths: np.ndarray) -> bool:
        """Whether rows are enough to probe the model on, and to gain from it.

        Rows of one length show nothing of padding; if they are few, others may follow.
        """
        if len(lengths) < _FEW:
            return False
        return len(lengths) >= _MANY or len(np.unique(lengths)) > 1

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
            trains=False,
            # layers for predictions are others than those that train
            disabled=self._disabled | left_out(self._device) | {"layers"},
        )  # fmt: skip
        self._layers = self._agreeing_layers(result, batch)
        if len(np.unique(examples.lengths[places])) > 1:
            self._probe_result = result
        return result

    def _current_layers(self) -> InferenceLayers | None:
        """The layers with the weights of the moment."""
        if self._layers is not None and not self._layers.is_current:
            self._layers = InferenceLayers.of(self._network, half=self._half)
        return self._layers

    def _agreeing_layers(self, result: ProbeResult, batch: Batch) -> InferenceLayers | None:
        """Layers with packed weights, if they agree with the exact model; else None.

        In bfloat16 they may round as much as autocast does, a few times over.
        """
        if result.exit is None or self._device.type != "cpu" or "layers" in self._disabled:
            return None
        layers = InferenceLayers.of(self._network, half=False)
        if layers is None:
            return None
        exact = self._outputs(_PLAIN, batch)
        off = _distance(exact, self._outputs(result, batch, layers))
        if off >= OUTPUTS_AGREE or not self._half:
            return layers if off < OUTPUTS_AGREE else None
        layers = InferenceLayers.of(self._network, half=True)
        rounding = _distance(exact, self._outputs(result, batch, half=True))
        off = _distance(exact, self._outputs(result, batch, layers, half=True))
        return layers if off <= AS_EXACT * rounding else None

    def _outputs(
        self,
        result: ProbeResult,
        batch: Batch,
        layers: InferenceLayers | None = None,
        *,
        half: bool = False,
    ) -> list[torch.Tensor]:
        """What one pass over a batch gives."""
        self._network.eval()
        forward = FastForward(
            self._network, self._task.forward, self._device,
            probe_result=result, half=half, disabled=_NO_DROPOUT, layers=layers,
        )  # fmt: skip
        try:
            with torch.inference_mode():
                return [tensor.float() for tensor in forward.outputs(batch).tensors().values()]
        finally:
            forward.close()


def _distance(exact: list[torch.Tensor], other: list[torch.Tensor]) -> float:
    """The largest difference between outputs, relative to the largest of each."""
    return difference((exact, {}), (other, {}))[0]
