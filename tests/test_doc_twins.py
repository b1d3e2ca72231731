from __future__ import annotations

from pathlib import Path

import pytest

from tests import doc_twins
from tests.doc_twins import Block

PAGE = """\
# Title

| a | b |
|---|---|
| 1 | `x|y` |

See [the recipe](recipe.md#keys).

```sh
tunesmith predict my "a new text"  # a comment
```

## Part
"""
CHINESE = """\
# 标题

| 甲 | 乙 |
|---|---|
| 1 | `x|y` |

见[配方](recipe.md#键)。

```sh
tunesmith predict my "一段新的文本"  # 注释
```

## 部分
"""


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """An English page and its Chinese twin."""
    for name, path in (("ROOT", "."), ("DOCS", "docs"), ("ZH", "docs/zh")):
        monkeypatch.setattr(doc_twins, name, (tmp_path / path).resolve())
    doc_twins.ZH.mkdir(parents=True)
    (doc_twins.DOCS / "recipe.md").write_text("## Keys\n")
    (doc_twins.ZH / "recipe.md").write_text("## 键\n", encoding="utf-8")
    english, chinese = doc_twins.DOCS / "page.md", doc_twins.ZH / "page.md"
    english.write_text(PAGE)
    chinese.write_text(CHINESE, encoding="utf-8")
    return english, chinese


def test_twins_without_differences(pages: tuple[Path, Path]) -> None:
    english, chinese = pages
    assert list(doc_twins.differences(english, chinese)) == []
    assert doc_twins.has_same_code(english, chinese)
    assert doc_twins.twin(english) == chinese and doc_twins.twin(chinese) == english
    assert doc_twins.broken_links(english) == doc_twins.broken_links(chinese) == []
    assert doc_twins.foreign_links(chinese) == []


@pytest.mark.parametrize(
    ("own", "other", "difference"),
    [
        ("## 部分", "", "headings"),
        ("## 部分", "# 部分", "headings"),
        ("| 甲 | 乙 |", "| 甲 | 乙 | 丙 |", "tables"),
        ("| 1 |", "| 2 |", "numbers"),
        ("[配方](recipe.md#键)", "配方", "links"),
        ("predict my", "predict your", "code"),
        ('"一段新的文本"', "--file new.csv", "code"),
        ("```sh", "<!-- not run: why -->\n```sh", "code"),
        ("## 部分", "```python\nx\n```\n## 部分", "blocks"),
    ],
)
def test_differences(pages: tuple[Path, Path], own: str, other: str, difference: str) -> None:
    english, chinese = pages
    assert own in CHINESE
    chinese.write_text(CHINESE.replace(own, other), encoding="utf-8")
    assert [text.partition(":")[0].partition(" ")[0] for text in differences(pages)] == [difference]
    assert doc_twins.has_same_code(english, chinese) == (difference not in ("code", "blocks"))


def differences(pages: tuple[Path, Path]) -> list[str]:
    return list(doc_twins.differences(*pages))


def test_links_that_do_not_resolve(pages: tuple[Path, Path]) -> None:
    _english, chinese = pages
    text = "[a](recipe.md#keys) [b](none.md) [c](../recipe.md) [d](../page.md) [e](https://x.org)"
    chinese.write_text(f"{text} [f](#部分-2) [g](#部分)\n## 部分\n", encoding="utf-8")
    assert doc_twins.broken_links(chinese) == ["recipe.md#keys", "none.md", "#部分-2"]
    assert doc_twins.foreign_links(chinese) == ["../recipe.md"]


def test_code_without_comments_and_texts() -> None:
    english = Block("python", True, "x = 1  # one\n# two\n\nprint(x)\n")
    assert english.essence == Block("python", True, "x = 1\nprint(x)  # 打印\n").essence
    assert english.essence != Block("python", True, "x = 2\nprint(x)\n").essence
    assert doc_twins.commands('a "b c" 中文 --text 中文 d.csv 中文.csv # e') == [
        ["a", doc_twins.TEXT, doc_twins.TEXT, "--text", "中文", "d.csv", "中文.csv"]
    ]
