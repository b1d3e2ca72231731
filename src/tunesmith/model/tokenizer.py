"""The tokenizer of a model, and how much it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.errors import ModelError, Place, Problem
from tunesmith.language import gettext as _
from tunesmith.model.files import ModelFiles
from tunesmith.quiet import quiet_transformers

__all__ = ["load_tokenizer", "longest_input"]

_VOCABULARIES = (
    "tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model",
    "tokenizer.model", "spm.model",
)  # fmt: skip

_NO_LIMIT = 2**31 - 1
"""The most tokens where neither tokenizer nor model names a limit; it fits 32 bits."""


def load_tokenizer(files: ModelFiles) -> Any:
    """The fast tokenizer of a model, without any truncation or padding of its own.

    Raises:
        ModelError: there is none, or only a slow one (M113).
    """
    from transformers import AutoTokenizer

    if not any((files.folder / name).is_file() for name in _VOCABULARIES):
        # transformers would make a tokenizer that knows no word, without a word
        raise ModelError(
            Problem(
                "M113",
                _("it has no tokenizer ({names})").format(names=", ".join(_VOCABULARIES)),
                Place(files.name),
            )
        )
    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(files.folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(
            Problem(
                "M113",
                _("its tokenizer cannot be loaded: {reason}").format(
                    reason=str(error).splitlines()[0]
                ),
                Place(files.name),
            )
        ) from error
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            Problem("M113", _("it has no fast tokenizer (tokenizer.json)"), Place(files.name))
        )
    # files of sentence-transformers models cut to 128 tokens and pad, unasked
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    if tokenizer.pad_token_id is None:  # decoders have none; attention masks it anyway
        tokenizer.pad_token = tokenizer.eos_token or _padding_of(files, tokenizer)
    return tokenizer


def _padding_of(files: ModelFiles, tokenizer: Any) -> str | None:
    """The padding token that a model names where its tokenizer names none."""
    number = files.config().get("pad_token_id")
    if not isinstance(number, int) or not 0 <= number < len(tokenizer):
        return None
    token: str = tokenizer.convert_ids_to_tokens(number)
    return token


def longest_input(files: ModelFiles, tokenizer: Any) -> int:
    """The most tokens that the model takes."""
    config = files.config()
    limits = [min(int(tokenizer.model_max_length), _NO_LIMIT)]
    positions = config.get("max_position_embeddings") or config.get("n_positions")
    if isinstance(positions, int) and positions > 0:
        # RoBERTa and its kin begin to count behind the padding id
        offset = int(config.get("pad_token_id") or 0) + 1 if _counts_from_pad(config) else 0
        limits.append(positions - offset)
    return min(limit for limit in limits if limit > 0)


def _counts_from_pad(config: Mapping[str, Any]) -> bool:
    kin = ("roberta", "camembert", "xmod", "data2vec-text", "mpnet", "longformer", "esm")
    return any(word in str(config["model_type"]) for word in kin)
