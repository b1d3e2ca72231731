"""A whole encoder layer as one step of autograd: matrix products, and kernels between them.

A layer of BERT is eight matrix products with some forty small operations around them, and as many
backward. Where a batch is small these cost more than the products: each reads and writes a tensor,
and passes through torch's dispatcher. Here the layer is one function with its own backward pass.

In bfloat16 it rounds where autocast does: products and what goes into them are bfloat16; sums,
norms, and the residual are float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from tunesmith.training.fast.attention import PackContext
from tunesmith.training.fast.bf16_linear import stacked
from tunesmith.training.fast.encoder_layer import EncoderLayer
from tunesmith.training.fast.kernels import layer_norm
from tunesmith.training.fast.kernels.attention import Attention, Vectors
from tunesmith.training.fast.kernels.parallel import Dropout
from tunesmith.training.fast.packing import Sequences

__all__ = ["FusedLayers", "TakeGradient"]

TakeGradient = Callable[[torch.Tensor, torch.Tensor], None]
"""Takes the gradient of a weight in bfloat16."""


class FusedLayers:
    """The layers of a model, each as one function while entered."""

    def __init__(self, layers: list[EncoderLayer], context: PackContext, *, cuts: bool) -> None:
        """Nothing is changed until `enter`.

        Args:
            layers: of one model, in order.
            context: has the current pack.
            cuts: whether only first tokens go on behind the last attention.
        """
        self._layers = layers
        self._context = context
        self._cuts = cuts
        self._attention: tuple[Sequences, Attention, Attention | None] | None = None
        self._last: tuple[torch.Tensor, torch.Tensor] | None = None
        self.copies: Mapping[torch.Tensor, torch.Tensor] = {}
        """Of weights in bfloat16; others are rounded in each pass."""
        self.take_gradient: TakeGradient | None = None
        """Gets the gradients of weights in bfloat16; without it they go to autograd in float32."""

    def enter(self, stack: ExitStack) -> None:
        """Replace the forward of each layer; what puts it back goes onto the stack."""
        for layer in self._layers:
            layer.module.forward = self._forward_of(layer)
            stack.callback(delattr, layer.module, "forward")
        stack.callback(self.forget)

    def forget(self) -> None:
        """Release what belongs to the last pack."""
        self._attention = self._last = None

    def _forward_of(self, layer: EncoderLayer) -> Any:
        cuts = self._cuts and layer is self._layers[-1]

        def forward(hidden_states: torch.Tensor, *_mask: Any, **_options: Any) -> torch.Tensor:
            return self._run(layer, hidden_states, cuts)

        return forward

    def _run(self, layer: EncoderLayer, hidden: torch.Tensor, cuts: bool) -> torch.Tensor:
        """Run a layer over hidden states (1, T, H); the last may return (1, B, H)."""
        pack = self._context.pack
        if pack is None:
            raise RuntimeError("a fused layer was called without a pack")
        if self._attention is None or self._attention[0] is not pack:
            self._attention = pack, *self._attention_of(pack, layer.heads)
        kind = torch.bfloat16 if torch.is_autocast_enabled("cpu") else torch.float32
        # what the layer before rounded, so that it is not rounded again
        rounded = self._last[1] if self._last is not None and self._last[0] is hidden else None
        _pack, every, selected = self._attention
        selected = selected if cuts else None
        call = _Call(
            layer,
            selected or every,
            kind,
            _matrices(layer, kind, self.copies),
            [dropout.p if dropout.training else 0.0 for dropout in layer.dropouts],
            pack.first if selected else None,
            self.take_gradient if kind == torch.bfloat16 else None,
        )
        output, narrowed = _Layer.apply(hidden, rounded, call, *layer.parameters)  # type: ignore[no-untyped-call]
        self._last = output, narrowed
        whole: torch.Tensor = output
        return whole[:, pack.first] if cuts and not selected else whole

    def _attention_of(self, pack: Sequences, heads: int) -> tuple[Attention, Attention | None]:
        """Attention of all tokens, and of first tokens alone, where no others go on.

        A pack of fixed size ends with sequences whose first tokens do not go on either.
        """
        lengths = np.concatenate([group.lengths for group in pack.groups])
        every = Attention(lengths, heads)
        if not self._cuts or len(pack.first) != len(lengths):
            return every, None
        # sequences are in the order of their tokens, queries in that of the batch
        return every, Attention(lengths, heads, selected=np.argsort(pack.first.numpy()))


@dataclass(frozen=True, slots=True)
class _Call:
    """One pass through a layer.

    Attributes:
        layer: which.
        attention: within the pack's sequences, of the tokens that go on.
        kind: of activations, float32 or bfloat16.
        matrices: weight and bias, in `kind`, of the product for queries, keys and values together,
            and of the three that follow.
        rates: of its dropouts.
        rows: tokens that go on behind attention, int64 (B,); None for all.
        take_gradient: gets the gradients of weights in `kind`; None for autograd.
    """

    layer: EncoderLayer
    attention: Attention
    kind: torch.dtype
    matrices: list[tuple[torch.Tensor, torch.Tensor]]
    rates: list[float]
    rows: torch.Tensor | None
    take_gradient: TakeGradient | None


def _matrices(
    layer: EncoderLayer, kind: torch.dtype, copies: Mapping[torch.Tensor, torch.Tensor]
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Weight and bias of each product of a layer."""

    def rounded(tensors: Iterable[torch.Tensor]) -> list[torch.Tensor]:
        return [
            copies[each] if each in copies and kind == torch.bfloat16 else each.to(kind)
            for each in tensors
        ]

    with torch.no_grad():
        weights = rounded(part.weight for part in layer.linears)
        biases = rounded(part.bias for part in layer.linears)
        first = stacked(weights[:3]), stacked(biases[:3])
        return [first, *zip(weights[3:], biases[3:], strict=True)]


class _Layer(torch.autograd.Function):
    """Hidden states (1, T, H) to (1, T, H) in float32, and the same in the activations' kind."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        rounded: torch.Tensor | None,
        call: _Call,
        *parameters: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        _joined, (out, out_bias), (up, up_bias), (down, down_bias) = call.matrices
        drops = [Dropout.draw(rate) for rate in call.rates]
        inputs = hidden[0]
        if rounded is None:
            rounded = inputs.to(call.kind)
        selected = rounded if call.rows is None else rounded[call.rows]
        vectors = _vectors(rounded, selected, call)
        context, probabilities = call.attention.forward(vectors, call.layer.scale, drops[0])
        residual = inputs if call.rows is None else inputs[call.rows]
        block = torch.addmm(out_bias, context, out.t())
        middle, middle_rounded, first_kept = layer_norm.forward(
            residual, block, call.layer.first, drops[1]
        )
        raised = torch.addmm(up_bias, middle_rounded, up.t())
        active = nn.functional.gelu(raised)
        lowered = torch.addmm(down_bias, active, down.t())
        output, narrowed, second_kept = layer_norm.forward(
            middle, lowered, call.layer.second, drops[2]
        )
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(
                rounded, selected, *vectors, probabilities, context, first_kept, middle_rounded,
                raised, active, second_kept,
            )  # fmt: skip
            ctx.facts = call, drops
        ctx.mark_non_differentiable(narrowed)
        ctx.set_materialize_grads(False)
        return output[None], narrowed

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        call, drops = ctx.facts
        (
            rounded, selected, queries, keys, values, probabilities, context, first_kept,
            middle_rounded, raised, active, second_kept,
        ) = ctx.saved_tensors  # fmt: skip
        _joined, out, up, down = (weight for weight, _bias in call.matrices)
        layer = call.layer
        assert gradients[0] is not None  # noqa: S101 - or there would be no backward pass
        of_middle, of_lowered, second_sums = layer_norm.backward(
            gradients[0][0].contiguous(),
            None,
            layer.second,
            second_kept,
            drops[2],
            call.kind,
        )
        of_raised = torch.ops.aten.gelu_backward(of_lowered @ down, raised)
        of_residual, of_block, first_sums = layer_norm.backward(
            of_middle, of_raised @ up, layer.first, first_kept, drops[1], call.kind
        )
        of_vectors = _empty_vectors(call, rounded, selected)
        call.attention.backward(
            of_block @ out, Vectors(queries, keys, values), probabilities, layer.scale, drops[0],
            _split(of_vectors),
        )  # fmt: skip
        of_inputs, of_joined, of_joined_bias = _vectors_backward(
            of_vectors, rounded, selected, of_residual, call
        )
        of_weights = (
            *of_joined,
            of_block.t() @ context,
            of_raised.t() @ middle_rounded,
            of_lowered.t() @ active,
        )
        of_biases = (
            *of_joined_bias, first_sums[2], of_raised.sum(0).float(), second_sums[2],
        )  # fmt: skip
        of_parameters = _delivered(layer, of_weights, of_biases, call.take_gradient)
        norms = (first_sums[0], first_sums[1], second_sums[0], second_sums[1])
        return of_inputs[None], None, None, *of_parameters, *norms


def _delivered(
    layer: EncoderLayer,
    of_weights: tuple[torch.Tensor, ...],
    of_biases: tuple[torch.Tensor, ...],
    take: TakeGradient | None,
) -> list[torch.Tensor | None]:
    """The gradients of linear layers for autograd, weight and bias in turn."""
    delivered: list[torch.Tensor | None] = []
    for part, of_weight, of_bias in zip(layer.linears, of_weights, of_biases, strict=True):
        if take is not None and part.weight.requires_grad:
            take(part.weight, of_weight)
            delivered.append(None)
        else:
            delivered.append(of_weight.float() if part.weight.requires_grad else None)
        delivered.append(of_bias)
    return delivered


def _vectors(rounded: torch.Tensor, selected: torch.Tensor, call: _Call) -> Vectors:
    """Queries of the tokens that go on, keys and values of all (T, H)."""
    matrix, bias = call.matrices[0]
    if call.rows is None:
        return _split([torch.addmm(bias, rounded, matrix.t())])
    width = rounded.shape[1]
    queries = torch.addmm(bias[:width], selected, matrix[:width].t())
    return _split([queries, torch.addmm(bias[width:], rounded, matrix[width:].t())])


def _split(parts: list[torch.Tensor]) -> Vectors:
    """Queries, keys and values side by side in one matrix, or queries in one of their own."""
    if len(parts) == 1:
        return Vectors(*parts[0].chunk(3, dim=1))
    return Vectors(parts[0], *parts[1].chunk(2, dim=1))


def _empty_vectors(
    call: _Call, rounded: torch.Tensor, selected: torch.Tensor
) -> list[torch.Tensor]:
    """Room for the gradients of queries, keys and values; zero behind the last sequence."""
    (tokens, width), end = rounded.shape, call.attention.tokens
    own = [] if call.rows is None else [selected.new_empty(selected.shape)]
    rest = rounded.new_empty((tokens, (3 - len(own)) * width))
    rest[end:] = 0
    return [*own, rest]


def _vectors_backward(
    of_vectors: list[torch.Tensor],
    rounded: torch.Tensor,
    selected: torch.Tensor,
    of_residual: torch.Tensor,
    call: _Call,
) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
    """The gradient of hidden states (T, H), and those of three weights and their biases."""
    matrix = call.matrices[0][0]
    if call.rows is None:
        (joined,) = of_vectors
        of_inputs = (joined @ matrix).float().add_(of_residual)
        return (
            of_inputs,
            [*(joined.t() @ rounded).chunk(3)],
            [*joined.sum(0).float().chunk(3)],
        )
    of_queries, rest = of_vectors
    width = rounded.shape[1]
    of_inputs = (rest @ matrix[width:]).float()
    of_inputs.index_add_(0, call.rows, of_residual.add_(of_queries @ matrix[:width]))
    return (
        of_inputs,
        [of_queries.t() @ selected, *(rest.t() @ rounded).chunk(2)],
        [of_queries.sum(0).float(), *rest.sum(0).float().chunk(2)],
    )
