"""The site: navigation, links, languages, search, formulas; `make docs` builds and checks it."""

from __future__ import annotations

import gettext
import io
import json
import os
import re
from pathlib import Path
from warnings import catch_warnings, simplefilter

import pydata_sphinx_theme
import pytest
from docs.website import build, check
from docs.website.languages import CHINESE, DOCS, ENGLISH, THEME_WORDS, path_to_twin
from docs.website.links import target_of
from docs.website.navigation import is_index, pages_listed
from docs.website.search import ChineseSearch
from sphinx import locale
from sphinx.application import Sphinx
from sphinx.deprecation import RemovedInSphinx11Warning

import tunesmith

ENGLISH_ONLY = ("architecture.md", "decisions/", "lab-notes.md", "terms.md")
"""Pages for contributors."""


def pages(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.md")}


def test_every_page_is_in_both_languages() -> None:
    chinese = pages(CHINESE.source)
    english = {
        page for page in pages(DOCS) if not page.startswith(("zh/", "website/", *ENGLISH_ONLY))
    }
    assert english == chinese


def test_the_reference_has_every_public_name() -> None:
    text = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
    entries = re.findall(r"^\.\. auto\w+:: (\w+)", text, re.MULTILINE)
    names = re.findall(r"`(\w+)`", text[text.index("* models and") : text.index("## Errors")])
    assert sorted(set(tunesmith.__all__) - {"__version__"}) == sorted(
        {name for name in [*entries, *names] if name in tunesmith.__all__}
    )
    assert all(tunesmith._HOMES[name] == "transformers" for name in names)


def test_both_languages_have_the_same_entries() -> None:
    block = re.compile(r"```\{eval-rst\}\n(.*?)```", re.DOTALL)
    english, chinese = (
        block.findall((folder / "reference" / "api.md").read_text(encoding="utf-8"))
        for folder in (ENGLISH.source, CHINESE.source)
    )
    assert english == chinese and len(english) > 5


def test_index_pages_list_all_pages() -> None:
    for language in (ENGLISH, CHINESE):
        root = language.source
        own = {page for page in pages(root) if not page.startswith(("zh/", "website/"))}
        listed = {"index"}
        for page in own:
            name = page.removesuffix(".md")
            if is_index(name):
                listed.update(pages_listed((root / page).read_text(encoding="utf-8"), name, root))
        assert own - {f"{name}.md" for name in listed} == set()


def test_navigation_follows_the_lists_of_an_index(tmp_path: Path) -> None:
    for name in ("index", "a/index", "a/b", "c"):
        path = tmp_path / "docs" / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "out.md").touch()
    text = """See [c](c.md).
* [a](a/index.md): more
  1. [b](a/b.md#part)
* [b](a/b.md), again [c](c.md)
| [c](c.md) | a row, not [out](../out.md) |
* [index](index.md) and [out](../out.md)
- [out](../out.md)
- [gone](gone.md)
"""
    assert pages_listed(text, "index", tmp_path / "docs") == ["a/index", "a/b", "c"]
    assert pages_listed("* [b](b.md)", "a/index", tmp_path / "docs") == ["a/b"]


@pytest.mark.parametrize(
    ("link", "page", "root", "target"),
    [
        ("../how-to/data.md", "course/data.md", DOCS, None),
        ("#part", "course/data.md", DOCS, None),
        ("no-such-page.md", "course/data.md", DOCS, None),
        ("../zh/course/data.md", "course/data.md", DOCS, "../zh/course/data.html"),
        ("../../course/data.md#a", "zh/course/data.md", DOCS / "zh", "../../course/data.html#a"),
        ("data.md", "zh/course/index.md", DOCS / "zh", None),
        ("../tests/test_site.py", "terms.md", DOCS, "/blob/main/tests/test_site.py"),
        ("../../tests", "course/data.md", DOCS, "/tree/main/tests"),
        ("../../README.md#a", "how-to/data.md", DOCS, "/blob/main/README.md#a"),
    ],
)
def test_links_out_of_a_language(link: str, page: str, root: Path, target: str | None) -> None:
    address = target_of(link, DOCS / page, root)
    if target is not None and target.startswith("/"):
        assert address is not None
        assert re.fullmatch(r"https://[\w./-]+" + re.escape(target), address)
    else:
        assert address == target


def test_a_page_and_its_twin_lead_to_each_other() -> None:
    for page in ("index", "how-to/data"):
        here = Path("/site", f"{page}.html")
        there = Path(os.path.normpath(here.parent / f"{path_to_twin(page, ENGLISH)}.html"))
        assert there == Path("/site/zh", f"{page}.html")
        assert os.path.normpath(there.parent / f"{path_to_twin(page, CHINESE)}.html") == str(here)


def test_the_words_of_the_theme_are_in_chinese() -> None:
    theme = Path(pydata_sphinx_theme.__file__).parent
    own = gettext.translation("sphinx", theme / "locale", ["zh"])
    sphinx = gettext.translation("sphinx", Path(locale.__file__).parent, ["zh_CN"])
    own.add_fallback(sphinx)
    templates = [path.read_text(encoding="utf-8") for path in (theme / "theme").rglob("*.html")]
    words = {word for text in templates for word in re.findall(r"_\([\"']([^\"']+)", text)}
    assert len(words) > 15
    assert [word for word in words if THEME_WORDS.get(word, own.gettext(word)) == word] == []


def test_chinese_is_searched_by_pairs_of_characters() -> None:
    split = ChineseSearch({}).split
    assert split("如何续训？") == ["如何", "何续", "续训"]
    assert set(split("续训")) < set(split("如何续训"))
    assert split("行 D203、train.epochs") == ["行", "D203", "train", "epochs"]


SMALL_SITE = {
    "index.md": """# Front

[中文](../zh/index.md)

<picture>
  <source media="(prefers-color-scheme: dark)" srcset="a-dark.svg">
  <img alt="a &amp; b" src="a-light.svg" width="100%">
</picture>

Wrong spelling is D203, also in `D203`; `D20` is no code.

```text
D203
```

The mean is $\\frac{1}{n}$.

$\\sqrt n$

* [Errors](reference/errors.md): all of them, with `D203`
* [Other](other.md)
""",
    "other.md": "# Other\n\n## Part\n\nBack to [the front](index.md#front). 如何续训？\n",
    "reference/errors.md": "# Errors\n\n## D203\n\nSee D203.\n",
    "a-light.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
    "a-dark.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
}


@pytest.fixture(scope="module")
def small_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built site of three pages in Chinese, with every part but the Python API."""
    folder = tmp_path_factory.mktemp("site")
    for name, text in SMALL_SITE.items():
        path = folder / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    parts = "error_codes languages links mathml navigation pictures search".split()
    warnings = io.StringIO()
    app = Sphinx(
        folder / "docs",
        None,
        folder / "built",
        folder / "cache",
        "html",
        confoverrides={
            "extensions": ["myst_parser", *(f"docs.website.{part}" for part in parts)],
            "myst_enable_extensions": ["dollarmath"],
            "myst_heading_anchors": 4,
            "language": "zh_CN",
            "nitpicky": True,
        },
        status=None,
        warning=warnings,
    )
    with catch_warnings():
        simplefilter("ignore", RemovedInSphinx11Warning)  # MyST uses names that Sphinx 11 removes
        app.build()
    lines = [line for line in warnings.getvalue().splitlines() if "zh/index.md" not in line]
    assert lines == []
    return folder / "built"


def test_parts_of_the_site(small_site: Path) -> None:
    front = (small_site / "index.html").read_text(encoding="utf-8")
    code = r'<a class="reference internal" href="reference/errors.html#d203"><code'
    assert front.count(code) == 2
    assert "<pre><span></span>D203" in front
    assert re.search(r'alt="a &amp; b" class="only-light" src="_images/a-light.svg"', front)
    assert re.search(r'alt="a &amp; b" class="only-dark" src="_images/a-dark.svg"', front)
    assert front.count("<math displaystyle") == 1 and "<msqrt>" in front
    assert "<mfrac>" in front and "MathJax" not in front
    card = front[front.index('<ul class="cards') :]
    assert re.search(r"Errors</span></a></p>\s*<p>All of them, with D203</p>", card)
    assert '<a class="reference internal" href="other.html">Other</a>' in front  # navigation
    errors = (small_site / "reference" / "errors.html").read_text(encoding="utf-8")
    assert "<p>See D203.</p>" in errors
    index = (small_site / "searchindex.js").read_text(encoding="utf-8")
    assert escaped("续训") in index and escaped("如何续训") not in index
    script = (small_site / "_static" / "language_data.js").read_text(encoding="utf-8")
    assert "function splitQuery" in script and "EnglishStemmer" in script
    assert list(check.problems(small_site, check.read_pages(small_site))) == [
        "index.html: #../zh/index.md: no such anchor"
    ]


def escaped(word: str) -> str:
    """A word as the index has it."""
    return json.dumps(word).strip('"')


PAGE = '<a href="b.html#here">x</a><p id="top"></p>'


@pytest.mark.parametrize(
    ("html", "problem"),
    [
        (PAGE, None),
        ('<a href="#top">x</a><p id="top"></p>', None),
        ('<a href="sub/../b.html">x</a>', None),
        ('<a href="https://example.org">x</a><img src="data:image/png;base64,AA">', None),
        ('<link rel="alternate" href="b.html"><script src="s.js"></script>', None),
        ('<link rel="canonical" href="https://example.org/">', None),
        ('<a href="b.html#gone">x</a>', "b.html#gone: no such anchor"),
        ('<a href="c.html">x</a>', "c.html: no such file"),
        ('<a href="#gone">x</a>', "#gone: no such anchor"),
        ('<a href="/b.html">x</a>', "/b.html: it begins with a slash"),
        ('<link rel="alternate" href="c.html">', "c.html: no such file"),
        ('<img src="c.png">', "c.png: no such file"),
        ('<script src="https://cdn.example.org/x.js"></script>', "loaded from elsewhere"),
        ('<img srcset="s.js 1x, //example.org/a.png 2x">', "//example.org/a.png: loaded"),
        ('<link rel="stylesheet" href="https://example.org/x.css">', "loaded from elsewhere"),
        ('<p style="background: url(https://example.org/a.png)"></p>', "loaded from elsewhere"),
    ],
)
def test_the_check_of_built_pages(tmp_path: Path, html: str, problem: str | None) -> None:
    (tmp_path / "a.html").write_text(html)
    (tmp_path / "b.html").write_text('<h1 id="here">b</h1>')
    (tmp_path / "s.js").touch()
    problems = list(check.problems(tmp_path, check.read_pages(tmp_path)))
    if problem is None:
        assert problems == []
    else:
        assert len(problems) == 1 and problem in problems[0]


def test_the_check_reads_styles_and_lists_external_links(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<a href="https://example.org/x">x</a><a href="#">y</a>')
    (tmp_path / "a.css").write_text("@import 'https://example.org/f.css'; p { src: url(f.woff) }")
    pages = check.read_pages(tmp_path)
    assert list(check.problems(tmp_path, pages)) == [
        "a.css: https://example.org/f.css: loaded from elsewhere"
    ]
    assert check.external_links(pages) == ["https://example.org/x"]


@pytest.mark.slow
def test_the_site_is_built(tmp_path: Path) -> None:
    assert build.build(tmp_path) == []
    english = (tmp_path / "how-to" / "data.html").read_text(encoding="utf-8")
    assert '<html lang="en"' in english
    chinese = (tmp_path / "zh" / "course" / "data.html").read_text(encoding="utf-8")
    assert '<html lang="zh-CN"' in chinese
    assert 'hreflang="en" href="../../course/data.html"' in chinese
    index = (tmp_path / "zh" / "searchindex.js").read_text(encoding="utf-8")
    assert escaped("续训") in index
