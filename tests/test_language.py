from __future__ import annotations

import pytest

from tunesmith.language import current_language, gettext, mark, use_language


@pytest.mark.parametrize(
    ("variables", "language"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"TUNESMITH_LANG": "zh", "LC_ALL": "en_US.UTF-8"}, "zh"),
        ({}, "en"),
    ],
)
def test_the_environment_chooses(
    variables: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TUNESMITH_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert use_language(None) == language
    assert current_language() == language


def test_a_marked_text_is_translated_when_shown() -> None:
    text = mark("error")
    assert text == "error"
    use_language("zh")
    assert gettext(text) == "错误"
    use_language("en")
    assert gettext(text) == "error"


def test_an_empty_text_stays_empty() -> None:
    """The empty message of a catalogue is its header, which nobody should see."""
    use_language("zh")
    assert gettext("") == ""
