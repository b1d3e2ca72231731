"""Train tokenizers on text, from scratch or in the style of another one.

The same text gives the same file on every machine. The `tokenizers` library numbers the letters
that continue a WordPiece word in the order of a hash table, and breaks ties by these numbers;
passing the letters in order makes it deterministic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from tunesmith.data.rows import Source
from tunesmith.errors import DataError, Place
from tunesmith.i18n import gettext as _

__all__ = ["Texts", "TokenizerKind", "retrain_tokenizer", "train_tokenizer"]

TokenizerKind = Literal["wordpiece", "bpe"]

_BERT_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ROBERTA_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


class Texts:
    """The texts of some columns of a source, which can be read repeatedly."""

    def __init__(self, source: Source, columns: Sequence[str]) -> None:
        """Take any source, and its columns of text."""
        self.source = source
        self.columns = tuple(columns)

    def __iter__(self) -> Iterator[str]:
        for chunk in self.source.chunks(self.columns):
            for row in chunk:
                for name in self.columns:
                    if value := row.values.get(name):
                        yield str(value)


def train_tokenizer(
    texts: Iterable[str],
    *,
    kind: TokenizerKind = "wordpiece",
    vocab_size: int = 30_000,
    lowercase: bool = True,
    alphabet: str = "",
    max_length: int = 512,
) -> Any:
    """Train a fast tokenizer on texts.

    "wordpiece" splits like BERT (arXiv 1810.04805) and only knows letters it has seen; "bpe" is the
    byte-level byte-pair encoding of GPT-2 and RoBERTa, which encodes any text.

    Args:
        texts: what to learn from; read twice.
        kind: "wordpiece" or "bpe".
        vocab_size: the most pieces to learn, special tokens included.
        lowercase: for wordpiece, whether case and accents are dropped.
        alphabet: letters that wordpiece must know even if they do not occur.
        max_length: its `model_max_length`.

    Raises:
        DataError: there is no text (D120).
    """
    if kind == "bpe":
        return _train_bpe(texts, vocab_size, max_length)
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertTokenizerFast

    inner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    vocabulary = _wordpiece_vocabulary(inner, texts, vocab_size, _BERT_SPECIAL, alphabet)
    inner.model = models.WordPiece(vocabulary, unk_token="[UNK]")
    inner.post_processor = processors.BertProcessing(
        ("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"])
    )
    return BertTokenizerFast(
        tokenizer_object=inner, model_max_length=max_length, do_lower_case=lowercase
    )


def _train_bpe(texts: Iterable[str], vocab_size: int, max_length: int) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(_ROBERTA_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(_not_empty(texts), trainer)
    start, pad, end, unknown, mask = _ROBERTA_SPECIAL
    inner.post_processor = processors.RobertaProcessing(  # special tokens are numbered in order
        (end, _ROBERTA_SPECIAL.index(end)), (start, 0), add_prefix_space=False
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token=start,
        cls_token=start,
        eos_token=end,
        sep_token=end,
        pad_token=pad,
        unk_token=unknown,
        mask_token=mask,
        model_max_length=max_length,
        model_input_names=["input_ids", "attention_mask"],
    )


def retrain_tokenizer(old: Any, texts: Iterable[str], *, vocab_size: int | None = None) -> Any:
    """Train a tokenizer that splits text like an existing one, with a new vocabulary.

    Chapter 6.2 of the course does the same with `train_new_from_iterator`, which is called here.

    Args:
        old: any fast tokenizer of transformers.
        texts: what to learn from; read twice.
        vocab_size: the most pieces to learn; None: as many as the old one has.

    Raises:
        DataError: there is no text (D120).
    """
    from tokenizers import models

    size = vocab_size or len(old)
    inner = old.backend_tokenizer
    if not isinstance(inner.model, models.WordPiece):
        return old.train_new_from_iterator(_not_empty(texts), size, show_progress=False)
    # the library's training of a WordPiece is not deterministic: it sets up the special tokens, and
    # the pieces are learned here
    new = old.train_new_from_iterator([], size, show_progress=False)
    fresh = new.backend_tokenizer
    special = sorted(fresh.get_vocab(), key=fresh.token_to_id)
    vocabulary = _wordpiece_vocabulary(
        fresh, texts, size, special, "", prefix=inner.model.continuing_subword_prefix
    )
    fresh.model = models.WordPiece(
        vocabulary,
        unk_token=inner.model.unk_token,
        continuing_subword_prefix=inner.model.continuing_subword_prefix,
    )
    return type(new)(
        tokenizer_object=fresh,
        model_max_length=old.model_max_length,
        **{
            name: str(token)
            for name, token in old.special_tokens_map.items()
            if isinstance(token, str)
        },
    )


def _wordpiece_vocabulary(
    cutter: Any,
    texts: Iterable[str],
    size: int,
    special: Sequence[str],
    alphabet: str,
    *,
    prefix: str = "##",
) -> dict[str, int]:
    """Return pieces by number: special tokens, letters, letters inside words, learned pieces."""
    from tokenizers import Tokenizer, models, trainers

    def words_of(text: str) -> list[str]:
        normal = cutter.normalizer.normalize_str(text) if cutter.normalizer else text
        return [word for word, _place in cutter.pre_tokenizer.pre_tokenize_str(normal)]

    letters = set(alphabet)
    for text in _not_empty(texts):
        for word in words_of(text):
            letters.update(word)
    # a Chinese character is a word by itself and continues none
    inside = {letter for letter in letters if len(words_of("a" + letter)) == 1}
    known = [*special, *sorted(letters), *(prefix + letter for letter in sorted(inside))]
    learner = Tokenizer(models.WordPiece(unk_token="[UNK]", continuing_subword_prefix=prefix))
    learner.normalizer, learner.pre_tokenizer = cutter.normalizer, cutter.pre_tokenizer
    trainer = trainers.WordPieceTrainer(
        vocab_size=max(size, len(known)),
        special_tokens=known,
        continuing_subword_prefix=prefix,
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    vocabulary: dict[str, int] = learner.get_vocab()
    return vocabulary


def _not_empty(texts: Iterable[str]) -> Iterator[str]:
    """Yield the texts; raise `DataError` if there are none."""
    is_empty = True
    for text in texts:
        is_empty = False
        yield text
    if is_empty:
        name = texts.source.name if isinstance(texts, Texts) else _("the given texts")
        fix = _("Add rows, or name another file.")
        raise DataError.of("D120", _("no text to learn from"), Place(name), fix=fix)
