from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.data.findings import BadRecords
from tunesmith.data.readers import json_reader as module
from tunesmith.data.readers.json_reader import JsonFile
from tunesmith.data.readers.text_file import TextFile
from tunesmith.data.rows import BadRecordsError
from tunesmith.errors import DataError, Place


def opened(tmp_path: Path, content: str | bytes, name: str = "a.jsonl") -> JsonFile:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return JsonFile.open(TextFile.check(path, None))


def rows(source: JsonFile) -> list[dict[str, object]]:
    return [dict(row.values) for chunk in source.chunks() for row in chunk]


def reported(source: JsonFile) -> str:
    with pytest.raises(DataError) as caught:
        rows(source)
    return str(caught.value)


value = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9)
records = st.lists(
    st.fixed_dictionaries({"text": st.text(max_size=20), "label": value}), min_size=1, max_size=6
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    written=records,
    is_array=st.booleans(),
    ascii_only=st.booleans(),
    end=st.sampled_from(["\n", "\r\n", "\n\n"]),
)
def test_what_json_writes_is_read(
    written: list[dict[str, object]], is_array: bool, ascii_only: bool, end: str, tmp_path: Path
) -> None:
    try:
        json.dumps(written, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return  # half characters have a test of their own
    if is_array:
        content = json.dumps(written, ensure_ascii=ascii_only)
    else:
        content = "".join(json.dumps(record, ensure_ascii=ascii_only) + end for record in written)
    source = opened(tmp_path, content)
    assert source.is_array == is_array
    assert rows(source) == written


def test_only_real_line_ends_divide(tmp_path: Path) -> None:
    content = json.dumps({"text": "a\u2028b\x85c", "label": "x"}, ensure_ascii=False) + "\n"
    assert rows(opened(tmp_path, content)) == [{"text": "a\u2028b\x85c", "label": "x"}]


def test_columns_and_their_types(tmp_path: Path) -> None:
    source = opened(tmp_path, '{"a": "x", "b": 1}\n{"a": null, "c": [1], "b": 2.5, "d": true}\n')
    assert [(c.name, c.type) for c in source.columns] == [
        ("a", "text"),
        ("b", "integer"),
        ("c", "list"),
        ("d", "boolean"),
    ]
    assert rows(source)[0] == {"a": "x", "b": 1, "c": None, "d": None}


@pytest.mark.parametrize(
    ("bad", "code", "words"),
    [
        ('{"text": bad}', "D140", "a.jsonl:3:10: not JSON at column 10"),
        ('{"text": "x", "text": "y"}', "D143", 'the key "text" occurs twice'),
        ('{"text": NaN, "label": "a"}', "D202", "NaN is not a value"),
        ('{"text": "\\ud83d", "label": "a"}', "D142", "lone surrogate"),
        ('["text"]', "D144", "not an object"),
        ("3", "D144", "not an object"),
        ('{"text": "x", "lable": "a"}', "D305", 'no "label" (has "lable")'),
        ("[" * 100_000, "D140", "nested too deeply"),
    ],
)
def test_bad_lines_are_named(bad: str, code: str, words: str, tmp_path: Path) -> None:
    good = '{"text": "x", "label": "a"}\n'
    message = reported(opened(tmp_path, good * 2 + bad + "\n" + good))
    assert code in message
    assert ":3" in message
    assert words in message


def test_a_file_cut_off_in_its_last_line(tmp_path: Path) -> None:
    message = reported(opened(tmp_path, '{"text": "x", "label": "a"}\n{"text": "y", "la'))
    assert "D141" in message
    assert ":2" in message


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ('[{"a": 1}, {"a": 2}', "D141"),
        ('[{"a": 1} {"a": 2}]', "D140"),
        ('[{"a": NaN}]', "D202"),
    ],
)
def test_arrays_that_are_not_json(content: str, code: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=code):
        rows(opened(tmp_path, content, "a.json"))


def test_something_else_in_an_array(tmp_path: Path) -> None:
    assert "D144" in reported(opened(tmp_path, '[{"a": 1}, 2]', "a.json"))


def test_good_rows_around_bad_ones_are_read(tmp_path: Path) -> None:
    source = opened(tmp_path, '{"a": 1}\n{bad}\n{"a": 2}\n')
    seen = []
    with pytest.raises(DataError):
        for chunk in source.chunks():
            seen += [row.values["a"] for row in chunk]
    assert seen == [1, 2]


def test_blank_lines_count_for_places(tmp_path: Path) -> None:
    source = opened(tmp_path, '{"a": 1}\n\n\n{"a": 2}\n')
    assert str(source.places([1])[1]).endswith("a.jsonl:4")


def test_spaces_only(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="D121"):
        opened(tmp_path, " \n ")


def refused(tmp_path: Path, content: str) -> str:
    with pytest.raises(DataError) as caught:
        rows(opened(tmp_path, content))
    return str(caught.value)


def test_a_file_of_many_keys_is_read_in_time_that_grows_with_it(tmp_path: Path) -> None:
    record = {f"column {i:05}": "x" for i in range(9_999)} | {"text": "a"}
    source = opened(tmp_path, (json.dumps(record) + "\n" + json.dumps(record) + "\n"))
    assert len(source.columns) == 10_000
    assert len(rows(source)) == 2
    sparse = "".join(json.dumps({"text": "a", f"key {i}": 1}) + "\n" for i in range(3_000))
    assert len(rows(opened(tmp_path, (sparse)))) == 3_000


def test_too_many_keys_are_refused(tmp_path: Path) -> None:
    record = {f"c{i}": 1 for i in range(10_001)}
    assert "D116" in refused(tmp_path, (json.dumps(record)))


def test_keys_are_compared_as_long_as_they_are_few(tmp_path: Path) -> None:
    for count, is_found in ((50, True), (200, False)):
        good = {f"{i:03}{i:03}": 1 for i in range(count)} | {"message": "a"}
        bad = {key: value for key, value in good.items() if key != "message"} | {"mesage": "b"}
        content = (json.dumps(good) + "\n") * 1000 + json.dumps(bad) + "\n"
        if is_found:
            assert 'no "message" (has "mesage")' in refused(tmp_path, content)
        else:
            assert len(rows(opened(tmp_path, content))) == 1001


@pytest.mark.parametrize(
    "value", ['["\\ud800"]', '{"a": "\\udc00"}', '"x\\ud83d"', '["\\ud83d\\ud83d"]']
)
def test_half_a_character_is_found_wherever_it_is(value: str, tmp_path: Path) -> None:
    words = refused(
        tmp_path, ('{"text": "a", "label": 1}\n{"text": "a", "label": ' + value + "}\n")
    )
    assert "D142" in words
    assert 'in "label"' in words
    good = '{"text": "\\ud83d\\ude00", "label": ["\\u4f60"]}\n'
    assert rows(opened(tmp_path, good)) == [{"text": "\U0001f600", "label": ["你"]}]


@pytest.mark.parametrize("is_array", [False, True])
def test_numbers_without_end_are_reported(is_array: bool, tmp_path: Path) -> None:
    line = '{"text": "a", "label": ' + "9" * 5000 + "}"
    words = refused(tmp_path, (f"[{line}]" if is_array else line + "\n"))
    assert "D140" in words
    assert "thousands of digits" in words


def test_a_line_without_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="D150") as caught:
        opened(tmp_path, '{"text": "a"}\n{"text": "' + "x" * 10_000_001 + '"}\n')
    assert str(caught.value.problems[0].place) == f"{tmp_path / 'a.jsonl'}:2"


def test_an_array_may_be_one_long_line(tmp_path: Path) -> None:
    records = [{"text": "x" * 1000, "label": "a"}] * 12_000
    source = opened(tmp_path, (json.dumps(records)))
    assert source.is_array
    assert sum(len(chunk) for chunk in source.chunks()) == 12_000


def test_rows_of_an_array_come_before_what_is_wrong_behind_them(tmp_path: Path) -> None:
    records = json.dumps([{"text": "a"}] * 1500)
    chunks = opened(tmp_path, (records[:-1] + ", {]")).chunks()
    assert len(next(chunks)) == 1000
    with pytest.raises(DataError, match="D140"):
        list(chunks)


@pytest.mark.parametrize("opening", ["[" * 100_000, '{"a":' * 100_000])
def test_nesting_without_end_is_reported(opening: str, tmp_path: Path) -> None:
    words = refused(tmp_path, (f'{{"text": {opening}\n'))
    assert "D140" in words or "D141" in words
    assert "D140" in refused(tmp_path, (f'[{{"text": {opening}\n'))


def test_the_type_of_a_column_is_that_of_its_first_value(tmp_path: Path) -> None:
    content = '{"a": null, "b": null}\n{"a": 1, "b": null}\n{"a": "x"}\n'
    source = opened(tmp_path, content)
    assert [(c.name, c.type) for c in source.columns] == [("a", "integer"), ("b", "text")]


def test_an_array_may_begin_after_much_white_space(tmp_path: Path) -> None:
    source = opened(tmp_path, " " * 1023 + "\n" * 2000 + '[{"a": 1}]')
    assert source.is_array and rows(source) == [{"a": 1}]


def test_columns_are_those_of_the_first_records_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = '{"a": 1}\n' * 3 + '{"b": 1}\n'
    for characters, names in ((26, ["a"]), (27, ["a", "b"])):
        monkeypatch.setattr(module, "_SAMPLE_CHARACTERS", characters)
        assert [column.name for column in opened(tmp_path, content).columns] == names


def test_up_to_a_hundred_keys_are_compared(tmp_path: Path) -> None:
    for others, is_compared in ((98, True), (99, False)):
        good = {f"{i:03}{i:03}": 1 for i in range(others)} | {"message": "a"}
        content = (json.dumps(good) + "\n") * 2 + '{"mesage": "b"}\n'  # both keys in the sample
        names = {column.name for column in opened(tmp_path, content).columns}
        assert names == {*good, *(() if is_compared else ("mesage",))}
    for others, is_compared in ((99, True), (100, False)):
        good = {f"{i:03}{i:03}": 1 for i in range(others)} | {"message": "a"}
        content = (json.dumps(good) + "\n") * 1000 + '{"mesage": "b"}\n'  # one of them behind it
        if is_compared:
            assert 'no "message" (has "mesage")' in refused(tmp_path, content)
        else:
            assert len(rows(opened(tmp_path, content))) == 1001


def test_a_key_next_to_the_other_is_no_typo(tmp_path: Path) -> None:
    content = '{"label": 1}\n{"label": 1, "labels": 2}\n'
    assert [column.name for column in opened(tmp_path, content).columns] == ["label", "labels"]
    content = '{"label": 1}\n{"labels": 2}\n'  # as many of each
    assert [column.name for column in opened(tmp_path, content).columns] == ["label", "labels"]


def test_records_that_are_refused_have_places(tmp_path: Path) -> None:
    lines = opened(tmp_path, '{"a": 1}\n\n{bad}\n{"a": 2}\n3\n')
    with pytest.raises(BadRecordsError) as caught:
        rows(lines)
    assert [(str(r.place), r.code) for r in caught.value.records] == [
        (f"{lines.name}:3", "D140"), (f"{lines.name}:5", "D144"),
    ]  # fmt: skip
    places = [str(place) for place in lines.places(range(4)).values()]
    assert places == [f"{lines.name}:{end}" for end in ("1", "3:2", "4", "5")]
    array = opened(tmp_path, '[{"a": 1}, 3, {"a": 2}]', "a.json")
    with pytest.raises(BadRecordsError) as caught:
        rows(array)
    assert [(r.place, r.code) for r in caught.value.records] == [(Place(array.name, row=1), "D144")]
    assert array.places([2, 0]) == {n: Place(array.name, row=n) for n in (0, 2)}


def test_rows_keep_their_numbers_and_sizes(tmp_path: Path) -> None:
    source = opened(tmp_path, '{"a": 1}\n3\n{"a": 23}\n')
    result = list(source._good_rows(None, BadRecords(source)))
    assert [(row.index, row.values, size) for row, size in result] == [
        (0, {"a": 1}, 9), (2, {"a": 23}, 10),
    ]  # fmt: skip
