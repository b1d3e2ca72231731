"""Attention over a pack: every sequence attends to itself alone.

transformers hands queries, keys and values to the function registered here, which knows from the
layer's current pack where sequences begin. No mask is built: for a name without
a mask function transformers passes none. That makes a forgotten pack dangerous, so there is an
error without one.

Queries, keys and values, which are small, are padded group by group; for the backward pass they
are saved with the probabilities and, if there is dropout, what it drew.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from tunesmith.training.fast.dropout import keep
from tunesmith.training.fast.packing import Group, Sequences

__all__ = ["LONG", "NAME", "PackContext", "attend", "attending", "register"]

NAME = "tunesmith_packed"

LONG = 1024
"""Tokens from which on torch's own kernel, which keeps nothing quadratic, is the faster one; it has
no dropout on a CPU."""

_CANNOT = ("softcap", "s_aux", "sinks", "position_bias", "indices", "block_indices")
"""Arguments of some models that this attention does not support."""


class PackContext:
    """What the attention of a model works on.

    The pack stays after the forward pass: gradient checkpointing asks again during the backward
    pass.

    Attributes:
        windows: whether a layer has named a sliding window.
    """

    def __init__(self) -> None:
        self._shared: Sequences | None = None
        self._own = threading.local()
        self.windows = False

    @property
    def pack(self) -> Sequences | None:
        """That of this thread if it has one; torch has threads of its own for backward passes."""
        own: Sequences | None = getattr(self._own, "pack", None)
        return self._shared if own is None else own

    @pack.setter
    def pack(self, pack: Sequences | None) -> None:
        self._own.pack = self._shared = pack


_of_layer: WeakKeyDictionary[nn.Module, PackContext] = WeakKeyDictionary()
"""The context of each layer of a patched model; transformers passes only the layer."""


@contextmanager
def attending(network: nn.Module, context: PackContext) -> Iterator[None]:
    """Let the layers of a model attend within the sequences of the current pack."""
    _of_layer.update(dict.fromkeys(network.modules(), context))
    try:
        yield
    finally:
        context.pack = None
        for module in network.modules():
            _of_layer.pop(module, None)


def register() -> None:
    """Make the function known to transformers under `NAME`."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)


def attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    is_causal: bool | None = None,
    **more: object,
) -> tuple[torch.Tensor, None]:
    """Attention as transformers asks for it.

    Args:
        module: the layer that asks.
        query: (1, heads, T, D).
        key: (1, key heads, T, D); fewer heads than queries are shared by several.
        value: like `key`.
        attention_mask: none; a mask means that the batch is not packed.
        scaling: of the scores; 1 / sqrt(D) if not given.
        dropout: rate of the probabilities.
        sliding_window: how far a token sees: itself and `sliding_window` - 1 before it; without
            causality as many behind it.
        is_causal: whether a token sees only what comes before it; else as the layer says.
        **more: what else a model says; some of it cannot be done.

    Returns:
        (1, T, heads, D), and no probabilities.

    Raises:
        RuntimeError: there is no pack, or the model wants more than this attention does.
    """
    context = _of_layer.get(module)
    pack = None if context is None else context.pack
    if context is None or pack is None or attention_mask is not None:
        raise RuntimeError("packed attention was called without a pack")
    if unsupported := [name for name in _CANNOT if more.get(name) is not None]:
        raise RuntimeError(f"its attention wants {', '.join(unsupported)}")
    context.windows |= sliding_window is not None
    # rotated queries and keys are float32 where autocast made values narrower
    query, key = query.to(value.dtype), key.to(value.dtype)
    if is_causal is None:
        is_causal = bool(getattr(module, "is_causal", False))
    scale = 1 / math.sqrt(query.shape[-1]) if scaling is None else scaling
    if pack.ragged is not None:
        whole = pack.ragged.attend(
            query, key, value,
            scale=scale, rate=dropout, causal=is_causal, window=sliding_window,
        )  # fmt: skip
        if whole is not None:
            return whole, None
    heads = query.shape[1]
    if key.shape[1] != heads:
        key = key.repeat_interleave(heads // key.shape[1], dim=1)
        value = value.repeat_interleave(heads // value.shape[1], dim=1)
    if dropout == 0 and pack.groups[0].longest >= LONG:
        return _of_long_rows(
            query, key, value, pack, scale=scale, causal=is_causal, window=sliding_window
        ), None
    attended: torch.Tensor = _Attention.apply(  # type: ignore[no-untyped-call]
        query, key, value, pack, scale, dropout, is_causal, sliding_window
    )
    return attended, None


class _Attention(torch.autograd.Function):
    """Group by group: pad, multiply, softmax, drop, multiply, take the padding away."""

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd takes no keywords
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        pack: Sequences,
        scale: float,
        rate: float,
        causal: bool,
        window: int | None,
    ) -> torch.Tensor:
        needs_gradient = any(ctx.needs_input_grad[:3])
        heads = query.shape[1]
        q_all, k_all, v_all = (_as_rows(tensor) for tensor in (query, key, value))
        output = _room(v_all, pack, heads)
        parts = [_Heads(group, heads, query.device) for group in pack.groups]
        mask, lift = None, 1.0
        if rate > 0:  # drawn for all groups at once
            mask, lift = keep((sum(part.places for part in parts),), rate, q_all)
        dropping = _factors(mask, parts)
        wide = torch.promote_types(q_all.dtype, torch.float32)
        saved: list[torch.Tensor] = [] if mask is None else [mask]
        for part, factor in zip(parts, dropping, strict=True):
            q, k, v = part.pad(q_all), part.pad(k_all), part.pad(v_all)
            hidden = part.hidden(q, causal, window)
            scores = _product(q, k.transpose(1, 2), scale, plus=hidden)
            # the kernel for 16 bits is slower than two casts
            shares = scores.softmax(-1, dtype=wide).to(q.dtype)
            part.unpad(_product(_dropped(shares, factor), v, lift), output)
            if needs_gradient:
                saved += [q, k, v, shares]
        ctx.save_for_backward(*saved)
        ctx.facts = (pack, parts, scale, mask is not None, lift)
        return output.view(1, -1, heads, output.shape[-1])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        pack, parts, scale, dropped, lift = ctx.facts
        heads = gradients[0].shape[2]
        saved = iter(ctx.saved_tensors)
        dropping = _factors(next(saved) if dropped else None, parts)
        of_output = gradients[0].reshape(-1, gradients[0].shape[-1])
        of_query, of_key, of_value = (_room(of_output, pack, heads) for _tensor in range(3))
        for part, factor in zip(parts, dropping, strict=True):
            q, k, v, shares = (next(saved) for _tensor in range(4))
            out = part.pad(of_output, zero=True)
            from_shares = _product(out, v.transpose(1, 2), lift)
            if factor is not None:
                from_shares *= factor.view_as(from_shares)
            scores = torch.ops.aten._softmax_backward_data(from_shares, shares, -1, shares.dtype)
            weights = _dropped(shares, factor)
            part.unpad(_product(scores, k, scale), of_query)
            part.unpad(_product(scores.transpose(1, 2), q, scale), of_key)
            part.unpad(_product(weights.transpose(1, 2), out, lift), of_value)
        query, key, value = (
            rows.view(-1, heads, rows.shape[-1]).transpose(0, 1)[None]
            for rows in (of_query, of_key, of_value)
        )
        return query, key, value, None, None, None, None, None


def _of_long_rows(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    pack: Sequences,
    *,
    scale: float,
    causal: bool,
    window: int | None,
) -> torch.Tensor:
    """Group by group through torch's kernel, which has a backward pass of its own."""
    heads, width = value.shape[1], value.shape[-1]
    rows = [_as_rows(tensor) for tensor in (query, key, value)]
    outputs = []
    for group in pack.groups:
        part = _Heads(group, heads, query.device)
        q, k, v = (part.spread(tensor) for tensor in rows)
        needs_mask = window is not None or not causal  # causality hides padding, which comes last
        hidden = part.hidden(q, causal, window, once=True) if needs_mask else None
        whole = nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=hidden, is_causal=not needs_mask, scale=scale
        )
        outputs.append(part.gather(whole))
    tail = query.shape[2] * heads - pack.groups[-1].stop * heads
    return torch.cat([*outputs, value.new_zeros(tail, width)]).view(1, -1, heads, width)


def _product(
    one: torch.Tensor, other: torch.Tensor, factor: float, *, plus: torch.Tensor | None = None
) -> torch.Tensor:
    """A batch of products times a number, and plus a tensor, before anything is rounded."""
    if plus is not None:
        return torch.baddbmm(plus, one, other, alpha=factor)
    if factor == 1.0:
        return torch.bmm(one, other)
    return torch.baddbmm(one.new_empty(1, 1, 1), one, other, beta=0, alpha=factor)


def _factors(mask: torch.Tensor | None, parts: Sequence[_Heads]) -> Sequence[torch.Tensor | None]:
    """What dropout draws for each part."""
    if mask is None:
        return [None] * len(parts)
    return torch.split(mask, [part.places for part in parts])


def _dropped(shares: torch.Tensor, factor: torch.Tensor | None) -> torch.Tensor:
    return shares if factor is None else shares * factor.view_as(shares)


def _as_rows(tensor: torch.Tensor) -> torch.Tensor:
    """(1, heads, T, D) as a row for each token and head, (T * heads, D)."""
    return tensor[0].transpose(0, 1).reshape(-1, tensor.shape[-1])


def _room(like: torch.Tensor, pack: Sequences, heads: int) -> torch.Tensor:
    """Room for a row for each token and head; zero behind the last sequence."""
    room = torch.empty_like(like)
    room[pack.groups[-1].stop * heads :] = 0
    return room


class _Heads:
    """A group as a padded batch of heads, (count * heads, longest, D), by one gather each way.

    Attributes:
        places: pairs of a query and a key in all heads.
    """

    def __init__(self, group: Group, heads: int, device: torch.device) -> None:
        self._group = group
        self._heads = heads
        self._shape = (group.count * heads, group.longest)
        self._padded, self._real = group.by_head(heads, device)
        self._rows = slice(group.start * heads, group.stop * heads)
        self.places = group.count * heads * group.longest**2

    def pad(self, rows: torch.Tensor, *, zero: bool = False) -> torch.Tensor:
        """The group's rows (T * heads, D); padding repeats the last token, or is zero."""
        rows = rows[self._rows]
        if zero and not self._group.is_even:
            empty = rows.new_zeros(self._shape[0] * self._shape[1], rows.shape[-1])
            return empty.index_copy_(0, self._real, rows).view(*self._shape, -1)
        return rows.index_select(0, self._padded).view(*self._shape, -1)

    def unpad(self, batch: torch.Tensor, target: torch.Tensor) -> None:
        """Write the real rows of a padded batch to their place among all rows (T * heads, D)."""
        flat = batch.view(-1, batch.shape[-1])
        torch.index_select(flat, 0, self._real, out=target[self._rows])

    def spread(self, rows: torch.Tensor) -> torch.Tensor:
        """The group's rows as (count, heads, longest, D), padding zero; differentiable."""
        rows = rows[self._rows]
        empty = rows.new_zeros(self._shape[0] * self._shape[1], rows.shape[-1])
        count, longest = self._group.count, self._group.longest
        return empty.index_copy(0, self._real, rows).view(count, self._heads, longest, -1)

    def gather(self, batch: torch.Tensor) -> torch.Tensor:
        """The real rows of a padded batch; differentiable."""
        return batch.reshape(-1, batch.shape[-1]).index_select(0, self._real)

    def hidden(
        self, like: torch.Tensor, causal: bool, window: int | None, *, once: bool = False
    ) -> torch.Tensor | None:
        """What is added to the scores, (count * heads, 1 or L, L): minus infinity hides.

        None if every token sees the whole of the padded sequence. All layers ask for the same.
        Once for all heads it is (count, 1, 1 or L, L).
        """
        if self._group.is_even and not causal and window is None:
            return None
        key = (self._heads, like.dtype, like.device, causal, window, once)
        if key not in self._group.masks:
            mask = _hidden(self._group, causal, window, like.dtype)
            mask = mask[:, None] if once else mask.repeat_interleave(self._heads, dim=0)
            self._group.masks[key] = mask.to(like.device)
        return self._group.masks[key]


def _hidden(group: Group, causal: bool, window: int | None, kind: torch.dtype) -> torch.Tensor:
    """For each sequence of a group what is added to its scores, (count, 1 or L, L)."""
    places = torch.arange(group.longest)
    seen = places[None, None, :] < torch.from_numpy(group.lengths)[:, None, None]
    if causal or window is not None:
        distance = places[:, None] - places[None, :]
        allowed = torch.ones_like(distance, dtype=torch.bool)
        if causal:
            allowed &= distance >= 0
        if window is not None:
            allowed &= distance.abs() < window
        # padded queries would see nothing and give NaN; their answers are thrown away
        seen = (seen & allowed) | (distance == 0)
    return torch.zeros(seen.shape, dtype=kind).masked_fill_(~seen, -math.inf)
