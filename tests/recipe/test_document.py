from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.capabilities import needs
from tunesmith.errors import RecipeError
from tunesmith.recipe.document import parse_document, read_document, read_scalar

TEXT = """\
task: text-classification   # a comment
data:
  train: a.csv
  labels: [no, yes, 1e-5, null]
train: {epochs: 3, when: 2024-01-01}
"""


def codes(error: RecipeError) -> list[tuple[str, str]]:
    return [(problem.code, str(problem.place)) for problem in error.problems]


def test_values_are_those_of_yaml_1_2() -> None:
    document = parse_document(TEXT, name="r.yaml")
    assert document.values["data"] == {"train": "a.csv", "labels": ["no", "yes", 1e-5, None]}
    assert document.values["train"] == {"epochs": 3, "when": "2024-01-01"}


def test_places_of_keys_and_values() -> None:
    document = parse_document(TEXT, name="r.yaml")
    assert str(document.place(("data", "train"))) == "r.yaml:3:10"
    assert str(document.place(("data", "train"), of_key=True)) == "r.yaml:3:3"
    assert str(document.place(("data", "labels", "2"))) == "r.yaml:4:21"
    assert str(document.place(("data", "missing"))) == "r.yaml:3:3"
    assert document.place(("nothing",)) is None


def test_the_caret_is_below_the_value() -> None:
    above, below = parse_document(TEXT, name="r").excerpt(("data", "train"), remark="here")
    assert above.index("a.csv") == below.index("^")
    assert below.endswith("^^^^^  here")


def test_the_caret_counts_wide_characters() -> None:
    above, below = parse_document("标签: 值\n", name="r").excerpt(("标签",))
    assert below == "  | \u3000\u3000 " + " " + "^"
    assert above == "1 | 标签: 值"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\na: 2\nb: {c: 1, c: 2}\n", [("R102", "r:2:1"), ("R102", "r:3:11")]),
        ("a: &x 1\nb: *x\n", [("R103", "r:1:4"), ("R103", "r:2:4")]),
        ("%YAML 1.1\n---\na: no\n", [("R103", "r:1:1")]),
        ("a: !!python/object:os.system x\n", [("R103", "r:1:4")]),
        ("a: [1\nb: 2\n", [("R106", "r:2:2")]),
        ("a:\n\tb: 1\n", [("R106", "r:2:1")]),
        ("- a\n", [("R106", "r:1:1")]),
        ("a: 1\n---\nb: 2\n", [("R106", "r:2:1")]),
        ("[" * 5000, [("R106", "r")]),
        ("a: \x00b\n", [("R106", "r")]),
        ("a: " + "9" * 5000 + "\n", [("R106", "r:1:4")]),
        ("b: 1\na: 2024-13-45\n", [("R106", "r:2:4")]),
        ("[a, b]: 1\n", [("R106", "r:1:1")]),
        ("b: {{x: y}: 1}\n", [("R106", "r:1:5")]),
    ],
)
def test_what_recipes_may_not_hold(text: str, expected: list[tuple[str, str]]) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_document(text, name="r")
    assert codes(caught.value) == expected


def test_a_bomb_of_aliases_does_not_explode() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40)]
    with pytest.raises(RecipeError):
        parse_document("\n".join(lines), name="r")


@given(st.text(max_size=200))
def test_any_text_is_a_document_or_a_recipe_error(text: str) -> None:
    try:
        document = parse_document(text, name="r")
    except RecipeError as error:
        assert error.problems
    else:
        assert isinstance(document.values, dict)


def test_an_empty_file_is_an_empty_recipe(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("# nothing\n")
    assert read_document(tmp_path / "r.yaml").values == {}


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("a: 1")
    with pytest.raises(RecipeError, match=r"recipe\.yaml"):
        read_document(tmp_path / "recpie.yaml")
    with pytest.raises(RecipeError, match="tunesmith init"):
        read_document(tmp_path / "elsewhere" / "x.yaml")


def test_a_recipe_is_utf_8_and_small(tmp_path: Path) -> None:
    (tmp_path / "gbk.yaml").write_bytes("标签: x".encode("gb18030"))
    with pytest.raises(RecipeError, match="UTF-8"):
        read_document(tmp_path / "gbk.yaml")
    (tmp_path / "big.yaml").write_text("a: " + "x" * 262_142)
    with pytest.raises(RecipeError, match="at most 256 kB"):
        read_document(tmp_path / "big.yaml")
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_document(tmp_path / "bom.yaml").values == {"a": 1}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-5", 1e-5),
        ("10 minutes", "10 minutes"),
        ("no", "no"),
        ("[a, b]", ["a", "b"]),
        ("", None),
        ("null", None),
        ("true", True),
        ("a: b", "a: b"),
        ("&x", "&x"),
        ("|", "|"),
        (">", ">"),
        ('""', ""),
        ("#5", "#5"),
        ("a #b", "a #b"),
        ("a#b", "a#b"),
        ('"a #b"', "a #b"),
        ("['#a']", ["#a"]),
        ("x" * 1000, "x" * 1000),
        ("1" * 5000, "1" * 5000),
        ("2024-13-45", "2024-13-45"),
    ],
)
def test_words_of_the_command_line(written: str, value: object) -> None:
    assert read_scalar(written) == value


def test_of_many_problems_the_first_are_reported() -> None:
    for text, code in (("a: &x 1\n" * 50, "R103"), ("a: 1\n" * 50, "R102")):
        with pytest.raises(RecipeError) as caught:
            parse_document(text, name="r")
        assert [problem.code for problem in caught.value.problems] == [code] * 21
        last = caught.value.problems[-1]
        assert last.message in ("30 more such problems", "29 more such problems")
        assert str(last.place) == "r"


def test_a_long_line_is_shown_around_the_caret() -> None:
    text = "a: " + "x" * 500 + "\nb: [" + "1, " * 200 + "2]\n"
    document = parse_document(text, name="r")
    above, below = document.excerpt(("a",))
    assert above == "1 | a: " + "x" * 157
    assert below == "  | " + " " * 3 + "^" * 157
    above, below = document.excerpt(("b", "150"), remark="here")
    assert len(above) == len("2 | ") + 160
    assert above[below.index("^")] == "1"
    assert below.endswith("^  here")
    assert below.index("^") == len("2 | ") + 60


def test_a_value_that_is_left_out_is_at_its_key() -> None:
    document = parse_document("a: 1\nb:\n", name="r")
    assert str(document.place(("b",))) == "r:2:1"
    assert document.excerpt(("b",)) == ("2 | b:", "  | ^")


@needs("/dev", "links", "pipes")
def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    for name in ("folder", "pipe", "zero"):
        with pytest.raises(RecipeError, match="R107"):
            read_document(tmp_path / f"{name}.yaml")
