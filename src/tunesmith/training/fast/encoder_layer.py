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
        query: a linear layer with bias, as are the next five.
        key: for attention.
        value: for attention.
        out: behind attention.
        up: into the feed-forward block, before GELU.
        down: out of it.
        first: the norm behind attention.
        second: the norm behind the feed-forward block.
        dropouts: of attention's shares, behind attention, behind the feed-forward block.
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


def layers_of(network: Any) -> list[EncoderLayer]:
    """The layers of a model if all are of this kind, in float32, and no one watches their parts."""
    stack = getattr(getattr(network.base_model, "encoder", None), "layer", None)
    if not isinstance(stack, nn.ModuleList):
        return []
    layers = [_parts_of(module) for module in stack]
    known = [layer for layer in layers if layer is not None and _is_plain(layer)]
    return known if len(known) == len(layers) else []


def _parts_of(module: Any) -> EncoderLayer | None:
    """A layer with the parts of BERT's, or None."""
    try:
        attention, block = module.attention.self, module.attention.output
        return EncoderLayer(
            module,
            query=attention.query,
            key=attention.key,
            value=attention.value,
            out=block.dense,
            up=module.intermediate.dense,
            down=module.output.dense,
            first=block.LayerNorm,
            second=module.output.LayerNorm,
            dropouts=(attention.dropout, block.dropout, module.output.dropout),
            heads=int(attention.num_attention_heads),
            scale=float(attention.scaling),
        )
    except (AttributeError, TypeError, ValueError):
        return None


def _is_plain(layer: EncoderLayer) -> bool:
    """Whether a layer computes what its parts say and nothing more, as far as one can see."""
    module: Any = layer.module
    attention = module.attention.self
    return (
        all(type(part) is nn.Linear and part.bias is not None for part in layer.linears)
        and all(
            type(norm) is nn.LayerNorm and norm.elementwise_affine and norm.bias is not None
            for norm in (layer.first, layer.second)
        )
        and all(type(dropout) is nn.Dropout for dropout in layer.dropouts)
        and all(parameter.dtype == torch.float32 for parameter in layer.parameters)
        and layer.query.out_features == layer.key.out_features == layer.value.out_features
        and layer.query.out_features % (layer.heads * _BLOCK) == 0
        and _is_gelu(module.intermediate)
        and not getattr(module, "is_decoder", False)
        and not getattr(attention, "is_causal", False)
        and not getattr(module, "chunk_size_feed_forward", 0)
        and not hasattr(module, "crossattention")
        and not any(_is_watched(part) for part in module.modules() if part is not module)
    )


def _is_gelu(intermediate: Any) -> bool:
    """Whether the activation is the exact GELU."""
    activation = getattr(intermediate, "intermediate_act_fn", None)
    return (
        type(activation).__name__ == "GELUActivation"
        and getattr(activation, "act", None) is nn.functional.gelu
    )


def _is_watched(part: nn.Module) -> bool:
    """Whether a part has hooks, which would not be called any more, or a forward of its own."""
    return bool(
        part._forward_hooks
        or part._forward_pre_hooks
        or part._backward_hooks
        or part._backward_pre_hooks
        or "forward" in vars(part)
    )
