from __future__ import annotations

from pathlib import Path

import pytest

from tests import words

PATH = "src/tunesmith/example.py"


def texts(source: str, path: str = PATH) -> list[str]:
    return [hit.text for hit in words.in_code(source, path)]


@pytest.mark.parametrize("path", words.files(), ids=lambda path: str(path.relative_to(words.ROOT)))
def test_words_of_the_field(path: Path) -> None:
    hits = words.in_file(path)
    assert not hits, "\n".join(["write instead:", *map(str, hits)])


@pytest.mark.parametrize(
    ("source", "hit"),
    [
        ('"""What hangs on it."""\n', "hangs on"),
        ('def f() -> None:\n    """First.\n\n    Rows are labelled.\n    """\n', "labelled"),
        ("x = 1  # nobody knows\n", "nobody"),
        ("# as it\n# stands\n", "as it stands"),
        ('from a import _\n\nprint(_("labelled"))\n', "labelled"),
        ('raise ValueError("rows lie in a file")\n', "lie in"),
        ('raise ValueError(f"{1} rows are normalised")\n', "normalised"),
        ("found = 1\n", "found"),
        ("for kept in []:\n    pass\n", "kept"),
        ("def f(given: int) -> None: ...\n", "given"),
        ("def in_words() -> None: ...\n", "in_words (in words)"),
        ("normalise_labels = True\n", "normalise_labels (normalise)"),
        ("self.wanted = 1\n", "wanted"),
        ("class Emphasis: ...\n", "Emphasis"),
    ],
)
def test_each_kind_of_use_is_seen(source: str, hit: str) -> None:
    assert hit in texts(source)


@pytest.mark.parametrize(
    "source",
    [
        '"""The name `found` and ``told`` are code here."""\n',
        "from hypothesis import given\n\n\n@given(1)\ndef test() -> None: ...\n",
        'OLD = {"normalise_labels": "normalize_labels"}\n',
        "value = result.found\n",
        '"""A standard, labeled understanding; besiege; tolder."""\n',
    ],
)
def test_code_and_parts_of_words_are_free(source: str) -> None:
    assert not texts(source)


def test_strings_of_tests_and_of_embedded_data_are_data() -> None:
    source = 'TEXT = "nobody told a person"\n'
    assert texts(source) == ["nobody", "told", "a person"]
    assert not texts(source, "tests/test_example.py")
    assert not texts(source, "src/tunesmith/data/embedded/example.py")


def test_lines_are_those_of_the_file() -> None:
    source = (
        '"""First.\n\nNot labelled.\n"""\n\n# good\n# told\nx = (\n    "one "\n    "lies in"\n)\n'
    )
    assert [(hit.line, hit.text) for hit in words.in_code(source, PATH)] == [
        (3, "labelled"),
        (10, "lies in"),
        (7, "told"),
    ]


def test_prose_of_markdown_counts_and_its_code_does_not() -> None:
    page = "# Rooms\n\nWhat `found` hangs\non.\n\n```\nnobody\n```\n\n[x](told.md) beside\n"
    hits = [(hit.line, hit.text) for hit in words.in_markdown(page, "docs/example.md")]
    assert hits == [(1, "Rooms"), (3, "hangs on"), (10, "beside")]


def test_chinese_terms_are_those_of_the_list() -> None:
    assert words.chinese_terms()["打分"] == "评估，评分"
    assert len(words.chinese_terms()) > 20
    page = "给预测打分,再看\n\n对，行。您好\n"
    hits = [(hit.line, hit.text) for hit in words.in_chinese(page, "x.po")]
    assert hits == [(1, "打分"), (1, "分,"), (3, "您")]


def test_lines_of_chinese_pages_do_not_end_between_characters() -> None:
    page = "# 题\n文本\n\n先读，\n再写。用 CPU\n训练\n\n* 一\n* 二\n\n"
    page += "```\n甲\n乙\n```\n说明\n| 甲 |\n| 乙 |\n"
    hits = [(hit.line, hit.text) for hit in words.broken_lines(page, "x.md")]
    assert hits == [(4, "先读，")]


def test_the_command_prints_the_line_and_the_replacement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(words, "ROOT", tmp_path)
    (tmp_path / "page.md").write_text("Rows are labelled.\n", encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["words", str(tmp_path)])
    assert words.main() == 1
    assert capsys.readouterr().out == "page.md:1: 'labelled' -> one l: labeled\n"
    (tmp_path / "page.md").write_text("Rows are labeled.\n", encoding="utf-8")
    assert words.main() == 0
    assert not capsys.readouterr().out
