"""CoNLL columns: sentences as lists of words and tags, and lines that do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.data.open import open_source
from tunesmith.data.readers.conll_reader import ConllFile, looks_like_conll
from tunesmith.data.rows import BadRecordsError, Row, Source
from tunesmith.data.wrapped import innermost
from tunesmith.errors import DataError

CONLL_2003 = """-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O
German JJ B-NP B-MISC

# NN B-NP O
Peter NNP B-NP B-PER
"""


def rows(source: Source) -> list[Row]:
    return [row for chunk in source.chunks() for row in chunk]


def written(tmp_path: Path, text: str, name: str = "train.conll") -> Source:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return open_source(str(path))


@pytest.mark.parametrize("name", ["a.conll", "a.txt", "a.tsv", "a", "a.bio"])
def test_first_column_is_the_word_and_the_last_the_tag(tmp_path: Path, name: str) -> None:
    source = written(tmp_path, CONLL_2003, name)
    assert isinstance(innermost(source), ConllFile)
    first, second = rows(source)
    assert first.values == {"tokens": ["EU", "rejects", "German"], "tags": ["B-ORG", "O", "B-MISC"]}
    assert second.values["tokens"] == ["#", "Peter"]
    assert [place.line for place in source.places([0, 1]).values()] == [3, 7]


def test_only_spaces_and_tabs_separate_columns(tmp_path: Path) -> None:
    text = "\u3000\tO\nNew\xa0York\tB-LOC\r\n\u200b\tO\r\n"
    assert rows(written(tmp_path, text))[0].values["tokens"] == ["\u3000", "New\xa0York", "\u200b"]


def test_words_of_universal_dependencies(tmp_path: Path) -> None:
    rest = "\t_" * 6
    text = (
        "# sent_id = 1\n"
        f"1-2\tdu\t_\t_{rest}\n1\tde\tde\tADP{rest}\n2\tle\tle\tDET{rest}\n2.1\tx\tx\tX{rest}\n"
    )
    values = rows(written(tmp_path, text, "a.conllu"))[0].values
    assert values == {"tokens": ["de", "le"], "tags": ["ADP", "DET"]}


def test_words_alone_have_no_tags(tmp_path: Path) -> None:
    source = written(tmp_path, "EU\nrejects\n\nPeter\n")
    assert [row.values for row in rows(source)] == [
        {"tokens": ["EU", "rejects"]},
        {"tokens": ["Peter"]},
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [("lamb", '1 column, not 2: "lamb"'), ("a b O", "3 columns"), ("\tO", "tag without a word")],
)
def test_other_columns_are_refused_with_their_line(tmp_path: Path, line: str, message: str) -> None:
    source = written(tmp_path, f"a O\nb O\n\nEU B-ORG\n{line}\n\nc O\n")
    good: list[Row] = []
    with pytest.raises(BadRecordsError) as caught:
        for chunk in source.chunks():
            good += chunk
    assert [row.values["tokens"] for row in good] == [["a", "b"], ["c"]]
    (problem,) = caught.value.problems
    assert problem.code == "D340"
    assert message in problem.message
    assert problem.place is not None
    assert problem.place.line == 5


def test_a_file_without_words_has_no_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        written(tmp_path, "\n \n-DOCSTART-\n")
    assert caught.value.problems[0].code == "D120"


@pytest.mark.parametrize(
    "text",
    ["Good food\nBad food\nGreat food\n", "text,label\na b,O\nc d,O\n", "O\nO\nO\n", "", "a O\n"],
)
def test_other_text_is_no_conll(text: str) -> None:
    assert not looks_like_conll(text)


LINES = st.sampled_from(
    [
        "a O",
        "b B-X",
        "\u4e2d\tI-X",
        "c",
        "",
        " ",
        "-DOCSTART- O",
        "# x",
        "# O",
        "\tO",
        "a b O",
        "1-2 x",
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINES | st.text("a \tO#\r\x85\u2028\u200b", max_size=6), max_size=12))
@pytest.mark.parametrize("name", ["a.conll", "a.conllu"])
def test_any_lines_are_read_or_refused(tmp_path: Path, lines: list[str], name: str) -> None:
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    try:
        source = open_source(str(path))
        good = rows(source)
    except DataError as error:
        assert {problem.code for problem in error.problems} <= {"D120", "D121", "D340"}
        return
    assert all(len(row.values["tokens"]) > 0 for row in good)  # type: ignore[arg-type]
    numbers = [place.line or 0 for place in source.places([row.index for row in good]).values()]
    assert numbers == sorted(numbers) and len(set(numbers)) == len(good)
    for row in good:
        assert len(row.values.get("tags", row.values["tokens"])) == len(row.values["tokens"])  # type: ignore[arg-type]
