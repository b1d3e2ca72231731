from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tunesmith.data.open import from_python
from tunesmith.errors import DataError
from tunesmith.models import load_tokenizer, locate
from tunesmith.models.train_tokenizer import (
    Texts,
    TokenizerKind,
    retrain_tokenizer,
    train_tokenizer,
)

TEXTS = [
    "The cook fried the rice and the waiter served the fried rice.",
    "Frying rice is what cooks do; serving is for waiters.",
    "番茄汤太咸了，厨师说不咸。",
] * 5


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
def test_it_reads_what_it_was_trained_on(kind: TokenizerKind) -> None:
    made = train_tokenizer(TEXTS, kind=kind, vocab_size=400, max_length=32)
    ids = made("The rice 番茄")["input_ids"]
    assert ids[0] == made.cls_token_id and ids[-1] == made.sep_token_id
    assert made.unk_token_id not in ids
    assert made.mask_token_id is not None and made.pad_token_id is not None
    assert made.model_max_length == 32
    assert "rice" in made.decode(ids).lower()


def test_pairs_have_types() -> None:
    made = train_tokenizer(TEXTS, vocab_size=200)
    encoded = made("the rice", "the cook")
    assert encoded["token_type_ids"] == [0, 0, 0, 0, 1, 1, 1]


def test_byte_level_writes_down_anything() -> None:
    made = train_tokenizer(TEXTS, kind="bpe", vocab_size=300)
    strange = "Ünïcödé ☃ 漢"
    assert made.decode(made(strange)["input_ids"], skip_special_tokens=True) == strange


def test_letters_can_be_asked_for() -> None:
    without = train_tokenizer(TEXTS, vocab_size=200)
    made = train_tokenizer(TEXTS, vocab_size=200, alphabet="ü漢")
    assert without.tokenize("漢é") == ["[UNK]", "e"]  # case and accents are dropped by default
    assert made.tokenize("漢") == ["漢"]
    assert "##漢" not in made.get_vocab()
    cased = train_tokenizer(TEXTS, vocab_size=200, alphabet="ü", lowercase=False)
    assert "[UNK]" not in cased.tokenize("Thü")


CHILD = """
import sys
from tests.models.test_train_tokenizer import TEXTS
from tunesmith.models.train_tokenizer import retrain_tokenizer, train_tokenizer
for kind in ("wordpiece", "bpe"):
    made = train_tokenizer(TEXTS, kind=kind, vocab_size=260)
    again = retrain_tokenizer(made, TEXTS, vocab_size=250)
    sys.stdout.write(made.backend_tokenizer.to_str() + again.backend_tokenizer.to_str())
"""


def test_the_same_text_gives_the_same_file() -> None:
    """In processes of their own: hash tables are seeded differently in each."""
    root = Path(__file__).parents[2]
    outputs = {
        subprocess.run(
            [sys.executable, "-c", CHILD], cwd=root, capture_output=True, check=True
        ).stdout
        for _time in range(3)
    }
    assert len(outputs) == 1


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
def test_a_new_one_takes_after_the_old(kind: TokenizerKind) -> None:
    old = train_tokenizer(["nothing of the kind, only other words"], kind=kind, vocab_size=300)
    new = retrain_tokenizer(old, TEXTS, vocab_size=400)
    assert len(new.tokenize(TEXTS[0])) < len(old.tokenize(TEXTS[0]))
    assert new.special_tokens_map == old.special_tokens_map
    assert new.model_input_names == old.model_input_names
    framed = new("the rice", "cooks")["input_ids"]
    assert framed[0] == new.cls_token_id and framed[-1] == new.sep_token_id


def test_it_is_kept_and_loaded(tmp_path: Path, tiny_bert: Path) -> None:
    old = load_tokenizer(locate(str(tiny_bert)))
    new = retrain_tokenizer(old, TEXTS, vocab_size=200)
    new.save_pretrained(tmp_path)
    from transformers import AutoTokenizer

    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again(TEXTS[0], TEXTS[1]) == new(TEXTS[0], TEXTS[1])


def test_no_text_is_an_error() -> None:
    source = from_python([{"text": None}, {"text": ""}], name="mine")["train"]
    with pytest.raises(DataError, match="D120"):
        train_tokenizer(Texts(source, ["text"]))
