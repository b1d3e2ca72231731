"""Which tokens of a text are hidden: a pure function of a seed and the text. No torch.

Devlin et al. (arXiv 1810.04805), section 3.1: of the tokens to predict 80 % are hidden, 10 %
replaced by any other and 10 % left as they are.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from tunesmith.rng import splitmix64, uniform_at

__all__ = ["mask_tokens"]

_HIDDEN, _REPLACED = 0.8, 0.1


def mask_tokens(
    ids: NDArray[np.int64],
    words: NDArray[np.int64],
    *,
    seed: int,
    probability: float,
    whole_word_mask: bool,
    always: Collection[tuple[int, ...]],
    mask_id: int,
    vocabulary: int,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Choose tokens to predict, and what the model sees in their places.

    Of a text from which nothing is chosen one word is taken: none may be without a target.

    Args:
        ids: token ids, (B, L).
        words: which word of its text each token belongs to, from 1; 0 for marks and padding.
        seed: of the draw.
        probability: of each token of being predicted.
        whole_word_mask: whether the pieces of a word are chosen together.
        always: words, each as its pieces, that are hidden wherever they occur.
        mask_id: of the token that hides.
        vocabulary: how many tokens there are to replace with.

    Returns:
        Ids as the model sees them, and which tokens are to be predicted; both (B, L).
    """
    positions = np.arange(ids.shape[1])[None, :]
    text = _key_of(ids, words > 0)
    chance = uniform_at(seed, text, words if whole_word_mask else positions)
    chance[words == 0] = 2.0
    lowest = chance.min(axis=1, keepdims=True)
    listed = _occurrences(always, ids, words)
    needs_one = ~listed.any(axis=1, keepdims=True)
    chosen = ((chance < probability) | (chance == lowest) & needs_one) & (words > 0) | listed
    fate = np.where(listed, 0.0, uniform_at(seed + 1, text, positions))
    other = (uniform_at(seed + 2, text, positions) * vocabulary).astype(np.int64)
    shown = np.where(fate < _HIDDEN, mask_id, ids)
    shown = np.where((fate >= _HIDDEN) & (fate < _HIDDEN + _REPLACED), other, shown)
    return np.where(chosen, shown, ids), chosen


def _occurrences(
    spellings: Collection[tuple[int, ...]], ids: NDArray[np.int64], words: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return where one of the words is: all its pieces, and never as a part of another word."""
    is_listed = np.zeros(ids.shape, dtype=np.bool_)
    edge = np.ones((len(ids), ids.shape[1] + 1), dtype=np.bool_)
    edge[:, 1:-1] = words[:, 1:] != words[:, :-1]
    for pieces in spellings:
        starts = ids.shape[1] - len(pieces) + 1
        if starts < 1 or not pieces:
            continue
        windows = np.lib.stride_tricks.sliding_window_view(ids, len(pieces), axis=1)
        at = (windows == np.array(pieces)).all(axis=2)
        at &= edge[:, :starts] & edge[:, len(pieces) :]
        for offset in range(len(pieces)):
            is_listed[:, offset : offset + starts] |= at
    return is_listed & (words > 0)


def _key_of(ids: NDArray[np.int64], real: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Return a number for each text from its tokens and their positions, shape (B, 1)."""
    positions = np.arange(ids.shape[1], dtype=np.uint64)[None, :]
    with np.errstate(over="ignore"):
        each = splitmix64(ids.astype(np.uint64) ^ (positions << np.uint64(32)))
        total: NDArray[np.uint64] = np.where(real, each, np.uint64(0)).sum(axis=1, keepdims=True)
    return total
