"""Ragged attention by torch's own kernels, on a GPU: no sequence is padded for it.

`_flash_attention_forward` takes float16 and bfloat16, `_efficient_attention_forward` float32, too;
both take where sequences begin, and dropout. They are private: arguments go by the names of their
schemas, and whatever torch does not offer, or a model asks and a kernel does not take, is computed
in groups instead (`attention`). Both are differentiable; but what derives the
efficient one forgets a window, so windows are left to the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch

from tunesmith.i18n import gettext as _
from tunesmith.training.memory import is_out_of_memory

__all__ = ["Kernels", "Ragged", "efficient_arguments", "flash_arguments", "missing_arguments"]

_LARGEST_HEAD = {"flash": 192, "efficient": 256}
"""Above, the backward pass is not there on every card."""

_CAUSAL, _FULL = 1, 0
"""`custom_mask_type` of the efficient kernel."""


class Kernels:
    """Torch's ragged kernels for one model, and why it went without them where it did.

    Attributes:
        refusals: as text, each once.
    """

    def __init__(self) -> None:
        self.refusals: list[str] = []
        self._broken: set[str] = set()

    def ragged(self, starts: torch.Tensor, longest: int, device: torch.device) -> Ragged:
        """For one pack.

        Args:
            starts: the first token of each sequence and the end of the last, (N + 1,).
            longest: at least the tokens of the longest.
            device: of the model.
        """
        return Ragged(starts.to(device, torch.int32, non_blocking=True), longest, self)

    def choose(self, query: torch.Tensor, key: torch.Tensor, window: int | None) -> str | None:
        """The kernel for a call; None if none takes it, and then the reason is kept."""
        half = query.dtype in (torch.bfloat16, torch.float16)
        name = "flash" if half and _has_flash(query.device) else "efficient"
        reason = _against(name, query, key, window)
        if reason and name == "flash" and window is None:
            name = "efficient"
            reason = _against(name, query, key, window)
        if reason:
            self.refuse(reason)
        return None if reason or name in self._broken else name

    def refuse(self, reason: str, kernel: str | None = None) -> None:
        """Keep a reason; a kernel that failed is not called again."""
        if reason not in self.refusals:
            self.refusals.append(reason)
        if kernel is not None:
            self._broken.add(kernel)


@dataclass(frozen=True)
class Ragged:
    """Where the sequences of one pack begin, as the kernels take it.

    Attributes:
        starts: int32 (N + 1,), on the device; equal neighbors are an empty sequence.
        longest: at least the tokens of the longest.
        kernels: which compute it.
    """

    starts: torch.Tensor
    longest: int
    kernels: Kernels

    def attend(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        *,
        scale: float,
        rate: float,
        causal: bool,
        window: int | None,
    ) -> torch.Tensor | None:
        """Attention of each sequence to itself; differentiable.

        Args:
            query: (1, heads, T, D).
            key: (1, key heads, T, D).
            value: like `key`.
            scale: of the scores.
            rate: of dropout.
            causal: whether a token sees only what comes before it.
            window: how far it sees, itself counted.

        Returns:
            (1, T, heads, D), or None if no kernel takes the call.
        """
        name = self.kernels.choose(query, key, window)
        if name is None:
            return None
        inputs = (query, key, value)
        run = partial(_flash, window=window) if name == "flash" else _efficient
        try:
            return run(*inputs, self, scale=scale, rate=rate, causal=causal)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            self.kernels.refuse(str(error).splitlines()[0], kernel=name)
        return None


def _flash(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    ragged: Ragged,
    *,
    window: int | None,
    **how: Any,
) -> torch.Tensor:
    """Fewer key heads than query heads are shared by the kernel itself."""
    q, k, v = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
    output: torch.Tensor = torch.ops.aten._flash_attention_forward(
        query=q, key=k, value=v, **flash_arguments(ragged, window=window, **how)
    )[0]
    return output[None]


def flash_arguments(
    ragged: Ragged, *, scale: float, rate: float, causal: bool, window: int | None
) -> dict[str, Any]:
    """All but queries, keys and values; a window of W reaches W - 1 tokens to each side."""
    reach = {} if window is None else {
        "window_size_left": window - 1,
        "window_size_right": 0 if causal else window - 1,
    }  # fmt: skip
    return {
        "cum_seq_q": ragged.starts, "cum_seq_k": ragged.starts,
        "max_q": ragged.longest, "max_k": ragged.longest,
        "dropout_p": rate, "is_causal": causal, "return_debug_mask": False, "scale": scale,
        **reach,
    }  # fmt: skip


def _efficient(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, ragged: Ragged, **how: Any
) -> torch.Tensor:
    shared = query.shape[1] // key.shape[1]
    if shared > 1:
        key, value = (tensor.repeat_interleave(shared, dim=1) for tensor in (key, value))
    q, k, v = (tensor.transpose(1, 2) for tensor in (query, key, value))
    output: torch.Tensor = torch.ops.aten._efficient_attention_forward(
        query=q, key=k, value=v, **efficient_arguments(ragged, **how)
    )[0]
    return output


def efficient_arguments(
    ragged: Ragged, *, scale: float, rate: float, causal: bool
) -> dict[str, Any]:
    """All but queries, keys and values; the sums of exponentials are for the backward pass."""
    return {
        "bias": None, "cu_seqlens_q": ragged.starts, "cu_seqlens_k": ragged.starts,
        "max_seqlen_q": ragged.longest, "max_seqlen_k": ragged.longest,
        "dropout_p": rate, "custom_mask_type": _CAUSAL if causal else _FULL,
        "compute_log_sumexp": True, "scale": scale,
    }  # fmt: skip


def _against(name: str, query: torch.Tensor, key: torch.Tensor, window: int | None) -> str:
    """Return why a kernel does not take a call; empty if it does."""
    if missing := missing_arguments(name):
        return _("this torch's {name} attention has no {missing}").format(
            name=name, missing=", ".join(missing)
        )
    size = query.shape[-1]
    if size % 8 or size > _LARGEST_HEAD[name]:
        return _("{name} attention does not take heads of {size}").format(name=name, size=size)
    known = (torch.float32, torch.bfloat16, torch.float16)
    if query.dtype not in known or query.dtype != key.dtype:
        return _("{name} attention does not take {kind}").format(
            name=name, kind=str(query.dtype).removeprefix("torch.")
        )
    if name == "efficient" and window is not None:
        return _("sliding windows need bfloat16 and flash attention")
    return ""


@cache
def missing_arguments(name: str) -> tuple[str, ...]:
    """Arguments by which we call a kernel that this torch's schema does not have."""
    nothing = Ragged(torch.zeros(1, dtype=torch.int32), 0, Kernels())
    make: Callable[..., dict[str, Any]] = (
        partial(flash_arguments, window=1) if name == "flash" else efficient_arguments
    )
    arguments = {"query", "key", "value", *make(nothing, scale=1.0, rate=0.0, causal=False)}
    operator = getattr(torch.ops.aten, f"_{name}_attention_forward", None)
    if operator is None:
        return (f"_{name}_attention_forward",)
    known = {argument.name for argument in operator.default._schema.arguments}
    return tuple(sorted(arguments - known))


@cache
def _has_flash(device: torch.device) -> bool:
    """Whether flash attention is built in and the card, from Ampere on, runs it."""
    if device.type != "cuda":
        return device.type == "meta"  # shapes alone, for tests
    built: bool = torch.backends.cuda.is_flash_attention_available()
    return built and torch.cuda.get_device_capability(device) >= (8, 0)
