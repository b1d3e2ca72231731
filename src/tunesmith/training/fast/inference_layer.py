"""Encoder layers for predictions: prepacked weights, fused products, no gradients.

A layer with the norm behind each block (BERT, RoBERTa, ELECTRA and their kin) is recognized by its
parts, and its forward pass is replaced by one over the current pack. Weights are copied once, in
the precision of the products and in the order in which oneDNN reads them. The probe compares the
result with the exact model; a model with other layers keeps its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

from tunesmith.training.fast.attention import LONG, PackContext
from tunesmith.training.fast.encoder_layer import EncoderLayer
from tunesmith.training.fast.packing import Group, Sequences

__all__ = ["InferenceLayers", "has_kernels"]

_HINT = 1024
"""Tokens that weights are ordered for; the order is the same for any number of them."""

_FUSED = {
    "GELUActivation": ("gelu", "none"),
    "GELU": ("gelu", "none"),
    "NewGELUActivation": ("gelu", "tanh"),
    "GELUTanh": ("gelu", "tanh"),
    "ReLU": ("relu", ""),
}
"""Activations that oneDNN computes with the product before them."""


class InferenceLayers:
    """The layers of a model with packed weights, to be entered for predictions."""

    def __init__(self, layers: Sequence[EncoderLayer], *, half: bool) -> None:
        """Pack the weights of these layers.

        Args:
            layers: of a model, the last one last.
            half: whether to multiply in bfloat16.
        """
        kind = torch.bfloat16 if half else torch.float32
        self.modules = frozenset(linear for each in layers for linear in each.linears)
        self._key = _weights_key(layers)
        self._recognized = layers
        with torch.inference_mode():
            self._layers = [_Layer(each, kind) for each in layers]

    @classmethod
    def of(cls, network: nn.Module, *, half: bool) -> InferenceLayers | None:
        """Return the layers of a model; None if it has none of this kind."""
        if not has_kernels():
            return None
        candidates = [EncoderLayer.of(module) for module in network.modules()]
        layers = [layer for layer in candidates if layer is not None]
        return cls(layers, half=half) if layers else None

    @property
    def is_current(self) -> bool:
        """Whether the weights are those that were packed."""
        return self._key == _weights_key(self._recognized)

    def enter(self, stack: ExitStack, context: PackContext, *, cut: bool) -> None:
        """Let the layers compute what is packed in `context`.

        Args:
            stack: takes away again what is installed.
            context: holds the current pack.
            cut: whether of the last layer only first tokens are needed.
        """
        last = self._layers[-1]
        for layer in self._layers:
            layer.install(context, first_only=cut and layer is last)
            stack.callback(layer.remove)


def has_kernels() -> bool:
    """Whether torch was built with oneDNN's fused products."""
    has_onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return has_onednn and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _weights_key(layers: Sequence[EncoderLayer]) -> tuple[tuple[int, int], ...]:
    """What changes when a weight does."""
    return tuple(
        (weight.data_ptr(), 0 if weight.is_inference() else weight._version)
        for each in layers
        for module in (*each.linears, each.first, each.second)
        for weight in module._parameters.values()
        if weight is not None
    )


class _Product:
    """A linear layer, or several at once, with its weight in oneDNN's order."""

    def __init__(
        self, linears: Sequence[nn.Linear], kind: torch.dtype, fused: tuple[str, str] = ("none", "")
    ) -> None:
        weight = torch.cat([linear.weight.detach() for linear in linears]).to(kind)
        self._bias = torch.cat([_bias_of(linear).detach() for linear in linears]).to(kind)
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight, _HINT)
        self._fused = fused

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        name, algorithm = self._fused
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            values, self._weight, self._bias, name, [], algorithm
        )
        return product


def _bias_of(linear: nn.Linear) -> torch.Tensor:
    bias: torch.Tensor | None = linear.bias
    return linear.weight.new_zeros(linear.out_features) if bias is None else bias


class _Layer:
    """One layer with the norm behind each block, over a pack (1, T, H)."""

    def __init__(self, parts: EncoderLayer, kind: torch.dtype) -> None:
        self._module: Any = parts.module
        self._kind = kind
        self._heads = parts.heads
        self._width = parts.query.out_features // parts.heads
        self._scale = parts.scale
        self._all = _Product((parts.query, parts.key, parts.value), kind)
        self._linears = (parts.query, parts.key, parts.value)
        self._out = _Product((parts.out,), kind)
        fused = _FUSED.get(type(parts.activation).__name__)
        self._up = _Product((parts.up,), kind, fused or ("none", ""))
        self._activation = None if fused else parts.activation
        self._down = _Product((parts.down,), kind)
        self._norms = parts.first, parts.second
        self._context: PackContext | None = None
        self._first: tuple[_Product, _Product] | None = None

    def install(self, context: PackContext, *, first_only: bool) -> None:
        """Replace the forward pass of the module."""
        self._context = context
        if first_only and self._first is None:
            query, *others = self._linears
            self._first = _Product((query,), self._kind), _Product(others, self._kind)
        self._module.forward = self._forward_first if first_only else self._forward

    def remove(self) -> None:
        """Give the module its own forward pass back."""
        del self._module.forward

    def _forward(self, hidden: torch.Tensor, *args: object, **more: object) -> torch.Tensor:
        pack = self._pack
        if pack.groups[0].longest >= LONG:
            return self._plain(hidden, *args, **more)
        with torch.autocast("cpu", enabled=False):
            rows = hidden[0]
            packed = self._all(rows.to(self._kind)).view(-1, self._width)
            attended = packed.new_empty(len(rows) * self._heads, self._width)
            attended[pack.groups[-1].stop * self._heads :] = 0
            for group in pack.groups:
                query, key, value = (
                    packed.index_select(0, index).view(group.count * self._heads, group.longest, -1)
                    for index in _fused(group, self._heads)
                )
                mixed = self._attend(group, query, key, value)
                real = group.by_head(self._heads, hidden.device)[1]
                target = attended[group.start * self._heads : group.stop * self._heads]
                torch.index_select(mixed.view(-1, self._width), 0, real, out=target)
            return self._behind(rows, attended.view(len(rows), -1))[None]

    def _forward_first(self, hidden: torch.Tensor, *_args: object, **_more: object) -> torch.Tensor:
        """Only first tokens ask, and only they go on: (1, T, H) becomes (1, B, H)."""
        assert self._first is not None  # noqa: S101 - `install` made it
        pack = self._pack
        with torch.autocast("cpu", enabled=False):
            rows = hidden[0]
            starts, place = pack.first.sort()
            first = rows[starts]
            query = self._first[0](first.to(self._kind)).view(-1, 1, self._width)
            packed = self._first[1](rows.to(self._kind)).view(-1, self._width)
            parts, at = [], 0
            for group in pack.groups:
                key, value = (
                    packed.index_select(0, index).view(group.count * self._heads, group.longest, -1)
                    for index in _fused(group, self._heads, of=2)
                )
                stop = at + group.count * self._heads
                parts.append(self._attend(group, query[at:stop], key, value))
                at = stop
            attended = torch.cat(parts).view(len(first), -1)
            order = place.argsort()
            return self._behind(first[order], attended[order])[None]

    def _plain(self, *args: object, **more: object) -> torch.Tensor:
        """The module's own forward pass, whose attention knows the pack, too."""
        result: torch.Tensor = type(self._module).forward(self._module, *args, **more)
        return result

    def _attend(
        self, group: Group, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
    ) -> torch.Tensor:
        mask = _hidden(group, self._heads, query.dtype)
        keys = key.transpose(1, 2)
        if mask is None:
            scores = torch.baddbmm(query.new_empty(1, 1, 1), query, keys, beta=0, alpha=self._scale)
        else:
            scores = torch.baddbmm(mask, query, keys, alpha=self._scale)
        shares = scores.softmax(-1, dtype=torch.float32).to(query.dtype)
        return torch.bmm(shares, value)

    def _behind(self, rows: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        """What follows attention: (T, H) to (T, H)."""
        rows = self._norms[0](self._out(attended) + rows)
        inner = self._up(rows.to(self._kind))
        if self._activation is not None:
            inner = self._activation(inner)
        result: torch.Tensor = self._norms[1](self._down(inner) + rows)
        return result

    @property
    def _pack(self) -> Sequences:
        assert self._context is not None  # noqa: S101 - installed
        assert self._context.pack is not None  # noqa: S101 - a pass begins with it
        return self._context.pack


def _fused(group: Group, heads: int, of: int = 3) -> Iterator[torch.Tensor]:
    """For each of several products of one row which row of (T * of * heads) is at each place."""
    key = ("fused", heads, of)
    if key not in group.masks:
        padded, _real = group.by_head(heads, torch.device("cpu"))
        padded = padded + group.start * heads
        base = padded // heads * (of * heads) + padded % heads
        group.masks[key] = torch.stack([base + i * heads for i in range(of)])
    return iter(group.masks[key])


def _hidden(group: Group, heads: int, kind: torch.dtype) -> torch.Tensor | None:
    """What is added to the scores, (count * heads, 1, L); None if nothing is padded."""
    if group.is_even:
        return None
    key = ("hidden", heads, kind)
    if key not in group.masks:
        columns = torch.arange(group.longest)
        unseen = columns[None, None] >= torch.from_numpy(group.lengths)[:, None, None]
        mask = torch.zeros(unseen.shape, dtype=kind).masked_fill_(unseen, -math.inf)
        group.masks[key] = mask.repeat_interleave(heads, dim=0)
    return group.masks[key]
