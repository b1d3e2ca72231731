from __future__ import annotations

import difflib
import itertools
import json
import random
import re
import shlex
from html.parser import HTMLParser

from hypothesis import example, given
from hypothesis import strategies as st

from tunesmith.text import (
    escape_controls,
    html_table,
    html_text,
    nearest,
    quoted,
    shell_quoted,
    shortened,
)


class Cells(HTMLParser):
    """Reads a table back: its tags, and the text of each cell."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.cells: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag in ("th", "td"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_any_text_is_shown_as_it_is(texts: list[str]) -> None:
    read = Cells(html_table([{"<b>": text, "n": 1} for text in texts], align_right=["n"]))
    assert read.tags == {"table", "thead", "tbody", "tr", "th", "td"}
    expected = ["<b>", "n"]
    for text in texts:
        expected += [escape_controls(text), "1"]
    assert read.cells == expected
    for text in texts:
        assert not re.search("[<>\"']", html_text(text))


def test_headings_sides_and_a_caption() -> None:
    table = html_table([{"a": "x", "b": 2}], align_right=["b"], caption="<1 row>")
    assert table.startswith("<table><caption>&lt;1 row&gt;</caption><thead><tr><th style=")
    sides = re.findall(r"text-align:(\w+)", table)
    assert sides == ["left", "right", "left", "right"]
    assert "<caption>" not in html_table([{"a": 1}])
    assert html_table([], caption="nothing") == ""


@given(st.lists(st.text("abcdefgh_", min_size=4, max_size=12), min_size=1, unique=True))
def test_a_word_is_nearest_to_itself_whatever_its_case(words: list[str]) -> None:
    assert nearest(words[0].upper(), words) == [words[0]]


def test_nothing_is_near_to_noise() -> None:
    assert nearest("zzzzzz", ["label", "text"]) == []


@given(
    st.text("abcde_", min_size=1, max_size=12),
    st.lists(st.text("abcdef_", min_size=1, max_size=12), max_size=64, unique=True),
    st.integers(1, 3),
)
def test_up_to_64_known_words_are_compared_as_difflib_does(
    word: str, known: list[str], how_many: int
) -> None:
    expected = difflib.get_close_matches(word, known, n=how_many, cutoff=0.6)
    assert nearest(word, known, how_many=how_many) == expected


def test_a_typo_is_nearest_to_its_word_among_thousands() -> None:
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=9)) for _ in range(3_000)]
    for word in words[::300]:
        for typo in (word[:4] + word[5:], word[:4] + "q" + word[4:], word[:3] + "q" + word[4:]):
            assert nearest(typo, words) == difflib.get_close_matches(typo, words, n=1)
        swapped = word[:4] + word[5] + word[4] + word[6:]
        assert nearest(swapped, words) == [word]


def test_comparing_is_bounded_in_length_and_number() -> None:
    assert nearest("a" * 120, ["a" * 120]) == ["a" * 120]
    assert nearest("a" * 121, ["a" * 121, "a" * 120]) == []
    assert nearest("a" * 120, ["a" * 121]) == []
    endless = (f"word{i}" for i in itertools.count())
    assert nearest("word17", endless) == ["word17"]
    assert next(endless) == "word20000"


def test_long_lists_are_counted() -> None:
    assert quoted(["a", "b"]) == '"a", "b"'
    assert quoted(list(range(5)), at_most=3) == '"0", "1", "2" … (2 more)'


@given(st.text(), st.sampled_from(["", "\n", "\n\t"]))
def test_escaped_text_is_visible_and_means_the_same_as_json(text: str, keep: str) -> None:
    shown = escape_controls(text, keep=keep)
    assert escape_controls(shown, keep=keep) == shown
    assert not {sign for sign in "\x00\x1b\x7f\x85\x9b\r\u2028\u202e\ufeff\ud800" if sign in shown}
    assert json.loads(escape_controls(json.dumps(text, ensure_ascii=False))) == text
    assert len(escape_controls(text).splitlines()) <= 1


def test_visible_text_is_unchanged() -> None:
    for text in ("打印机 👩\u200d🔧 naïve", "می\u200cخواهم ۝", "#️⃣ ❤️", "a\\u202eb"):
        assert escape_controls(text) == text
    assert (
        escape_controls("a\r\nb\t\x1b[31m\u202e\u200b")
        == r"a\u000d\u000ab\u0009\u001b[31m\u202e\u200b"
    )
    assert escape_controls("\U000e0041") == r"\udb40\udc41"


@given(st.text())
def test_shortened_is_one_short_line(text: str) -> None:
    short = shortened(text, at_most=20)
    assert len(short) <= 20
    assert "\n" not in short


@given(st.text(st.characters(exclude_characters="\0"), min_size=1))
def test_a_shell_reads_back_what_is_typed(argument: str) -> None:
    assert shlex.split(f"tunesmith train {shell_quoted(argument)}") == [
        "tunesmith",
        "train",
        argument,
    ]
    assert shell_quoted("runs/tickets") == "runs/tickets"


def read_as_a_windows_program_does(line: str) -> list[str]:
    """The words of a command line by the rules of Microsoft's C runtime."""
    words, rest = [], line
    while rest := rest.lstrip(" "):
        word, is_quoted = "", False
        while rest and (is_quoted or rest[0] != " "):
            slashes = len(rest) - len(rest.lstrip("\\"))
            rest = rest[slashes:]
            if rest.startswith('"'):
                word += "\\" * (slashes // 2)
                if slashes % 2:
                    word += '"'
                else:
                    is_quoted = not is_quoted
                rest = rest[1:]
                continue
            word += "\\" * slashes
            if rest and (is_quoted or rest[0] != " "):
                word, rest = word + rest[0], rest[1:]
        words.append(word)
    return words


@given(st.text(st.characters(exclude_characters="\0\n\r"), min_size=1))
@example("a b\\")
@example('a\\"b')
@example("C:\\data\\tickets (2).csv")
def test_a_windows_program_reads_back_what_is_typed(argument: str) -> None:
    quoted = shell_quoted(argument, windows=True)
    assert read_as_a_windows_program_does(f"tunesmith train {quoted}")[2:] == [argument]
    assert shell_quoted("C:\\runs\\a-b", windows=True) == "C:\\runs\\a-b"
    assert shell_quoted("a&b", windows=True) == '"a&b"'  # cmd would run `b`
