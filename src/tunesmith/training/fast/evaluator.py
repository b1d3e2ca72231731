"""Evaluations between the steps of a run, computed as predictions are: by layers without gradients.

Whether these layers agree with the exact model is tried once, on the pretrained weights, so that a
run that was resumed evaluates the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tunesmith.data.batches import Batch, Examples
from tunesmith.training.engine import Forward, Pass
from tunesmith.training.fast.engine import FastEngine, FastForward
from tunesmith.training.fast.inference_layer import InferenceLayers
from tunesmith.training.fast.probe import AS_EXACT, OUTPUTS_AGREE, ProbeResult, difference
from tunesmith.training.memory import is_out_of_memory

if TYPE_CHECKING:
    from tunesmith.training.engine import Engine

__all__ = ["NO_DROPOUT", "PLAIN", "Evaluator", "agreeing_layers", "may_go_at_once"]

NO_DROPOUT = frozenset({"dropout"})
"""There is none in evaluation mode; its patches would only take time."""

PLAIN = ProbeResult(None, by_length=False, reason="few rows")
"""The unchanged model."""


class Evaluator:
    """Takes batches through the model of an engine while no step is computed."""

    def __init__(
        self, engine: FastEngine, run: Pass, *, half: bool, disabled: frozenset[str]
    ) -> None:
        """Use `of`, which compares the layers with the exact model first."""
        self._engine = engine
        self._run = run
        self._half = half
        self._disabled = disabled

    @classmethod
    def of(
        cls, engine: Engine, run: Pass, batch: Batch, *, half: bool, disabled: frozenset[str]
    ) -> Evaluator | None:
        """Return how to evaluate, or None if the engine itself is the way.

        Args:
            engine: of the run; others than the fast one on a CPU, and processes that share steps,
                evaluate by themselves.
            run: one pass of the task.
            batch: a few rows, padded.
            half: whether to compute in bfloat16.
            disabled: parts to leave out, as `train.disable` names them.
        """
        if type(engine) is not FastEngine or engine.accelerator.num_processes > 1:
            return None
        device = engine.accelerator.device
        if device.type != "cpu" or engine.probe_result.exit is None or "layers" in disabled:
            return None
        network = engine.network
        was_training = network.training
        try:
            with engine.plain_model():
                layers = agreeing_layers(
                    network, run, batch, device, result=_unfused(engine), half=half
                )
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            return None  # the engine finds out what fits
        finally:
            network.train(was_training)
        return None if layers is None else cls(engine, run, half=half, disabled=disabled)

    @contextmanager
    def patched(self) -> Iterator[Forward]:
        """The model with the weights of the moment."""
        engine = self._engine
        with engine.plain_model():
            forward = FastForward(
                engine.network, self._run, engine.accelerator.device,
                probe_result=_unfused(engine), half=self._half,
                disabled=NO_DROPOUT | self._disabled,
                layers=InferenceLayers.of(engine.network, half=self._half),
            )  # fmt: skip
            try:
                yield forward
            finally:
                forward.close()


def may_go_at_once(examples: Examples) -> bool:
    """Return whether several batches of these may go through a patched model at once.

    A row without tokens would remove patches that the others need.
    """
    return not examples.prepared.has_parts and int(examples.lengths.min()) > 0


def _unfused(engine: FastEngine) -> ProbeResult:
    """What its probe found, without layers for steps."""
    result = engine.probe_result
    return ProbeResult(result.exit, by_length=False, reason=result.reason)


def agreeing_layers(
    network: nn.Module,
    run: Pass,
    batch: Batch,
    device: torch.device,
    *,
    result: ProbeResult,
    half: bool,
) -> InferenceLayers | None:
    """Return layers with packed weights, if they agree with the exact model; else None.

    In bfloat16 they may round as much as autocast does, a few times over.

    Args:
        network: a plain model, which is left in evaluation mode.
        run: one pass of the task.
        batch: a few rows, padded.
        device: of the model.
        result: how it runs packed.
        half: whether to compute in bfloat16.
    """
    layers = InferenceLayers.of(network, half=False)
    if layers is None:
        return None

    def outputs(result: ProbeResult, **how: Any) -> list[torch.Tensor]:
        return _outputs(network, run, batch, device, result=result, **how)

    exact = outputs(PLAIN)
    off = _distance(exact, outputs(result, layers=layers))
    if off >= OUTPUTS_AGREE or not half:
        return layers if off < OUTPUTS_AGREE else None
    layers = InferenceLayers.of(network, half=True)
    rounding = _distance(exact, outputs(result, half=True))
    off = _distance(exact, outputs(result, layers=layers, half=True))
    return layers if off <= AS_EXACT * rounding else None


def _outputs(
    network: nn.Module,
    run: Pass,
    batch: Batch,
    device: torch.device,
    *,
    result: ProbeResult,
    layers: InferenceLayers | None = None,
    half: bool = False,
) -> list[torch.Tensor]:
    """Return what one pass over a batch gives."""
    network.eval()
    forward = FastForward(
        network, run, device, probe_result=result, half=half, disabled=NO_DROPOUT, layers=layers
    )
    try:
        with torch.inference_mode():
            return [tensor.float() for tensor in forward.outputs(batch).tensors().values()]
    finally:
        forward.close()


def _distance(exact: list[torch.Tensor], other: list[torch.Tensor]) -> float:
    """Return the largest difference between outputs, relative to the largest of each."""
    return difference((exact, {}), (other, {}))[0]
