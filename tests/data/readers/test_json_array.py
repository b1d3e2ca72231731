from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.readers.json_array import (
    ArrayError,
    ElementTooLongError,
    elements_of,
    is_cut_off,
)

DECODER = json.JSONDecoder()


class Trickle(io.StringIO):
    """Hands out few characters at a time, whatever is requested."""

    def read(self, size: int | None = -1) -> str:
        return super().read(3)


def elements(text: str, *, slowly: bool = False) -> list[object]:
    file = Trickle(text) if slowly else io.StringIO(text)
    return [element for element, _size in elements_of(file, DECODER)]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(st.lists(values, max_size=5), st.sampled_from([None, 2]))
def test_the_elements_are_those_of_the_whole_array(
    written: list[object], indent: int | None
) -> None:
    text = json.dumps(written, indent=indent)
    for slowly in (False, True):
        assert elements(f" \n{text}\t\r\n ", slowly=slowly) == written


@given(st.lists(values, min_size=1, max_size=4), st.data())
def test_a_text_that_ends_early_is_reported_as_cut_off(
    written: list[object], data: st.DataObject
) -> None:
    text = json.dumps(written)
    end = data.draw(st.integers(1, len(text) - 1))
    with pytest.raises(ArrayError) as caught:
        elements(text[:end], slowly=data.draw(st.booleans()))
    assert caught.value.is_cut


@pytest.mark.parametrize(
    ("text", "message", "line", "column"),
    [
        ('[\n {"a": 1},\n {"a" 2}\n]', "Expecting ':' delimiter", 3, 7),
        ("[1 2]", "Expecting ',' delimiter", 1, 4),
        ("[1,\n\n  x]", "Expecting value", 3, 3),
        ("[1]\nx", "Extra data", 2, 1),
        ("[1] [", "Extra data", 1, 5),
        ("{}", "Expecting an array", 1, 1),
        ("[1,]", "Expecting value", 1, 4),
    ],
)
def test_what_is_no_array_is_reported_by_line_and_column(
    text: str, message: str, line: int, column: int
) -> None:
    for slowly in (False, True):
        with pytest.raises(ArrayError) as caught:
            elements(text, slowly=slowly)
        error = caught.value
        assert (error.message, error.line, error.column, error.is_cut) == (
            message,
            line,
            column,
            False,
        )


def test_nothing_at_all_is_cut_off() -> None:
    with pytest.raises(ArrayError) as caught:
        elements("  ")
    assert caught.value.is_cut


def test_lines_are_counted_over_many_pieces() -> None:
    text = "[" + ",\n".join(['"' + "x" * 100 + '"'] * 3000) + ",\n?]"
    with pytest.raises(ArrayError) as caught:
        elements(text)
    assert (caught.value.line, caught.value.column) == (3001, 1)


def test_elements_come_before_what_is_wrong_behind_them() -> None:
    result = elements_of(io.StringIO("[1, 2, x"), DECODER)
    assert [next(result), next(result)] == [(1, 1), (2, 1)]
    with pytest.raises(ArrayError):
        next(result)


def test_an_element_may_be_long_but_not_endless() -> None:
    long = "x" * 9_000_000
    assert elements(json.dumps(["a", long])) == ["a", long]
    with pytest.raises(ElementTooLongError) as caught:
        elements('[1,\n"' + "x" * 40_000_000 + '"]')
    assert caught.value.line == 2


@pytest.mark.parametrize(
    ("text", "is_cut"),
    [
        ('{"a": "b', True),
        ('{"a":', True),
        ('{"a"', True),
        ('{"a": tru', True),
        ('{"a": "\\u00', True),
        ('{"a": x}', False),
        ('{"a": trux', False),
        ('{"a": "\\u00x"}', False),
    ],
)
def test_what_is_cut_off(text: str, is_cut: bool) -> None:
    with pytest.raises(json.JSONDecodeError) as caught:
        DECODER.decode(text)
    assert is_cut_off(caught.value) is is_cut
