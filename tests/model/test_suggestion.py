from __future__ import annotations

import pytest

from tunesmith.model import EMBEDDED, suggest_model


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        (["打印机又坏了", "你好"], "bert-base-chinese"),
        (["hello there"], "bert-base-uncased"),
        (["hello 你好 and much more text in plain letters"], "bert-base-multilingual-cased"),
        (["привет мир"], "bert-base-multilingual-cased"),
    ],
)
def test_a_model_for_the_language(
    texts: list[str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert suggest_model(texts)[0] == name


def test_offline_with_nothing_cached_the_embedded_one_is_said_aloud() -> None:
    name, why = suggest_model(["hello"])
    assert name == EMBEDDED
    assert "bert-base-uncased" in why
