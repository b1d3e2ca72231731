"""The model that comes with the package: for now a small BERT with random weights, and it says so.

It lets every command run without a network and learns the embedded data from nothing; it knows no
language. It is made on first use, the same every time, and kept in the cache.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tunesmith import commit
from tunesmith.data.embedded import open_embedded
from tunesmith.data.prepared import cache_folder
from tunesmith.errors import ModelError, Place, Problem
from tunesmith.language import gettext as _
from tunesmith.quiet import quiet_transformers

__all__ = ["embedded_folder"]

_VERSION = 1
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_SEED = 20_260_102


def embedded_folder(name: str) -> Path:
    """The folder of an embedded model, made if it is not there yet.

    Raises:
        ModelError: there is none of this name (M107).
        ResourceError: the cache cannot be written.
    """
    if name != "embedded:mini":
        raise ModelError(
            Problem(
                "M107",
                _("there is no such embedded model"),
                Place(name),
                fix=_("Embedded models: {names}.").format(names="embedded:mini"),
            )
        )
    home = cache_folder() / "models"
    target = home / f"mini-{_VERSION}"
    with commit.hold(home, wait_seconds=-1):
        if target.exists() and commit.damage(target):
            commit.set_aside(target)
        if not target.exists():
            with commit.publish(target) as unfinished, quiet_transformers():
                _make(unfinished)
    return target


def _make(folder: Path) -> None:
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, BertTokenizerFast

    normalizer = normalizers.BertNormalizer(lowercase=True)
    cutter = pre_tokenizers.BertPreTokenizer()
    counts: Counter[str] = Counter()
    for chunk in open_embedded("tickets")["train"].chunks(["text"]):
        for row in chunk:
            text = normalizer.normalize_str(str(row.values["text"]))
            counts.update(word for word, _place in cutter.pre_tokenize_str(text))
    # the library's own trainer breaks ties by chance; whole words and letters are always the same
    words = sorted(counts, key=lambda word: (-counts[word], word))
    letters = sorted({letter for word in words for letter in word})
    pieces = [*_SPECIAL, *letters, *(f"##{letter}" for letter in letters), *words]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    inner = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    inner.normalizer, inner.pre_tokenizer = normalizer, cutter
    inner.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    BertTokenizerFast(tokenizer_object=inner, model_max_length=128).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=128,
        pad_token_id=0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(_SEED)
        BertModel(config).save_pretrained(folder)
