"""Every key of the recipe is known by its last part, and by what other tools call it."""

from __future__ import annotations

import pytest

from tunesmith.recipe import key_close_to, key_named
from tunesmith.recipe.keys import known_keys, section_at
from tunesmith.recipe.renamed import RENAMED
from tunesmith.recipe.settings import TrainSettings

KEYS = sorted(".".join(path) for path in known_keys() if section_at(path) is None)


def test_every_key_is_found_by_itself_and_by_its_last_part() -> None:
    assert len(KEYS) > 40
    for key in KEYS:
        assert key_named(key) == key
        last = key.split(".")[-1]
        named = key_named(last.replace("_", "-"))
        assert named is not None and named.split(".")[-1] == last
        assert (
            named == key or sum(other.endswith(f".{last}") or other == last for other in KEYS) > 1
        )


def test_of_two_keys_that_of_training_is_meant() -> None:
    assert key_named("seed") == "train.seed"
    assert key_named("data.seed") == "data.seed"
    assert key_named("train") == "data.train"
    assert key_named("data") is None


def test_names_from_other_tools() -> None:
    for name, renamed in RENAMED.items():
        if name not in {key.split(".")[-1] for key in KEYS}:
            assert key_named(name) == renamed.key
    assert key_named("per-device-train-batch-size") == "train.batch_size"


@pytest.mark.parametrize(
    ("word", "key"),
    [("epohcs", "train.epochs"), ("weight-decy", "train.weight_decay"), ("xyzzy", None)],
)
def test_words_that_are_almost_a_key(word: str, key: str | None) -> None:
    assert key_named(word) is None
    assert key_close_to(word) == key


def test_keys_and_sections() -> None:
    assert ("train", "epochs") in known_keys()
    assert section_at(("train",)) is TrainSettings
    assert section_at(("train", "epochs")) is None
