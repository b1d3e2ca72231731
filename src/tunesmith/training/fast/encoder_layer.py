"""Layers of encoders like BERT, recognized by their parts and not by the name of the model.

BERT, RoBERTa, XLM-RoBERTa, ELECTRA and their kin share one layer: attention, then two linear layers
with GELU between them, each followed by dropout, the residual, and a layer norm. Whatever has these
parts may be computed as one; whether that is the same is for the probe to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

__all__ = ["EncoderLayer", "layers_of"]

_BLOCK = 16
"""Kernels move the numbers of a head in blocks of so many."""


@dataclass(frozen=True, eq=False)
class EncoderLayer:
    """The parts of a layer with the norm behind each block.

    Attributes:
        module: the layer.
        query: a linear layer, as are the next five.
        key: for attention.
        value: for attention.
        out: behind attention.
        up: into the feed-forward block.
        down: out of it.
        activation: of the feed-forward block.
        first: the norm behind attention.
        second: the norm behind the feed-forward block.
        dropouts: of attention's probabilities, behind attention, behind the feed-forward block.
        heads: of attention.
        scale: of its scores.
    """

    module: nn.Module
    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    out: nn.Linear
    up: nn.Linear
    down: nn.Linear
    activation: nn.Module
    first: nn.LayerNorm
    second: nn.LayerNorm
    dropouts: tuple[nn.Dropout, nn.Dropout, nn.Dropout]
    heads: int
    scale: float

    @property
    def linears(self) -> tuple[nn.Linear, ...]:
        """Its linear layers."""
        return self.query, self.key, self.value, self.out, self.up, self.down

    @property
    def parameters(self) -> list[torch.Tensor]:
        """Weight and bias of each linear layer, then of each norm."""
        linear = [tensor for part in self.linears for tensor in (part.weight, part.bias)]
        return linear + [t for norm in (self.first, self.second) for t in (norm.weight, norm.bias)]

    @classmethod
    def of(cls, module: Any) -> EncoderLayer | None:
        """A layer with the parts of BERT's that computes nothing more, as far as one can see."""
        try:
            attention, block = module.attention.self, module.attention.output
            layer = cls(
                module,
                query=attention.query,
                key=attention.key,
                value=attention.value,
                out=block.dense,
                up=module.intermediate.dense,
                down=module.output.dense,
                activation=module.intermediate.intermediate_act_fn,
                first=block.LayerNorm,
                second=module.output.LayerNorm,
                dropouts=(attention.dropout, block.dropout, module.output.dropout),
                heads=int(attention.num_attention_heads),
                scale=float(attention.scaling),
            )
        except (AttributeError, TypeError, ValueError):
            return None
        return layer if layer._is_plain else None

    @property
    def _is_plain(self) -> bool:
        """Whether nothing was replaced, patched or hooked, an adapter for example."""
        module: Any = self.module
        return (
            all(type(part) is nn.Linear for part in self.linears)
            and all(type(norm) is nn.LayerNorm for norm in (self.first, self.second))
            and not getattr(module, "is_decoder", False)
            and not getattr(module.attention.self, "is_causal", False)
            and not getattr(module, "chunk_size_feed_forward", 0)
            and not hasattr(module, "crossattention")
            and "forward" not in vars(module)
            and not any(_is_watched(part) for part in module.modules() if part is not module)
        )

    @property
    def can_be_fused(self) -> bool:
        """Whether the function for training, and its kernels, compute just this."""
        parts = (*self.linears, self.first, self.second)
        return (
            all(part.bias is not None for part in parts)
            and all(parameter.dtype == torch.float32 for parameter in self.parameters)
            and all(type(dropout) is nn.Dropout for dropout in self.dropouts)
            and self.query.out_features == self.key.out_features == self.value.out_features
            and self.query.out_features % (self.heads * _BLOCK) == 0
            and type(self.activation).__name__ == "GELUActivation"
            and getattr(self.activation, "act", None) is nn.functional.gelu
        )


def layers_of(network: Any) -> list[EncoderLayer]:
    """The layers of a model if all of them can be fused, else none."""
    stack = getattr(getattr(network.base_model, "encoder", None), "layer", None)
    if not isinstance(stack, nn.ModuleList):
        return []
    layers = [EncoderLayer.of(module) for module in stack]
    fusable = [layer for layer in layers if layer is not None and layer.can_be_fused]
    return fusable if len(fusable) == len(layers) else []


def _is_watched(part: nn.Module) -> bool:
    """Whether a part has hooks, which would not be called any more, or a forward of its own."""
    return bool(
        part._forward_hooks
        or part._forward_pre_hooks
        or part._backward_hooks
        or part._backward_pre_hooks
        or "forward" in vars(part)
    )
