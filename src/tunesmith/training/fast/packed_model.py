"""Where a pack enters and leaves a model, for families that let transformers route attention.

No modeling code is forked. A hook on the stack of layers turns packed hidden states back into what
the head expects: the first token of each sequence, or a padded batch; heads that answer for every
token take the pack as it is; the heads of decoders, which look for the last token themselves, are
called directly. Which of these a model needs is tried out
by the probe, not looked up: a table would be wrong one day.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace as replaced
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import nn

from tunesmith.data.batches import Batch
from tunesmith.tasks import Outputs
from tunesmith.training.fast.attention import NAME, PackContext, attending, register
from tunesmith.training.fast.encoder_layer import layers_of
from tunesmith.training.fast.kernels import NOT_INSTALLED, why_missing
from tunesmith.training.fast.packing import Pack, Sequences, pack_batch, pack_tokens, repad
from tunesmith.training.fast.ragged_attention import Kernels

if TYPE_CHECKING:
    from tunesmith.training.fast.fused_layer import FusedLayers

__all__ = ["Exit", "PackedLayout", "can_fuse", "exits_of", "first_position"]

Exit = Literal["first token", "first token, last layer cut", "every token", "padded", "last token"]
"""What the head sees of a pack."""

_STACKS = ("encoder", "transformer", "final_norm", "norm", "layers")
"""Names under which models keep their stack of layers, or the norm behind it."""


def first_position(network: Any) -> int:
    """The position id of the first token: RoBERTa and its kin begin behind the padding id."""
    for name, module in network.base_model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            return 0 if module.padding_idx is None else int(module.padding_idx) + 1
    return 0


def exits_of(network: Any) -> tuple[Exit, ...]:
    """The exits worth trying, the fastest first; none if packing cannot work."""
    if not getattr(network, "_supports_attention_backend", False):
        return ()
    if getattr(network.config, "is_encoder_decoder", False):
        return ()
    name = type(network).__name__
    if "TokenClassification" in name or "QuestionAnswering" in name:
        return ("every token", "padded")
    if _decoder_head(network) is not None:
        return ("last token",)
    if "SequenceClassification" in name or "MultipleChoice" in name:
        return ("first token, last layer cut", "first token", "padded")
    return ("padded",)


def can_fuse(network: Any, device: torch.device) -> tuple[bool, str]:
    """Return whether the layers of a model may be computed as one function each.

    And why not, where kernels are installed and do not work; without them nothing is amiss.
    """
    if device.type != "cpu" or not layers_of(network):
        return False, ""
    reason = why_missing()
    return reason is None, "" if reason is None or reason == NOT_INSTALLED else reason


class PackedLayout:
    """Batches through a model as packs, once it was `enter`ed.

    Attributes:
        context: holds the current pack.
        fused: its layers, each as one function, while entered; None where they are not.
    """

    def __init__(
        self, network: Any, exit_: Exit, kernels: Kernels | None = None, *, fuses: bool = False
    ) -> None:
        """Nothing is changed until `enter`.

        Args:
            network: with its layers, on its device.
            exit_: how packs leave it.
            kernels: torch's own for ragged attention, to be used if they can.
            fuses: whether to compute its layers as one function each, where `can_fuse`.
        """
        register()
        self.network = network
        self.exit = exit_
        self.kernels = kernels
        self.first_position = first_position(network)
        self.fused: FusedLayers | None = None
        # before patches of other parts change them
        self._layers = layers_of(network) if fuses else []
        self.context = PackContext()

    def run(
        self, forward: Callable[[nn.Module, Batch], Outputs], batch: Batch, device: Any
    ) -> Outputs:
        """One pass of a task; the batch is padded and on the CPU, the answers are in its order."""
        pack, packed = pack_batch(batch, first_position=self.first_position)
        if self.kernels is not None:
            # what fills up the pack is a sequence, too: kernels would leave other rows undefined
            end = packed.inputs["input_ids"].shape[1]
            starts = torch.from_numpy(np.append(pack.starts, end))
            longest = max(int(pack.lengths[0]), end - int(pack.starts[-1]))
            ragged = self.kernels.ragged(starts, longest, device)
            pack = replaced(pack, ragged=ragged)
        if self.exit == "every token":
            packed = pack_tokens(batch, pack, packed).to(device)
            return _in_order(self.run_packed(forward, pack, packed))
        packed = packed.to(device)
        # attention looks at no mask; a head that pools needs that of the padded batch, and what
        # looks at it before the layers has nothing to hide
        mask = (
            batch.inputs["attention_mask"].to(device)
            if self.exit == "padded"
            else torch.ones_like(packed.inputs["input_ids"])
        )
        inputs = {**packed.inputs, "attention_mask": mask}
        return self.run_packed(forward, pack, replaced(packed, inputs=inputs))

    def run_packed(
        self, forward: Callable[[nn.Module, Batch], Outputs], pack: Sequences, packed: Batch
    ) -> Outputs:
        """Run one pass over a pack that is on the device already."""
        self.context.pack = pack
        return forward(self._called, packed)

    def discard_pack(self) -> None:
        """Release the pack, once no backward pass needs it."""
        self.context.pack = None
        if self.fused is not None:
            self.fused.forget()

    @property
    def ignores_window(self) -> bool:
        """Whether the model has a sliding window that its layers, so far, have not named here.

        It is in the mask then, of which there is none.
        """
        return (
            isinstance(getattr(self.network.config, "sliding_window", None), int)
            and not self.context.windows
        )

    @property
    def _pack(self) -> Sequences:
        assert self.context.pack is not None  # noqa: S101 - `run` came first
        return self.context.pack

    @property
    def _called(self) -> Any:
        """What the task calls as the model."""
        if self.exit != "last token":
            return self.network
        head = _decoder_head(self.network)

        def call(**inputs: torch.Tensor) -> Any:
            assert head is not None  # noqa: S101 - so says the exit
            hidden = self.network.base_model(**inputs, use_cache=False).last_hidden_state
            return SimpleNamespace(logits=head(hidden[0, self._pack.last.to(hidden.device)]))

        return call

    def enter(self, stack: ExitStack) -> None:
        """Install hooks and attention; what takes them away again goes onto the stack."""
        config = self.network.config
        stack.enter_context(attending(self.network, self.context))
        stack.callback(self.network.set_attn_implementation, config._attn_implementation)
        self.network.set_attn_implementation(NAME)
        if self.exit not in ("every token", "last token"):
            handle = _stack_of(self.network).register_forward_hook(self._leave)
            stack.callback(handle.remove)
        cuts = self.exit == "first token, last layer cut"
        if self._layers:
            from tunesmith.training.fast.fused_layer import FusedLayers

            self.fused = FusedLayers(self._layers, self.context, cuts=cuts)
            self.fused.enter(stack)
            return
        layer = _last_attention_output(self.network)
        if cuts and layer is not None:
            handle = layer.register_forward_pre_hook(self._cut)
            stack.callback(handle.remove)

    def _cut(
        self, _module: nn.Module, inputs: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, ...]:
        """Behind the last attention only first tokens matter: (1, T, H) becomes (1, B, H)."""
        first = self._pack.first
        return tuple(hidden[:, first.to(hidden.device)] for hidden in inputs)

    def _leave(self, _module: nn.Module, _inputs: Any, output: Any) -> Any:
        """What the head sees in the place of packed hidden states."""
        if isinstance(output, torch.Tensor):
            return self._as_seen(output)
        if isinstance(output, tuple):
            return (self._as_seen(output[0]), *output[1:])
        output.last_hidden_state = self._as_seen(output.last_hidden_state)
        return output

    def _as_seen(self, hidden: torch.Tensor) -> torch.Tensor:
        pack = self._pack
        if self.exit == "padded":
            assert isinstance(pack, Pack)  # noqa: S101 - it holds the padded batch's shape
            return repad(hidden, pack)
        if self.exit == "first token":
            hidden = hidden[:, pack.first.to(hidden.device)]
        return hidden.transpose(0, 1)  # (1, B, H) to (B, 1, H)


def _in_order(outputs: Outputs) -> Outputs:
    """Values of tokens by the examples of the batch: a pack begins with the longest."""
    ragged = {}
    for name, (example, values) in outputs.ragged.items():
        order = example.argsort(stable=True)
        ragged[name] = (example[order], values[order])
    return replaced(outputs, ragged=ragged)


def _stack_of(network: Any) -> nn.Module:
    """The module whose output is the last hidden states."""
    base = network.base_model
    for name in _STACKS:
        stack = getattr(base, name, None)
        if isinstance(stack, nn.ModuleList):
            return stack[-1]
        if isinstance(stack, nn.Module):
            return stack
    module: nn.Module = base
    return module


def _last_attention_output(network: Any) -> nn.Module | None:
    """In models with the norm behind each block: what follows the attention of the last layer."""
    layers = getattr(_stack_of(network), "layer", None)
    output = getattr(getattr(layers[-1], "attention", None), "output", None) if layers else None
    return output if isinstance(output, nn.Module) else None


def _decoder_head(network: Any) -> nn.Module | None:
    """The head of a decoder for whole texts, which reads the last token."""
    head = getattr(network, "score", None)
    return head if isinstance(head, nn.Linear) else None
