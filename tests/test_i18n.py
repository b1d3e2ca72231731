from __future__ import annotations

import ctypes
import re
import string
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import catalog
from tunesmith.i18n import current_language, gettext, gettext_noop, split_name, use_language

ROOT = Path(__file__).parents[1]


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


@pytest.mark.parametrize(
    ("number", "variables", "language"),
    [(0x0804, {}, "zh"), (0x0404, {}, "zh"), (0x0409, {}, "en"), (0x0804, {"LANG": "en"}, "en")],
)
def test_on_windows_the_language_of_its_windows_counts(
    number: int, variables: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TUNESMITH_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    kernel = SimpleNamespace(GetUserDefaultUILanguage=lambda: number)
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    assert use_language(None) == language


def test_a_marked_text_is_translated_when_shown() -> None:
    text = gettext_noop("error")
    assert text == "error"
    use_language("zh")
    assert gettext(text) == "错误"
    use_language("en")
    assert gettext(text) == "error"


def test_an_empty_text_stays_empty() -> None:
    """The empty message of a catalog is its header, which is not shown."""
    use_language("zh")
    assert gettext("") == ""


def placeholders(text: str) -> set[str]:
    fields = {name or "" for _t, name, _f, _c in string.Formatter().parse(text) if name is not None}
    return fields | set(re.findall(r"%\((\w+)\)s", text))


def test_every_text_of_the_code_is_translated() -> None:
    committed = {message.id: message for message in catalog.read() if message.id}
    expected = {message.id for message in catalog.collect() if message.id}
    assert expected == set(committed), "run `make catalog`"
    for text, message in committed.items():
        translated = message.string if isinstance(text, str) else message.string[0]
        english = text if isinstance(text, str) else text[-1]
        assert translated, f"no translation: {text}"
        assert placeholders(translated) == placeholders(english), text
        assert not message.fuzzy


def test_the_compiled_catalog_is_that_of_the_texts() -> None:
    assert catalog.MO.read_bytes() == catalog.compiled(catalog.read())


def test_no_text_hides_from_the_catalog() -> None:
    """Texts inside an f-string are not found by the extractor."""
    paths = list(catalog.SOURCE.rglob("*.py"))
    assert len(paths) > 100
    for path in paths:
        assert not re.search(r"f[\"'][^\"'\n]*\{_\([\"']", path.read_text()), path


def test_splits_are_named_in_the_language_in_use() -> None:
    assert [split_name(name) for name in ("train", "validation", "test", "dev")] == [
        "train", "validation", "test", "dev",
    ]  # fmt: skip
    use_language("zh")
    assert [split_name(name) for name in ("train", "validation", "test", "dev")] == [
        "训练集", "验证集", "测试集", "dev",
    ]  # fmt: skip


NOT_CHINESE = {
    "数词": "numerals; the baseline is TF-IDF 基线",
    "切片": "slices of bread; parts of the data are 分组",
    "说真话": "to tell the truth; exit codes 如实反映结果",
}
"""Words that a dictionary gives and no engineer writes."""


def test_terms_of_the_field_in_chinese() -> None:
    pages = [ROOT / "README.zh-CN.md", *sorted((ROOT / "docs" / "zh").rglob("*.md"))]
    pages.append(ROOT / "src/tunesmith/locale/zh/LC_MESSAGES/tunesmith.po")
    assert len(pages) >= 8
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for word, why in NOT_CHINESE.items():
            assert word not in text, f"{page.name}: {word}: {why}"
