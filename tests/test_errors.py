from __future__ import annotations

import difflib
import itertools
import json
import random
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.errors import (
    DataError,
    Place,
    Problem,
    RecipeError,
    Severity,
    escape_controls,
    first_problems,
    nearest,
    quoted,
    redact,
    shell_quoted,
    shortened,
)
from tunesmith.i18n import use_language


def test_a_problem_reads_as_editors_follow_it() -> None:
    problem = Problem(
        "D301",
        'no column "lable" in tickets.csv',
        Place("recipe.yaml", 7, 10),
        evidence=("7 |   label: lable", "  |          ^^^^^  did you mean"),
        fix="columns: id, body",
    )
    assert str(problem).splitlines() == [
        'error D301 recipe.yaml:7:10: no column "lable" in tickets.csv',
        "  7 |   label: lable",
        "    |          ^^^^^  did you mean",
        "  columns: id, body",
    ]


def test_the_severity_is_translated_and_the_code_is_not() -> None:
    use_language("zh")
    assert str(Problem("D301", "x", severity=Severity.WARNING)).startswith("警告 D301")


def test_an_error_tells_every_problem() -> None:
    error = DataError([Problem("D201", "one"), Problem("D202", "two")])
    assert str(error) == "error D201: one\nerror D202: two"
    assert error.exit_code == 3
    assert RecipeError(Problem("R101", "x")).exit_code == 2


def test_places() -> None:
    assert str(Place("a.csv", 3)) == "a.csv:3"
    assert str(Place("a.csv", 3, 4)) == "a.csv:3:4"
    assert str(Place("glue/mrpc:train", row=15)) == "glue/mrpc:train[15]"


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


def test_a_slip_of_the_pen_is_nearest_to_its_word_among_thousands() -> None:
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=9)) for _ in range(3_000)]
    for word in words[::300]:
        for slip in (word[:4] + word[5:], word[:4] + "q" + word[4:], word[:3] + "q" + word[4:]):
            assert nearest(slip, words) == difflib.get_close_matches(slip, words, n=1)
        swapped = word[:4] + word[5] + word[4] + word[6:]
        assert nearest(swapped, words) == [word]


def test_comparing_is_bounded_in_length_and_number() -> None:
    assert nearest("a" * 120, ["a" * 120]) == ["a" * 120]
    assert nearest("a" * 121, ["a" * 121, "a" * 120]) == []
    assert nearest("a" * 120, ["a" * 121]) == []
    endless = (f"word{i}" for i in itertools.count())
    assert nearest("word17", endless) == ["word17"]
    assert next(endless) == "word20000"


def test_of_many_problems_the_others_are_counted() -> None:
    problems = [Problem(f"D{i}", "x", Place("a", i), severity=Severity.WARNING) for i in range(5)]
    assert first_problems(problems, at_most=5) == problems
    assert first_problems([]) == []
    *first, last = first_problems(iter(problems), at_most=3)
    assert first == problems[:3]
    message = "2 more such problems"
    assert last == Problem("D2", message, Place("a"), severity=Severity.WARNING)
    one_more = first_problems([Problem("D1", "x"), Problem("D1", "y")], at_most=1)[-1]
    assert one_more == Problem("D1", "1 more such problem")


def test_long_lists_are_counted() -> None:
    assert quoted(["a", "b"]) == '"a", "b"'
    assert quoted(list(range(5)), at_most=3) == '"0", "1", "2" … (2 more)'


@given(st.text(), st.sampled_from(["", "\n", "\n\t"]))
def test_inert_text_is_seen_and_means_the_same_as_json(text: str, keep: str) -> None:
    shown = escape_controls(text, keep=keep)
    assert escape_controls(shown, keep=keep) == shown
    assert not {sign for sign in "\x00\x1b\x7f\x85\x9b\r\u2028\u202e\ufeff\ud800" if sign in shown}
    assert json.loads(escape_controls(json.dumps(text, ensure_ascii=False))) == text
    assert len(escape_controls(text).splitlines()) <= 1


def test_what_is_seen_stays_itself() -> None:
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


def test_tokens_are_masked_wherever_they_stand() -> None:
    secret = "hf_abcdefghijklmnop"
    problem = Problem("M104", f"url with {secret}", fix=f"not {secret}")
    assert secret not in str(problem)
    assert secret not in str(problem.as_json())
    assert redact("the word hf_ alone stays") == "the word hf_ alone stays"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("from http://me:pw@host:80/x: no", "from http://…@host:80/x: no"),
        ("https://me@host/x", "https://…@host/x"),
        ("http://me:p@@s:s/w@host", "http://…@host"),
        ("http://host:80/x", "http://host:80/x"),
        ("https://host/@me and a@b", "https://host/@me and a@b"),
        ("http://a:b@c http://d:e@f", "http://…@c http://…@f"),
    ],
)
def test_users_of_addresses_are_masked(text: str, masked: str) -> None:
    assert redact(text) == masked
    problem = Problem("M104", text, Place(text), (text,), text)
    assert str(problem).count(masked) == 4
    assert [*problem.as_json().values()].count(masked) == 3


@given(st.text(st.characters(exclude_characters="\0"), min_size=1))
def test_a_shell_reads_back_what_is_typed(argument: str) -> None:
    assert shlex.split(f"tunesmith train {shell_quoted(argument)}") == [
        "tunesmith",
        "train",
        argument,
    ]
    assert shell_quoted("runs/tickets") == "runs/tickets"
