"""The two languages of the site, and the switch from a page to its twin."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from gettext import NullTranslations
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.locale import get_translator

__all__ = [
    "CHINESE",
    "DOCS",
    "ENGLISH",
    "THEME_WORDS",
    "Language",
    "language_of",
    "path_to_twin",
    "setup",
]

DOCS = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Language:
    """A language of the site.

    Attributes:
        code: as HTML names it.
        sphinx: as Sphinx names it.
        name: in the language itself.
        folder: its pages in `docs/`, and its part of the site.
        search: text of an empty search field.
        copy: text of the button that copies a block.
        copied: text of this button afterwards.
        attributes: heading of the attributes of a class.
    """

    code: str
    sphinx: str
    name: str
    folder: str
    search: str
    copy: str
    copied: str
    attributes: str

    @property
    def source(self) -> Path:
        """The folder of its pages."""
        return DOCS / self.folder


ENGLISH = Language("en", "en", "English", "", "Search", "Copy", "Copied", "Attributes")
CHINESE = Language("zh-CN", "zh_CN", "中文", "zh", "搜索", "复制", "已复制", "属性")

_WITHOUT_SOURCE = ("search", "genindex")
"""Pages that Sphinx makes in each language."""


THEME_WORDS = {
    "Breadcrumb": "当前位置",
    "Collapse Sidebar": "收起侧栏",
    "Color mode": "颜色模式",
    "Dark": "深色",
    "Expand Sidebar": "展开侧栏",
    "Home": "首页",
    "Light": "浅色",
    "On this page": "本页内容",
    "System Settings": "跟随系统",
    "© Copyright %(copyright)s.": "© %(copyright)s",
}
"""What the theme does not translate into Chinese, or not as Chinese sites say it."""


class _ThemeWords(NullTranslations):
    """Answers before the catalog of the theme, which is loaded later."""

    def gettext(self, message: str) -> str:
        return THEME_WORDS.get(message) or super().gettext(message)


def language_of(tags: Iterable[str]) -> Language:
    """Return the language of a build by its tags (`-t zh`)."""
    return CHINESE if "zh" in tags else ENGLISH


def path_to_twin(page: str, language: Language) -> str:
    """Return the path from a page to the same page in the other language, without suffix."""
    up = "../" * page.count("/")
    return f"{up}zh/{page}" if language is ENGLISH else f"{up}../{page}"


def _add_twin(
    app: Sphinx, page: str, _template: str, context: dict[str, Any], _doctree: object
) -> None:
    """Tell the templates where the page is in the other language, else its front page."""
    here = language_of(app.tags)
    other = CHINESE if here is ENGLISH else ENGLISH
    has_twin = page in _WITHOUT_SOURCE or (other.source / f"{page}.md").is_file()
    up = "../" * page.count("/")
    front = f"{up}zh/index" if here is ENGLISH else f"{up}../index"
    context["here"] = here
    context["other"] = other
    context["has_twin"] = has_twin
    context["twin"] = (path_to_twin(page, here) if has_twin else front) + ".html"
    context["this_page"] = page.rsplit("/", 1)[-1] + ".html"


def setup(app: Sphinx) -> None:
    """Register the switch, and the words of the theme."""
    if language_of(app.tags) is CHINESE:
        get_translator("sphinx").add_fallback(_ThemeWords())
    app.connect("html-page-context", _add_twin)
