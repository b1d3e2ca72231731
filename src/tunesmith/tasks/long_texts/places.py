"""Which tokens of a long text or pair go into a sequence: of its head and tail, or of windows."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["head_and_tail", "num_windows", "shared_space", "sliding", "window_spans"]

Span = tuple[int, int]

_HEAD = 128 / 510
"""The head's fraction: of 512 tokens, two of them special, Sun et al. keep 128 and the last 382
("How to Fine-Tune BERT for Text Classification?", arXiv 1905.05583)."""


def shared_space(lengths: Sequence[int], space: int) -> list[int]:
    """Return how many tokens of each text are retained: the longer of a pair is cut first."""
    if len(lengths) == 1:
        return [min(lengths[0], space)]
    first, second = lengths
    if first <= second:
        first = min(first, max(space // 2, space - second))
        return [first, min(second, space - first)]
    second = min(second, max(space // 2, space - first))
    return [min(first, space - second), second]


def head_and_tail(length: int, space: int) -> list[Span]:
    """Return what is retained of a text: a quarter from its head, the rest from its tail."""
    if length <= space:
        return [(0, length)]
    head = round(space * _HEAD)
    return [(0, head), (length - space + head, length)]


def window_spans(length: int, size: int, most: int) -> list[Span]:
    """Return windows of a text that overlap by a quarter, spread evenly if there are too many.

    They begin where those of a tokenizer of transformers do with `stride=size // 4`.
    """
    step = size - size // 4
    count = num_windows(length, size)
    most = min(count, most)
    chosen = [i * (count - 1) // max(1, most - 1) for i in range(most)]
    return [(i * step, min(i * step + size, length)) for i in chosen]


def num_windows(length: int, size: int) -> int:
    """Return how many windows a text needs to be read whole."""
    step = size - size // 4
    return 1 + max(0, -(-(length - size) // step))


def sliding(lengths: Sequence[int], space: int) -> tuple[int, int]:
    """Return which text of a pair windows slide over, and how much of the other one is in each.

    It is the longer one, the first of equals. The other one is whole unless it would leave less
    than a quarter of the space.
    """
    if len(lengths) == 1:
        return 0, 0
    longer = int(lengths[1] > lengths[0])
    return longer, min(lengths[1 - longer], space - space // 4)
